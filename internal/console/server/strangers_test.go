package server_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
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
	go func() { waited <- app.waitFor(run.ID, "60s") }()
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

// TestLoginsThatAreNeverSentAreGivenUp begins a thousand logins by a form, on a few connections of HTTP/2, and sends none of the forms. Most are
// given up before their time is over, so that they take no memory, and who sends a form logs in meanwhile.
func TestLoginsThatAreNeverSentAreGivenUp(t *testing.T) {
	t.Parallel()
	const connections, logins = 4, 1000
	c := serve(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var given atomic.Int64
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	for range connections {
		browser := c.client()
		page, err := browser.Get(c.url + "/login") //nolint:bodyclose // readAll does; the connection is there
		c.must(err)
		c.readAll(page)
		for range logins / connections {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/login", never{ctx})
			c.must(err)
			request.ContentLength = 100
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			group.Go(func() {
				response, err := browser.Do(request)
				if err != nil {
					return // the test has ended
				}
				if response.StatusCode == http.StatusUnauthorized {
					given.Add(1)
				}
				_ = response.Body.Close()
			})
		}
	}
	began := time.Now()
	c.until(func() string {
		if given.Load() < logins-100 {
			return fmt.Sprintf("%d logins are given up", given.Load())
		}
		return ""
	})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("logins are given up after %s", took)
	}
	honest := c.tenant("")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/login", strings.NewReader(url.Values{"token": {honest.token}}.Encode()))
	c.must(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := honest.http.Do(request) //nolint:bodyclose // readAll does
	c.must(err)
	if answer := c.readAll(response); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("who sends a form gets %s", answer.Status)
	}
}

// never is a body that does not come.
type never struct{ ctx context.Context }

// Read implements io.Reader.
func (n never) Read([]byte) (int, error) {
	<-n.ctx.Done()
	return 0, n.ctx.Err()
}

// TestAccountsOfANamespaceHaveOneShare asks with two accounts that a tenant has made.
func TestAccountsOfANamespaceHaveOneShare(t *testing.T) {
	t.Parallel()
	c := serve(t, func(options *server.Options, answers *api.Options) {
		answers.Limits = api.DefaultLimits
		answers.Limits.Waiting, answers.Limits.WaitingOfOne = 4, 2
	})
	greedy, other := c.tenant("ledgerport-finance"), c.tenant("ledgerport-finance")
	run := greedy.run(greedy.ask(http.MethodPost, greedy.path("/runs"), ""), http.StatusAccepted)
	var waiting sync.WaitGroup
	for i := range 4 {
		account := &tenant{c, greedy.namespace, greedy.account(fmt.Sprintf("account-%d", i), "ledgerport-finance"), c.client()}
		waiting.Go(func() { account.ask(http.MethodGet, greedy.path("/runs/"+run.ID+"?wait=60s"), "") })
	}
	further := &tenant{c, greedy.namespace, greedy.account("further", "ledgerport-finance"), c.client()}
	c.until(func() string {
		is := further.ask(http.MethodGet, greedy.path("/runs/"+run.ID+"?wait=1ms"), "")
		if is.StatusCode == http.StatusTooManyRequests {
			return ""
		}
		return is.Status
	})
	theirs := other.run(other.ask(http.MethodPost, other.path("/runs"), ""), http.StatusAccepted)
	other.run(other.ask(http.MethodGet, other.path("/runs/"+theirs.ID+"?wait=1ms"), ""), http.StatusOK)
	greedy.must(finish(t.Context(), greedy.namespace, run.ID, v1alpha1.RunSucceeded))
	waiting.Wait()
}
