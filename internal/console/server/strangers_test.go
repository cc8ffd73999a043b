package server_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/api"
	"github.com/ledgerport/ledgerport/internal/console/server"
)

// silent opens connections on which nothing is said, until the test ends.
func (c *console) silent(count int) {
	c.Helper()
	for range count {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "https://"))
		c.must(err)
		c.Cleanup(func() { _ = conn.Close() })
	}
}

// TestStrangersMakeRoomForCallers opens more connections than there may be, again and again, and says nothing. Who asks with a token is answered
// meanwhile, and who waits for an answer goes on waiting.
func TestStrangersMakeRoomForCallers(t *testing.T) {
	t.Parallel()
	c := serve(t, func(options *server.Options, answers *api.Options) {
		options.Limits = server.DefaultLimits
		options.Limits.Connections = 16
		answers.Limits = api.DefaultLimits
		answers.Limits.WaitingOfOne = 1
	})
	app, other := c.tenant("ledgerport-finance"), c.tenant("ledgerport-finance")
	run := app.run(app.ask(http.MethodPost, app.path("/runs"), ""), http.StatusAccepted)
	waited := make(chan answer, 1)
	go func() {
		for { // until it may wait
			is := app.ask(http.MethodGet, app.path("/runs/"+run.ID+"?wait=60s"), "")
			if is.StatusCode != http.StatusTooManyRequests {
				waited <- is
				return
			}
		}
	}()
	c.until(func() string {
		if is := app.ask(http.MethodGet, app.path("/runs/"+run.ID+"?wait=1ms"), ""); is.StatusCode != http.StatusTooManyRequests {
			return is.Status
		}
		return ""
	})
	began := time.Now()
	for range 3 {
		c.silent(64)
		other.http.CloseIdleConnections()
		other.run(other.ask(http.MethodPost, other.path("/runs"), ""), http.StatusAccepted)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("three requests are answered after %s", took)
	}
	app.must(finish(t.Context(), app.namespace, run.ID, v1alpha1.RunSucceeded))
	app.run(<-waited, http.StatusOK)
}
