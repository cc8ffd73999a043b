package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/test/environment"
)

const (
	// asking is the namespace of the application that asks, and askedExports are what it asks for runs of, one after another.
	asking       = "application"
	askedExports = 50
	// quietRequests are made before the exports are due; the other ones, each askingInterval, until all exports have succeeded.
	quietRequests  = 100
	askingInterval = 100 * time.Millisecond
	// consoleP99 is the figure, in milliseconds.
	consoleP99 = 200.0
)

// consoleResult is one line of output.
type consoleResult struct {
	Bench   string  `json:"bench"`
	Exports int     `json:"exports"`
	Seconds float64 `json:"seconds"` // until all exports have succeeded
	Quiet   answers `json:"quiet"`   // before they are due
	Busy    answers `json:"busy"`    // while they run
	Load    string  `json:"load"`    // of the machine at the slot
}

// answers is how long a request for a run took to be answered.
type answers struct {
	Requests int     `json:"requests"`
	P50      float64 `json:"p50Milliseconds"`
	P99      float64 `json:"p99Milliseconds"`
	Max      float64 `json:"maxMilliseconds"`
}

// applicant is an application that asks the console for runs.
type applicant struct {
	url, token string
	http       *http.Client
	asked      int
}

// measureConsole measures how long the console takes to answer requests for runs, quietly and while so many exports run.
func measureConsole(ctx context.Context, exports int) error {
	return onGround(ctx, func(g *ground) error {
		h := &herd{g, exports}
		if err := (&herd{g, exports + askedExports}).fill(ctx); err != nil {
			return err
		}
		if err := h.startOperator(ctx); err != nil {
			return err
		}
		asks, stop, err := g.startApplicant(ctx, exports)
		if err != nil {
			return err
		}
		defer stop()
		result, err := h.measureAnswers(ctx, asks)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
			return err
		}
		if result.Busy.P99 > consoleP99 {
			return fmt.Errorf("the figure is a p99 of %g ms while exports run", consoleP99)
		}
		return nil
	})
}

// measureAnswers asks before the exports are due, and from then on until all have succeeded.
func (h *herd) measureAnswers(ctx context.Context, asks *applicant) (result consoleResult, err error) {
	slot, err := h.make(ctx)
	if err != nil {
		return result, err
	}
	quiet, err := asks.until(ctx, func(asked int) bool { return asked == quietRequests || time.Until(slot) < 2*time.Second })
	if err != nil {
		return result, err
	}
	type ended struct {
		herdResult
		error
	}
	herd := make(chan ended, 1)
	go func() {
		r, err := h.measure(ctx, slot)
		herd <- ended{r, err}
	}()
	select {
	case <-time.After(time.Until(slot)):
	case <-ctx.Done():
		return result, ctx.Err()
	}
	var of ended
	busy, err := asks.until(ctx, func(int) bool {
		select {
		case of = <-herd:
			return true
		default:
			return false
		}
	})
	return consoleResult{"console", h.exports, of.Seconds, answersOf(quiet), answersOf(busy), of.Load}, errors.Join(err, of.error)
}

// startApplicant starts the console, makes the exports that are asked for, whose organisations follow those of so many others, and an account
// that may ask.
func (g *ground) startApplicant(ctx context.Context, after int) (asks *applicant, stop func(), err error) {
	binary, err := environment.BuildOperator(ctx, g.directory, "")
	if err != nil {
		return nil, nil, err
	}
	console, authority, err := startConsole(g.controlPlane.Config, binary, g.directory)
	if err != nil {
		return nil, nil, err
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	asks = &applicant{url: console.URL, http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}}}
	stop = func() { _ = console.Kill() } // all has been measured
	if err := g.create(ctx, append([]client.Object{namespaceOf(asking)}, shared(asking, g.postgres.URL)...)...); err != nil {
		return asks, stop, err
	}
	for i := range askedExports {
		export := dueExport(asking, askedExport(i), organizationNumber(after+i))
		export.Annotations = nil
		if err := g.create(ctx, export); err != nil {
			return asks, stop, err
		}
	}
	asks.token, err = applicationOf(ctx, g.api, asking, "create", "get", "list", "watch")
	return asks, stop, err
}

func askedExport(n int) string { return fmt.Sprintf("asked-%d", n%askedExports) }

// until asks again and again until it is enough, and returns how long each answer took.
func (a *applicant) until(ctx context.Context, enough func(asked int) bool) (took []time.Duration, err error) {
	tick := time.NewTicker(askingInterval)
	defer tick.Stop()
	for !enough(len(took)) {
		began := time.Now()
		if err := a.ask(ctx); err != nil {
			return took, err
		}
		took = append(took, time.Since(began))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return took, ctx.Err()
		}
	}
	return took, nil
}

// ask asks for one run, and reads the answer.
func (a *applicant) ask(ctx context.Context) error {
	at := a.url + "/api/v1/namespaces/" + asking + "/exports/" + askedExport(a.asked) + "/runs"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	a.asked++
	request.Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", fmt.Sprint("request-", a.asked))
	answer, err := a.http.Do(request)
	if err != nil {
		return err
	}
	said, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("request %d was answered with %s: %s", a.asked, answer.Status, said)
	}
	return nil
}

func answersOf(took []time.Duration) answers {
	if len(took) == 0 {
		return answers{}
	}
	slices.Sort(took)
	at := func(percent int) float64 {
		return round(float64(took[min(len(took)-1, len(took)*percent/100)].Microseconds()) / 1000)
	}
	return answers{Requests: len(took), P50: at(50), P99: at(99), Max: at(100)}
}
