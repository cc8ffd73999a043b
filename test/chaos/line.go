package main

import (
	"fmt"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// line is the network between the operators and a server.
type line struct {
	proxy *toxiproxy.Proxy
}

func newLine(name, upstream string) (*line, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)
	return &line{proxy}, proxy.Start()
}

func (l *line) address() string { return l.proxy.Listen }

// cut ends every connection, and refuses new ones until mend.
func (l *line) cut() { l.proxy.Stop() }

// mend lets connections through again.
func (l *line) mend() error { return l.proxy.Start() }

// disturb does something to what travels in one direction until calm: a toxic of the proxy with its attributes.
func (l *line) disturb(toxic, stream, attributes string) error {
	_, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
		`{"name": "chaos", "type": %q, "stream": %q, "toxicity": 1, "attributes": %s}`, toxic, stream, attributes)))
	return err
}

// calm removes what disturb added.
func (l *line) calm() {
	done, cancel := timeout(5 * time.Second)
	defer cancel()
	l.proxy.Toxics.ResetToxics(done)
}
