package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/api"
	"github.com/ledgerport/ledgerport/internal/console/server"
)

// dial opens a connection that speaks a protocol, until the test ends.
func (c *console) dial(protocol string) *tls.Conn {
	c.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(c.url, "https://"), &tls.Config{RootCAs: c.trusts, ServerName: "localhost", NextProtos: []string{protocol}})
	c.must(err)
	c.Cleanup(func() { _ = conn.Close() })
	return conn
}

// large makes an object of a tenant 1.2 MB long, as its owner may.
func (t *tenant) large(object client.Object, name string) {
	t.Helper()
	object.SetNamespace(t.namespace)
	object.SetName(name)
	owner := fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","uid":"x","name":%q}]}}`, strings.Repeat("a", 1_200_000))
	t.must(cluster.admin.Patch(t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(owner))))
}

// TestHeadersThatDoNotEndMakeRoom sends headers that do not end, on many connections, without a token. Most of them are ended long before
// their time is over, and a caller is answered.
func TestHeadersThatDoNotEndMakeRoom(t *testing.T) {
	t.Parallel()
	c := serve(t, func(options *server.Options, _ *api.Options) {
		options.Limits = server.DefaultLimits
		options.Limits.Unanswered = 1 << 20
	})
	app := c.tenant("ledgerport-finance")
	header := "GET /login HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 60<<10)
	var ended atomic.Int64
	var group sync.WaitGroup
	defer group.Wait()
	const connections = 50
	for range connections {
		conn := c.dial("http/1.1")
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		_, _ = io.WriteString(conn, header)
		began := time.Now()
		group.Go(func() {
			if _, err := conn.Read(make([]byte, 1)); err != nil && time.Since(began) < 8*time.Second {
				ended.Add(1)
			}
		})
	}
	app.run(app.ask(http.MethodPost, app.path("/runs"), ""), http.StatusAccepted)
	c.until(func() string {
		if is := ended.Load(); is < connections/2 {
			return fmt.Sprintf("%d connections are ended", is)
		}
		return ""
	})
}

// TestAnswersThatNobodyTakesMakeRoom asks for pages with long headers on connections of HTTP/2, and takes nothing of the answers. The oldest of
// them are ended, and a caller is answered.
func TestAnswersThatNobodyTakesMakeRoom(t *testing.T) {
	t.Parallel()
	c := serve(t, func(options *server.Options, _ *api.Options) {
		options.Limits = server.DefaultLimits
		options.Limits.Unanswered = 20 << 20
	})
	app := c.tenant("ledgerport-finance")
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "localhost"}, {Name: ":path", Value: "/login"}, {Name: "x", Value: strings.Repeat("a", 8<<10), Sensitive: true}} {
		c.must(encoder.WriteField(field))
	}
	const connections, streams = 10, 200
	var ended atomic.Int64
	var group sync.WaitGroup
	defer group.Wait()
	for range connections {
		conn := c.dial("h2")
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		began := time.Now()
		_, err := io.WriteString(conn, http2.ClientPreface)
		c.must(err)
		framer := http2.NewFramer(conn, conn)
		c.must(framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})) // nothing is taken
		group.Go(func() {
			for {
				if _, err := framer.ReadFrame(); err != nil {
					if time.Since(began) < 15*time.Second {
						ended.Add(1)
					}
					return
				}
			}
		})
		for stream := range uint32(streams) {
			if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*stream + 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}) != nil {
				break // it was ended
			}
		}
	}
	c.until(func() string {
		if is := ended.Load(); is < connections/2 {
			return fmt.Sprintf("%d connections are ended", is)
		}
		return ""
	})
	app.run(app.ask(http.MethodPost, app.path("/runs"), ""), http.StatusAccepted)
}

// refusedHalf sends half a megabyte of a request for a run, and not its end. It reports whether that is refused for what others hold.
func (t *tenant) refusedHalf(ctx context.Context) bool {
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: t.trusts, ServerName: "localhost"}}
	conn, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(t.url, "https://"))
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 500000\r\n\r\n", t.path("/runs"), t.token)
	_, _ = io.WriteString(conn, `{"claims":["`+strings.Repeat(`","`, 130_000))
	answer := make([]byte, 12)
	n, _ := io.ReadFull(conn, answer)
	return strings.HasPrefix(string(answer[:n]), "HTTP/1.1 429")
}

// TestDocumentsThatDoNotEndAreRefused sends large requests for runs at once, and not the end of them. Most are refused at once, and
// somebody else is answered.
func TestDocumentsThatDoNotEndAreRefused(t *testing.T) {
	t.Parallel()
	c := serve(t, func(options *server.Options, _ *api.Options) {
		options.Limits = server.DefaultLimits
		options.Limits.Held.Each = 2 << 20 // four or five of them
	})
	greedy, other := c.tenant("ledgerport-finance"), c.tenant("ledgerport-finance")
	const requests = 20
	var refused atomic.Int64
	var group sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer group.Wait()
	defer cancel()
	for range requests {
		group.Go(func() {
			for ctx.Err() == nil && !greedy.refusedHalf(ctx) { // what is not refused is tried again when its time is over
			}
			refused.Add(1)
		})
	}
	c.until(func() string {
		if is := refused.Load(); is < requests/2 {
			return fmt.Sprintf("%d are refused", is)
		}
		return ""
	})
	other.run(other.ask(http.MethodPost, other.path("/runs"), ""), http.StatusAccepted)
}

// held has answers about exports come to their end when the test has looked.
type held struct {
	net     http.RoundTripper
	until   chan struct{}
	waiting *atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (h held) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := h.net.RoundTrip(request)
	if err == nil && strings.Contains(request.URL.Path, "/accountingexports/") {
		answer.Body = &ending{ReadCloser: answer.Body, held: h}
	}
	return answer, err
}

type ending struct {
	io.ReadCloser
	held held
}

// Read implements io.Reader.
func (e *ending) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if err != nil {
		e.held.waiting.Add(1)
		<-e.held.until
	}
	return n, err
}

// TestLargeAnswersAreReadAFewAtOnce asks for runs of an export of more than a megabyte, which is read for each. What is read at the same time for
// one caller is bounded, and somebody else is answered.
func TestLargeAnswersAreReadAFewAtOnce(t *testing.T) {
	t.Parallel()
	until, waiting := make(chan struct{}), &atomic.Int64{}
	release := sync.OnceFunc(func() { close(until) })
	c := serve(t, func(options *server.Options, _ *api.Options) {
		options.Limits = server.DefaultLimits
		options.Limits.Held.Each = 4 << 20
		options.Cluster = rest.CopyConfig(options.Cluster)
		options.Cluster.Wrap(func(next http.RoundTripper) http.RoundTripper { return held{next, until, waiting} })
	})
	greedy, other := c.tenant("ledgerport-finance"), c.tenant("ledgerport-finance")
	greedy.large(&v1alpha1.AccountingExport{}, "monthly")
	const requests = 8
	var group sync.WaitGroup
	defer group.Wait()
	defer release()
	var refused atomic.Int64
	for range requests {
		group.Go(func() {
			for {
				is := greedy.ask(http.MethodPost, greedy.path("/runs"), "", "Idempotency-Key", "same")
				if is.StatusCode == http.StatusTooManyRequests {
					refused.Add(1)
				}
				if is.StatusCode != http.StatusGatewayTimeout { // of a machine that is slow
					return
				}
			}
		})
	}
	c.until(func() string {
		if is, more := refused.Load(), waiting.Load(); is < requests/2 {
			return fmt.Sprintf("%d are refused, and %d are held", is, more)
		}
		return ""
	})
	answered := make(chan answer, 1)
	go func() { answered <- other.ask(http.MethodPost, other.path("/runs"), "") }()
	before := waiting.Load()
	c.until(func() string {
		if waiting.Load() == before {
			return "nobody else is being answered"
		}
		return ""
	})
	release()
	other.run(<-answered, http.StatusAccepted)
}

// TestLoginsThatWaitForALargeRunAreToldSoon has many logins of a tenant wait for a run, each with a watch of its own, and the run become large. Few
// of them go on waiting.
func TestLoginsThatWaitForALargeRunAreToldSoon(t *testing.T) {
	t.Parallel()
	c := serve(t, func(options *server.Options, _ *api.Options) {
		options.Limits = server.DefaultLimits
		options.Limits.Held.Each = 4 << 20
	})
	app, other := c.tenant("ledgerport-finance"), c.tenant("ledgerport-finance")
	run := app.run(app.ask(http.MethodPost, app.path("/runs"), ""), http.StatusAccepted)
	const logins = 12
	var told atomic.Int64
	var group sync.WaitGroup
	for range logins {
		token, err := tokenFor(t.Context(), app.namespace, "application")
		c.must(err)
		group.Go(func() {
			app.ask(http.MethodGet, app.path("/runs/"+run.ID+"?wait=60s"), "", "Authorization", "Bearer "+token)
			told.Add(1)
		})
	}
	app.large(&v1alpha1.ExportRun{}, run.ID)
	c.until(func() string {
		if is := told.Load(); is < logins/2 {
			return fmt.Sprintf("%d are told", is)
		}
		return ""
	})
	theirs := other.run(other.ask(http.MethodPost, other.path("/runs"), ""), http.StatusAccepted)
	app.must(finish(t.Context(), other.namespace, theirs.ID, v1alpha1.RunSucceeded))
	other.run(other.waitFor(theirs.ID, "10s"), http.StatusOK)
	app.must(finish(t.Context(), app.namespace, run.ID, v1alpha1.RunSucceeded))
	group.Wait()
}
