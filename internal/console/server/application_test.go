package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/api"
	"github.com/ledgerport/ledgerport/internal/console/server"
)

func TestAnApplicationAsksForARunOnceAndFollowsIt(t *testing.T) {
	t.Parallel()
	c := serve(t, nil)
	app := c.tenant("ledgerport-finance")
	const body = `{"claims": ["one", "two"]}`
	first := app.ask(http.MethodPost, app.path("/runs"), body, "Idempotency-Key", "request-4711")
	run := app.run(first, http.StatusAccepted)
	if !strings.HasPrefix(run.ID, "monthly-") || run.Phase != v1alpha1.RunPending || run.Finished || run.Links.Self != first.Header.Get("Location") || run.Links.Self != app.path("/runs/"+run.ID) {
		t.Errorf("the answer is %s", first.content)
	}
	if again := app.run(app.ask(http.MethodPost, app.path("/runs"), body, "Idempotency-Key", "request-4711"), http.StatusAccepted); again.ID != run.ID {
		t.Errorf("the same request has another run: %s and %s", run.ID, again.ID)
	}
	app.refused(app.ask(http.MethodPost, app.path("/runs"), `{}`, "Idempotency-Key", "request-4711"), http.StatusConflict, "IdempotencyKeyReused", "another key")
	other := app.account("other", "ledgerport-finance")
	if of := app.run(app.ask(http.MethodPost, app.path("/runs"), body, "Idempotency-Key", "request-4711", "Authorization", "Bearer "+other), http.StatusAccepted); of.ID == run.ID {
		t.Error("two callers with the same key have the same run")
	}
	if without := app.run(app.ask(http.MethodPost, app.path("/runs"), ""), http.StatusAccepted); without.ID == run.ID {
		t.Error("a request without a key has the run of another one")
	}
	preview := app.run(app.ask(http.MethodPost, app.path("/runs"), `{"type": "Preview", "cutoff": "2026-01-01T00:00:00+01:00"}`), http.StatusAccepted)
	if preview.Type != v1alpha1.RunPreview {
		t.Errorf("the preview is %+v", preview)
	}
	t.Run("a long poll ends with the time, or with the run", func(t *testing.T) { app.in(t).polls(run.ID) })
	t.Run("a stream tells of each change", func(t *testing.T) { app.in(t).streams(preview.ID) })
}

// in makes the helpers report to a subtest.
func (t *tenant) in(sub *testing.T) *tenant {
	c := &console{T: sub, url: t.url, trusts: t.trusts}
	return &tenant{c, t.namespace, t.token, t.http}
}

func (t *tenant) polls(id string) {
	if waited := t.run(t.ask(http.MethodGet, t.path("/runs/"+id+"?wait=50ms"), ""), http.StatusOK); waited.Finished {
		t.Errorf("it is %+v", waited)
	}
	answered := make(chan answer)
	go func() { answered <- t.ask(http.MethodGet, t.path("/runs/"+id+"?wait=30s"), "") }()
	began := time.Now()
	t.must(finish(t.Context(), t.namespace, id, v1alpha1.RunSucceeded))
	if done := t.run(<-answered, http.StatusOK); !done.Finished || done.Claims != 3 || time.Since(began) > 10*time.Second {
		t.Errorf("after %s it is %+v", time.Since(began), done)
	}
	if known := t.run(t.ask(http.MethodGet, t.path("/runs/"+id+"?wait=30s"), ""), http.StatusOK); !known.Finished {
		t.Errorf("it is %+v", known)
	}
	for _, wrong := range []string{"x", "-1s", "2h", "30"} {
		t.refused(t.ask(http.MethodGet, t.path("/runs/"+id+"?wait="+wrong), ""), http.StatusBadRequest, "BadRequest", "wait")
	}
}

func (t *tenant) streams(id string) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, t.url+t.path("/runs/"+id), http.NoBody)
	t.must(err)
	request.Header.Set("Authorization", "Bearer "+t.token)
	request.Header.Set("Accept", "text/event-stream")
	response, err := t.http.Do(request)
	t.must(err)
	defer func() { _ = response.Body.Close() }()
	if response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("it is answered %s %s", response.Status, response.Header)
	}
	events := bufio.NewScanner(response.Body)
	next := func() (run api.Run) {
		for events.Scan() {
			if data, is := strings.CutPrefix(events.Text(), "data: "); is {
				t.must(json.Unmarshal([]byte(data), &run))
				return run
			}
		}
		t.Fatalf("the stream has ended: %v", events.Err())
		return run
	}
	if first := next(); first.Phase != v1alpha1.RunPending {
		t.Errorf("it begins with %+v", first)
	}
	for _, phase := range []v1alpha1.RunPhase{v1alpha1.RunRunning, v1alpha1.RunFailed} {
		t.must(finish(t.Context(), t.namespace, id, phase))
		if told := next(); told.Phase != phase {
			t.Errorf("it tells of %s, want %s", told.Phase, phase)
		}
	}
	if rest, err := io.ReadAll(response.Body); err != nil || strings.Contains(string(rest), "data:") {
		t.Errorf("behind the end is %q, %v", rest, err)
	}
}

// TestAStreamTellsOfManyEditsNowAndThen edits a run as fast as the API server takes it.
func TestAStreamTellsOfManyEditsNowAndThen(t *testing.T) {
	t.Parallel()
	c := serve(t, nil)
	app := c.tenant("ledgerport-finance")
	run := app.run(app.ask(http.MethodPost, app.path("/runs"), ""), http.StatusAccepted)
	ended := make(chan answer, 1)
	go func() { ended <- app.ask(http.MethodGet, app.path("/runs/"+run.ID), "", "Accept", "text/event-stream") }()
	began := time.Now()
	for i := range 100 {
		edit := fmt.Appendf(nil, `{"metadata":{"annotations":{"edit":"%d"}}}`, i)
		app.must(cluster.admin.Patch(t.Context(), &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: app.namespace, Name: run.ID}}, client.RawPatch(types.MergePatchType, edit)))
	}
	app.must(finish(t.Context(), app.namespace, run.ID, v1alpha1.RunFailed))
	is := <-ended
	told, most := strings.Count(string(is.content), "event: run"), 12+int(time.Since(began).Seconds())
	if told < 2 || told > most || !strings.Contains(string(is.content), `"phase":"Failed"`) {
		t.Errorf("a hundred edits are told %d times, want at most %d and the end", told, most)
	}
}

// TestManyLoginsOfACallerWaitAFewAtOnce has each request wait with a token of its own.
func TestManyLoginsOfACallerWaitAFewAtOnce(t *testing.T) {
	t.Parallel()
	c := serve(t, func(_ *server.Options, answers *api.Options) {
		answers.Limits = api.DefaultLimits
		answers.Limits.Watches, answers.Limits.WatchesOfOne = 4, 2
	})
	app, other := c.tenant("ledgerport-finance"), c.tenant("ledgerport-finance")
	run := app.run(app.ask(http.MethodPost, app.path("/runs"), ""), http.StatusAccepted)
	var group sync.WaitGroup
	defer group.Wait()
	defer func() { app.must(finish(t.Context(), app.namespace, run.ID, v1alpha1.RunFailed)) }()
	var refused atomic.Int64
	for range 5 {
		token, err := tokenFor(t.Context(), app.namespace, "application")
		app.must(err)
		group.Go(func() {
			if app.ask(http.MethodGet, app.path("/runs/"+run.ID+"?wait=60s"), "", "Authorization", "Bearer "+token).StatusCode == http.StatusTooManyRequests {
				refused.Add(1)
			}
		})
	}
	c.until(func() string {
		if refused.Load() < 3 {
			return fmt.Sprintf("%d are refused", refused.Load())
		}
		return ""
	})
	theirs := other.run(other.ask(http.MethodPost, other.path("/runs"), ""), http.StatusAccepted)
	other.run(other.ask(http.MethodGet, other.path("/runs/"+theirs.ID+"?wait=1ms"), ""), http.StatusOK)
}

func TestWhatIsOfOthersIsOutOfReach(t *testing.T) {
	t.Parallel()
	c := serve(t, nil)
	app, other := c.tenant("ledgerport-finance"), c.tenant("ledgerport-finance")
	theirs := other.run(other.ask(http.MethodPost, other.path("/runs"), "", "Idempotency-Key", "a"), http.StatusAccepted)

	app.refused(app.ask(http.MethodGet, other.path("/runs/"+theirs.ID), ""), http.StatusForbidden, "Forbidden", "cannot")
	app.refused(app.ask(http.MethodGet, other.path("/runs/"+theirs.ID+"?wait=5s"), ""), http.StatusForbidden, "Forbidden", "cannot")
	app.refused(app.ask(http.MethodGet, other.path("/runs/"+theirs.ID), "", "Accept", "text/event-stream"), http.StatusForbidden, "Forbidden", "cannot")
	app.refused(app.ask(http.MethodPost, other.path("/runs"), ""), http.StatusForbidden, "Forbidden", "cannot")
	app.refused(app.ask(http.MethodGet, other.path("/runs/"+theirs.ID+"/files/a.csv"), ""), http.StatusForbidden, "Forbidden", "cannot")
	app.refused(app.ask(http.MethodGet, app.path("/runs/"+theirs.ID), ""), http.StatusNotFound, "NotFound")
	mine := app.run(app.ask(http.MethodPost, app.path("/runs"), ""), http.StatusAccepted)
	elsewhere := strings.Replace(app.path("/runs/"+mine.ID), "/exports/monthly/", "/exports/weekly/", 1)
	app.refused(app.ask(http.MethodGet, elsewhere, ""), http.StatusNotFound, "NotFound", "weekly")
	app.refused(app.ask(http.MethodPost, strings.Replace(app.path("/runs"), "monthly", "weekly", 1), ""), http.StatusNotFound, "NotFound")
	viewer := app.account("viewer", "ledgerport-viewer")
	app.refused(app.ask(http.MethodPost, app.path("/runs"), "", "Authorization", "Bearer "+viewer), http.StatusForbidden, "Forbidden", "cannot create")
	app.run(app.ask(http.MethodGet, app.path("/runs/"+mine.ID), "", "Authorization", "Bearer "+viewer), http.StatusOK)
}

func TestTokensThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	c := serve(t, nil)
	app := c.tenant("ledgerport-finance")
	foreign := strings.TrimRight(app.token[:len(app.token)-6], "=") + "AAAAAA" // signed by nobody
	for name, header := range map[string]string{
		"no token": "", "another scheme": "Basic YTpi", "nothing behind the scheme": "Bearer ", "a token with a space": "Bearer a b",
		"a signature of nobody": "Bearer " + foreign, "a word": "Bearer admin", "16 kilobytes": "Bearer " + strings.Repeat("a", 17<<10), "a bracket": "Bearer a}",
	} {
		t.Run(name, func(t *testing.T) {
			is := app.in(t).ask(http.MethodGet, app.path("/held"), "", "Authorization", header)
			app.in(t).refused(is, http.StatusUnauthorized, "Unauthorized")
			if is.Header.Get("WWW-Authenticate") == "" {
				t.Error("it does not say how to log in")
			}
		})
	}
	t.Run("a token whose account is deleted ends", func(t *testing.T) {
		app := app.in(t)
		token := app.account("gone", "ledgerport-finance")
		app.run(app.ask(http.MethodPost, app.path("/runs"), "", "Authorization", "Bearer "+token), http.StatusAccepted)
		app.must(cluster.admin.Delete(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: app.namespace, Name: "gone"}}))
		app.until(func() string { // the API server remembers tokens for ten seconds
			return cmpStatus(app.ask(http.MethodPost, app.path("/runs"), `{"type": "Preview"}`, "Authorization", "Bearer "+token).Response, http.StatusUnauthorized)
		})
	})
}

func TestRequestsThatAreWrongAreAnsweredWithWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := serve(t, nil)
	app := c.tenant("ledgerport-finance")
	runs := app.path("/runs")
	for body, code := range map[string]int{
		`{`: http.StatusBadRequest, `[]`: http.StatusBadRequest, `{"claim": "a"}`: http.StatusBadRequest, `{} {}`: http.StatusBadRequest, `{"cutoff": "yesterday"}`: http.StatusBadRequest,
		`{"type": "Reversal"}`: http.StatusUnprocessableEntity, `{"claims": [""]}`: http.StatusUnprocessableEntity, `{"claims": ["a", "a"]}`: http.StatusUnprocessableEntity,
		`{"claims": ["` + strings.Repeat("a", 600<<10) + `"]}`: http.StatusRequestEntityTooLarge,
	} {
		if is := app.ask(http.MethodPost, runs, body); is.StatusCode != code || is.problem().Status != code {
			t.Errorf("%.60s: %s %.300s, want %d", body, is.Status, is.content, code)
		}
	}
	for _, key := range []string{"a b", strings.Repeat("a", 256), "ä"} {
		app.refused(app.ask(http.MethodPost, runs, "", "Idempotency-Key", key), http.StatusBadRequest, "BadRequest", "Idempotency-Key")
	}
	for _, path := range []string{
		"/api/v1/namespaces/" + app.namespace + "/exports/monthly/runs/..%2F..%2Fsecrets", "/api/v1/namespaces/..%2f..%2fapi/exports/monthly/held", "/api/v1/namespaces/a/exports/" + strings.Repeat("a", 300) + "/held",
		"/api/v1/namespaces/" + app.namespace + "/exports/monthly%0d%0aX-Evil:%20yes/held", "/api/v1/namespaces/" + app.namespace + "/exports/monthly/runs/a%00b", "/api/v2", "/api/v1/namespaces",
		app.path("/runs/no-such-run/files/..%2f..%2fetc%2fpasswd"), app.path("/runs/no-such-run/files/%2e%2e"),
	} {
		is := app.ask(http.MethodGet, path, "")
		app.refused(is, http.StatusNotFound, "NotFound")
		if is.Header.Get("X-Evil") != "" {
			t.Errorf("%s: a header is injected", path)
		}
	}
	if is := app.ask(http.MethodGet, "/api/v1/namespaces/a/../../../../etc/passwd", ""); is.StatusCode/100 == 2 {
		t.Errorf("it is answered %s %s", is.Status, is.content)
	}
	is := app.ask(http.MethodDelete, app.path("/runs/a"), "")
	app.refused(is, http.StatusMethodNotAllowed, "MethodNotAllowed")
	if is.Header.Get("Allow") != http.MethodGet {
		t.Errorf("allowed is %q", is.Header.Get("Allow"))
	}
}

func TestEveryAnswerHasTheHeadersThatKeepBrowsersFromHarm(t *testing.T) {
	t.Parallel()
	c := serve(t, nil)
	app := c.tenant("ledgerport-finance")
	for _, path := range []string{app.path("/runs/a"), "/", "/login", "/nothing", "/healthz", api.DocumentPath} {
		is := app.ask(http.MethodGet, path, "")
		for name, want := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if have := is.Header.Get(name); have != want {
				t.Errorf("%s: %s is %q", path, name, have)
			}
		}
		if have := is.Header.Get("Content-Security-Policy"); !strings.Contains(have, "default-src 'none'") || !strings.Contains(have, "frame-ancestors 'none'") || strings.Contains(have, "unsafe") {
			t.Errorf("%s: the policy is %q", path, have)
		}
		if is.Header.Get("Strict-Transport-Security") == "" || is.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, is.Header)
		}
	}
}

func TestAnotherSiteChangesNothing(t *testing.T) {
	t.Parallel()
	c := serve(t, nil)
	app := c.tenant("ledgerport-finance")
	is := app.ask(http.MethodPost, app.path("/runs"), "", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
	app.refused(is, http.StatusForbidden, "CrossOrigin")
	app.refused(app.ask(http.MethodPost, "/login", url.Values{"token": {app.token}}.Encode(), "Origin", "https://evil.example", "Authorization", ""), http.StatusForbidden, "CrossOrigin")
	app.refused(app.ask(http.MethodPost, "/logout", "", "Sec-Fetch-Site", "same-site"), http.StatusForbidden, "CrossOrigin")
	app.run(app.ask(http.MethodPost, app.path("/runs"), "", "Sec-Fetch-Site", "same-origin", "Origin", c.url), http.StatusAccepted)
}

// namespaceWatches is how many watches of the runs of one namespace the API server has.
func namespaceWatches(t *testing.T) string {
	t.Helper()
	asking, err := discovery.NewDiscoveryClientForConfig(cluster.plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := asking.RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(metrics)) {
		if strings.HasPrefix(line, "apiserver_longrunning_requests{") && strings.Contains(line, `resource="exportruns"`) && strings.Contains(line, `scope="namespace"`) {
			return line
		}
	}
	return ""
}

func TestAnAPIServerThatIsAwayIsSaidSo(t *testing.T) { //nolint:paralleltest // it takes the API server of all tests away
	c := serve(t, nil)
	app := c.tenant("ledgerport-finance")
	run := app.run(app.ask(http.MethodPost, app.path("/runs"), "", "Idempotency-Key", "away"), http.StatusAccepted)
	answered, watches := make(chan answer), namespaceWatches(t)
	go func() { answered <- app.ask(http.MethodGet, app.path("/runs/"+run.ID+"?wait=60s"), "") }()
	app.until(func() string { // who comes only when it is away hears that
		if namespaceWatches(t) == watches {
			return "nobody waits yet"
		}
		return ""
	})
	app.run(app.ask(http.MethodGet, app.path("/runs/"+run.ID), ""), http.StatusOK) // as who waits does when the watch has begun
	restarted := make(chan error)
	go func() { restarted <- cluster.plane.RestartAPIServer(context.Background(), 2*time.Second) }()
	app.until(func() string {
		is := app.ask(http.MethodGet, app.path("/runs/"+run.ID), "")
		if is.StatusCode == http.StatusServiceUnavailable && is.Header.Get("Retry-After") != "" && is.problem().Code == "Unavailable" {
			return ""
		}
		return is.Status
	})
	app.must(<-restarted)
	app.until(func() string {
		if err := finish(t.Context(), app.namespace, run.ID, v1alpha1.RunSucceeded); err != nil {
			return err.Error()
		}
		return ""
	})
	if done := app.run(<-answered, http.StatusOK); !done.Finished {
		t.Errorf("who waited meanwhile hears %+v", done)
	}
}
