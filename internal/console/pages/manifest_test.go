package pages

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"github.com/ledgerport/ledgerport/internal/console/identity"
)

// manyValues is an API server with a run whose manifest has more values than any that is delivered, as its owner's own bucket may.
func manyValues(manifest string) http.Handler {
	hash := sha256.Sum256([]byte(manifest))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/files/manifest.json"):
			_, _ = io.WriteString(w, manifest)
		case strings.HasSuffix(r.URL.Path, "/files"):
			_, _ = fmt.Fprintf(w, `{"items":[{"name":"manifest.json","size":%d,"mediaType":"application/json","sha256":"%x"}]}`, len(manifest), hash)
		case strings.Contains(r.URL.Path, "/exportruns/"):
			_, _ = io.WriteString(w, `{"metadata":{"namespace":"acme","name":"run-0"},"spec":{"exportRef":{"name":"monthly"}},"status":{"phase":"Succeeded"}}`)
		default:
			_, _ = io.WriteString(w, "{}")
		}
	})
}

// TestAManifestOfManyValuesIsNotDecoded checks the files of a run of somebody whose manifest takes a hundred times as much memory as it has bytes.
func TestAManifestOfManyValuesIsNotDecoded(t *testing.T) { //nolint:paralleltest // it measures memory
	api := httptest.NewServer(manyValues(`{"files":[{}` + strings.Repeat(",{}", 1<<20) + `]}`))
	t.Cleanup(api.Close)
	pages := Handler(Options{Clusters: anywhere(api.URL), Log: logr.Discard()})
	request := httptest.NewRequest(http.MethodGet, "/namespaces/acme/runs/run-0?check=now", http.NoBody)
	answer := httptest.NewRecorder()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	pages.ServeHTTP(answer, request.WithContext(identity.With(request.Context(), identity.Caller{Name: "anna"})))
	runtime.ReadMemStats(&after)
	if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), "manifest.json") {
		t.Fatalf("it is answered %d: %s", answer.Code, answer.Body)
	}
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 40 {
		t.Errorf("a manifest of 3 MiB takes %d MiB", took)
	}
}
