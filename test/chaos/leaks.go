package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// lookForLeaks looks for what nobody is to see in all that the operators have written: logs, resources, events, artifacts
// and records.
func (w *world) lookForLeaks(ctx context.Context, conn *pgx.Conn, logs map[string][]byte) error {
	for name, content := range logs {
		w.scan.Lines("log line", name, content)
	}
	w.inbox.look(w.scan)
	return errors.Join(
		w.scan.Objects(ctx, w.api),
		w.scan.Files(filepath.Join(w.directory, "exports")),
		w.scan.Bucket(ctx, w.objects(), bucket),
		w.scan.Records(ctx, conn),
	)
}

// lookAtMetrics asks each operator for its metrics. The one that leads has those of the exports.
func (w *world) lookAtMetrics(ctx context.Context) error {
	// The certificate is the operator's own, and the metrics are public here.
	asking := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} // #nosec G402
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, o := range w.operators {
		address, _ := w.metrics.Load(o.name)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s/metrics", address), http.NoBody)
		if err != nil {
			return err
		}
		answer, err := asking.Do(request)
		for ; err != nil && ctx.Err() == nil; answer, err = asking.Do(request) { // it may be about to start
			pause(ctx, 200*time.Millisecond)
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			return err
		}
		w.scan.Lines("metric", o.name, content)
	}
	return nil
}

// freeAddress returns one that nothing listens at.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
