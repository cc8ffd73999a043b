package pages

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"github.com/ledgerport/ledgerport/internal/console/burden"
	"github.com/ledgerport/ledgerport/internal/console/identity"
)

// longRuns is an API server with runs of a namespace, each with as much in its annotations as an object may have. A page has five bytes for each of theirs.
func longRuns(runs int) http.Handler {
	run := func(i int) string {
		return fmt.Sprintf(`{"metadata":{"namespace":"acme","name":"run-%d","annotations":{"accounting.ledgerport.dev/reason":%q,"accounting.ledgerport.dev/requested-by":%[2]q,"accounting.ledgerport.dev/cancelled-by":%[2]q}},`+
			`"spec":{"exportRef":{"name":"monthly"},"cancel":true}}`, i, strings.Repeat("'", 85_000))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !strings.HasSuffix(r.URL.Path, "/exportruns") {
			_, _ = io.WriteString(w, run(0))
			return
		}
		_, _ = io.WriteString(w, `{"kind":"ExportRunList","apiVersion":"accounting.ledgerport.dev/v1alpha1","metadata":{},"items":[`)
		for i := range runs {
			if i > 0 {
				_, _ = io.WriteString(w, ",")
			}
			_, _ = io.WriteString(w, run(i))
		}
		_, _ = io.WriteString(w, "]}")
	})
}

func TestLongTextsOfRunsMakeNoLongPages(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(longRuns(10))
	t.Cleanup(api.Close)
	pages := Handler(Options{Clusters: anywhere(api.URL), Log: logr.Discard()})
	for _, path := range []string{"/namespaces/acme/audit", "/namespaces/acme/audit.csv", "/namespaces/acme/runs/run-0", "/namespaces/acme/runs/run-0/cancellation", "/namespaces/acme/runs/run-0/imported", "/namespaces/acme/exports/monthly"} {
		t.Run(strings.NewReplacer("/", " ", ".", " ", "-", " ").Replace(path), func(t *testing.T) {
			t.Parallel()
			answer := httptest.NewRecorder()
			request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			pages.ServeHTTP(answer, request.WithContext(identity.With(request.Context(), identity.Caller{Name: "anna"})))
			if size := answer.Body.Len(); size > 256<<10 {
				t.Errorf("the page has %d bytes", size)
			}
		})
	}
}

// reluctant takes nothing of an answer before somebody has looked at what is held for it.
type reluctant struct {
	*httptest.ResponseRecorder
	held func(size int)
}

// Write implements http.ResponseWriter.
func (r reluctant) Write(p []byte) (int, error) {
	r.held(len(p))
	return r.ResponseRecorder.Write(p)
}

func TestAPageIsHeldUntilItIsTaken(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(longRuns(10))
	t.Cleanup(api.Close)
	pages := Handler(Options{Clusters: anywhere(api.URL), Log: logr.Discard()})
	for name, test := range map[string]struct {
		each int64
		code int
	}{
		"a page of somebody who has little held": {64 << 20, http.StatusOK},
		"a page of somebody who has much held":   {32 << 10, http.StatusTooManyRequests},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scale := burden.NewScale(burden.Limits{All: 64 << 20, Each: test.each})
			load := scale.Begin("anna")
			request := httptest.NewRequest(http.MethodGet, "/namespaces/acme/audit", http.NoBody)
			answer := reluctant{httptest.NewRecorder(), func(size int) {
				if test.code != http.StatusOK {
					return
				}
				other := scale.Begin("anna")
				defer other.End()
				if other.Add(test.each-int64(size)) != nil || other.Add(1) == nil {
					t.Errorf("something else than the %d bytes of the page is held", size)
				}
			}}
			ctx := burden.With(identity.With(request.Context(), identity.Caller{Name: "anna"}), load)
			pages.ServeHTTP(answer, request.WithContext(ctx))
			if answer.Code != test.code {
				t.Errorf("it is answered %d", answer.Code)
			}
		})
	}
}

func TestAPageThatIsTooLongIsNotMade(t *testing.T) {
	t.Parallel()
	made := making{ctx: t.Context()}
	for range largestPage / (1 << 20) {
		if _, err := made.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := made.Write([]byte{0}); refusalOf(err).code != http.StatusServiceUnavailable {
		t.Errorf("a page goes on: %v", err)
	}
}
