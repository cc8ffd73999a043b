package server_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/api"
	"github.com/ledgerport/ledgerport/internal/console/server"
)

func TestACallerHasLimits(t *testing.T) {
	t.Parallel()
	c := serve(t, func(options *server.Options, answers *api.Options) {
		answers.Limits = api.DefaultLimits
		answers.Limits.Waiting, answers.Limits.WaitingOfOne = 4, 2
	})
	greedy, other := c.tenant("ledgerport-finance"), c.tenant("ledgerport-finance")
	run := greedy.run(greedy.ask(http.MethodPost, greedy.path("/runs"), ""), http.StatusAccepted)
	waiting := make(chan answer, 2)
	for range 2 {
		go func() { waiting <- greedy.waitFor(run.ID, "30s") }()
	}
	greedy.until(func() string {
		is := greedy.ask(http.MethodGet, greedy.path("/runs/"+run.ID+"?wait=1ms"), "")
		if is.StatusCode == http.StatusTooManyRequests && strings.Contains(is.problem().Detail, "wait") && is.Header.Get("Retry-After") == "1" {
			return ""
		}
		return is.Status
	})
	theirs := other.run(other.ask(http.MethodPost, other.path("/runs"), ""), http.StatusAccepted)
	other.run(other.ask(http.MethodGet, other.path("/runs/"+theirs.ID+"?wait=1ms"), ""), http.StatusOK)
	greedy.must(finish(t.Context(), greedy.namespace, run.ID, v1alpha1.RunFailed))
	for range 2 {
		greedy.run(<-waiting, http.StatusOK)
	}
}

// TestSeveralGreedyCallersLeaveRoom has a tenant's people and applications, each of which is a caller, wait as often as each of them may.
func TestSeveralGreedyCallersLeaveRoom(t *testing.T) {
	t.Parallel()
	c := serve(t, func(options *server.Options, answers *api.Options) {
		answers.Limits = api.DefaultLimits
		answers.Limits.Waiting, answers.Limits.WaitingOfOne = 8, 4
	})
	other := c.tenant("ledgerport-finance")
	var waiting sync.WaitGroup
	defer waiting.Wait()
	var ends []func() error
	defer func() {
		for _, end := range ends {
			c.must(end())
		}
	}()
	for range 3 {
		greedy := c.tenant("ledgerport-finance")
		run := greedy.run(greedy.ask(http.MethodPost, greedy.path("/runs"), ""), http.StatusAccepted)
		for range 4 {
			waiting.Go(func() { greedy.waitFor(run.ID, "60s") })
		}
		greedy.until(func() string {
			is := greedy.ask(http.MethodGet, greedy.path("/runs/"+run.ID+"?wait=1ms"), "")
			if is.StatusCode == http.StatusTooManyRequests {
				return ""
			}
			return is.Status
		})
		ends = append(ends, func() error { return finish(t.Context(), greedy.namespace, run.ID, v1alpha1.RunFailed) })
	}
	theirs := other.run(other.ask(http.MethodPost, other.path("/runs"), ""), http.StatusAccepted)
	other.run(other.ask(http.MethodGet, other.path("/runs/"+theirs.ID+"?wait=1ms"), ""), http.StatusOK)
}

// TestWhoIsRefusedComesAgainInTurn has more wait than may: the more are refused, the later they are told to come again.
func TestWhoIsRefusedComesAgainInTurn(t *testing.T) {
	t.Parallel()
	c := serve(t, func(options *server.Options, answers *api.Options) {
		options.Limits = server.DefaultLimits
		options.Limits.Returns, options.Limits.LongestReturn = 1, 5*time.Second
		answers.Limits = api.DefaultLimits
		answers.Limits.WaitingOfOne = 0
	})
	greedy, other := c.tenant("ledgerport-finance"), c.tenant("ledgerport-finance")
	refusedFor := func(of *tenant) int {
		is := of.ask(http.MethodGet, of.path("/runs/nothing?wait=1s"), "")
		seconds, err := strconv.Atoi(is.Header.Get("Retry-After"))
		if is.StatusCode != http.StatusTooManyRequests || err != nil {
			t.Fatalf("%s, Retry-After %q", is.Status, is.Header.Get("Retry-After"))
		}
		return seconds
	}
	began, sum := time.Now(), 0
	for range 20 {
		seconds := refusedFor(greedy)
		if seconds < 1 || seconds > 5 {
			t.Errorf("a request is told to come again in %d seconds, want 1 to 5", seconds)
		}
		sum += seconds
	}
	if took := int(time.Since(began).Seconds()); sum < 1+1+2+3+4+15*5-20*took {
		t.Errorf("twenty requests in %d seconds are told to come again in %d seconds, all told", took, sum)
	}
	if seconds := refusedFor(other); seconds != 1 {
		t.Errorf("somebody else is told to come again in %d seconds", seconds)
	}
}

func TestACallerAsksSoManyTimesASecond(t *testing.T) {
	t.Parallel()
	c := serve(t, func(options *server.Options, _ *api.Options) {
		options.Limits = server.DefaultLimits
		options.Limits.Rate, options.Limits.Burst = 1, 10
	})
	greedy, other := c.tenant("ledgerport-finance"), c.tenant("ledgerport-finance")
	greedy.until(func() string {
		is := greedy.ask(http.MethodGet, greedy.path("/runs/nothing"), "")
		if is.StatusCode == http.StatusTooManyRequests && strings.Contains(is.problem().Detail, "times a second") {
			return ""
		}
		return is.Status
	})
	other.run(other.ask(http.MethodPost, other.path("/runs"), ""), http.StatusAccepted)
}

// TestTenThousandLongPollsAreBounded has one application ask ten thousand times at once. As many wait as may, which cost one watch and little
// memory; the others are told so at once, and everybody else is answered meanwhile.
func TestTenThousandLongPollsAreBounded(t *testing.T) { //nolint:paralleltest // it measures memory
	const polls = 10_000
	c := serve(t, func(options *server.Options, answers *api.Options) {
		options.Limits = server.DefaultLimits
		options.Limits.Rate, options.Limits.Burst, options.Limits.Requests, options.Limits.RequestsOfOne = polls, 2*polls, polls+100, polls+100
		options.Limits.Unanswered = 1 << 20 // sixty requests of strangers: those of a known caller are none, and what has come of them at once is a tenth of it
		answers.Limits = api.DefaultLimits
		answers.Limits.WaitingOfOne = 1000
	})
	app, other := c.tenant("ledgerport-finance"), c.tenant("ledgerport-finance")
	run := app.run(app.ask(http.MethodPost, app.path("/runs"), ""), http.StatusAccepted)
	browsers := make([]*tenant, 50) // each with a connection, which has 200 requests at once
	for i := range browsers {
		browsers[i] = &tenant{c, app.namespace, app.token, c.client()}
		browsers[i].run(browsers[i].ask(http.MethodGet, app.path("/runs/"+run.ID), ""), http.StatusOK)
	}
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var waited, busy, wrong atomic.Int64
	var group sync.WaitGroup
	for i := range polls {
		group.Go(func() {
			is := browsers[i%len(browsers)].ask(http.MethodGet, app.path("/runs/"+run.ID+"?wait=60s"), "")
			switch is.StatusCode {
			case http.StatusOK:
				waited.Add(1)
			case http.StatusTooManyRequests:
				busy.Add(1)
			default:
				wrong.Add(1)
				t.Logf("%s %s", is.Status, is.content)
			}
		})
	}
	c.until(func() string {
		if busy.Load() < polls-1000 {
			return fmt.Sprintf("%d are told that they may not wait", busy.Load())
		}
		return ""
	})
	began := time.Now()
	theirs := other.run(other.ask(http.MethodPost, other.path("/runs"), ""), http.StatusAccepted)
	other.run(other.ask(http.MethodGet, other.path("/runs/"+theirs.ID+"?wait=10ms"), ""), http.StatusOK)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("somebody else is answered after %s", took)
	}
	runtime.GC()
	runtime.ReadMemStats(&during)
	if more := (int64(during.HeapInuse+during.StackInuse) - int64(before.HeapInuse+before.StackInuse)) >> 20; more > 256 { // of client and server
		t.Errorf("they take %d MiB", more)
	}
	app.must(finish(t.Context(), app.namespace, run.ID, v1alpha1.RunSucceeded))
	group.Wait()
	if waited.Load() != 1000 || wrong.Load() != 0 {
		t.Errorf("%d have waited, %d are refused, %d are answered otherwise", waited.Load(), busy.Load(), wrong.Load())
	}
}

// TestAClientThatReadsNothingIsLeft lets a client take one byte and no more of a large answer, or one byte after the other, over HTTP/1.1 and HTTP/2.
func TestAClientThatReadsNothingIsLeft(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"http/1.1", "h2"} {
		for _, drips := range []bool{false, true} {
			t.Run(strings.ReplaceAll(protocol, "/", " ")+map[bool]string{false: " nothing", true: " a byte at a time"}[drips], func(t *testing.T) {
				t.Parallel()
				ended := make(chan error, 1)
				endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					part := bytes.Repeat([]byte("a"), 64<<10)
					for {
						if _, err := w.Write(part); err != nil {
							ended <- err
							return
						}
					}
				})
				c := serveWith(t, endless)
				answer := c.tenant("").readEndless(protocol)
				began, tick := time.Now(), time.NewTicker(100*time.Millisecond)
				defer tick.Stop()
				for read := 0; ; {
					select {
					case err := <-ended:
						if err == nil || drips && read == 0 {
							t.Errorf("after %d bytes it has ended with %v", read, err)
						}
						return
					case <-tick.C:
						if drips {
							n, err := answer.Read(make([]byte, 1))
							if read += n; err != nil {
								t.Fatalf("the client that reads is told %v", err)
							}
						}
						if time.Since(began) > 20*time.Second {
							t.Fatal("it is still waited for")
						}
					}
				}
			})
		}
	}
}

// readEndless asks for what has no end, and returns what is answered, of which a byte was read.
func (t *tenant) readEndless(protocol string) io.Reader {
	t.Helper()
	if protocol == "h2" {
		transport := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{RootCAs: t.trusts}}
		transport.Protocols.SetHTTP2(true)
		t.Cleanup(transport.CloseIdleConnections)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, t.url+"/api/v1/endless", http.NoBody)
		t.must(err)
		request.Header.Set("Authorization", "Bearer "+t.token)
		response, err := transport.RoundTrip(request)
		t.must(err)
		t.Cleanup(func() { _ = response.Body.Close() })
		return response.Body
	}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(t.url, "https://"), &tls.Config{RootCAs: t.trusts, ServerName: "localhost", NextProtos: []string{protocol}})
	t.must(err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "GET /api/v1/endless HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", t.token)
	t.must(err)
	_, err = io.ReadFull(conn, make([]byte, 1))
	t.must(err)
	return conn
}

// serveWith serves an API of a test, with a short time for clients that take nothing.
func serveWith(t *testing.T, answering http.Handler) *console {
	t.Helper()
	return serve(t, func(options *server.Options, _ *api.Options) {
		options.Limits = server.DefaultLimits
		options.Limits.Stall = 500 * time.Millisecond
		options.Log = logr.Discard()
	}, answering)
}

// TestAClientThatSaysNothingIsLeft holds connections without a request.
func TestAClientThatSaysNothingIsLeft(t *testing.T) {
	t.Parallel()
	c := serve(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "https://"))
	c.must(err)
	defer func() { _ = conn.Close() }()
	c.must(conn.SetReadDeadline(time.Now().Add(30 * time.Second)))
	if n, err := conn.Read(make([]byte, 1)); err == nil || n > 0 || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the server has said %d bytes: %v", n, err)
	}
}
