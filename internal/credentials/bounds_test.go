package credentials

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/footprint"
)

// serve returns a client of an API server that has one object, which is JSON.
func serve(t *testing.T, object string) client.Reader {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(object, `"Secret"`) != strings.Contains(r.URL.Path, "/secrets/") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(object))
	}))
	t.Cleanup(server.Close)
	scheme := kruntime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(ExternalSecretKind, meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	api, err := client.New(&rest.Config{Host: server.URL, QPS: -1}, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// many repeats a text, with its number where it has room for that, up to the size of what the API server stores.
func many(format string) string {
	var all []string
	for size := 0; size < 1_380_000; size += len(all[len(all)-1]) + 1 {
		one := format
		if strings.Contains(format, "%") {
			one = fmt.Sprintf(format, len(all))
		}
		all = append(all, one)
	}
	return strings.Join(all, ",")
}

// TestCredentialsTakeMemoryInTurn has many workers read objects of 1.4 MB in values of a few bytes.
func TestCredentialsTakeMemoryInTurn(t *testing.T) { //nolint:paralleltest // it measures memory
	const workers = 8
	external := func(rest string) string {
		return `{"apiVersion":"external-secrets.io/v1","kind":"ExternalSecret","metadata":{"name":"a","namespace":"b"` + rest + `}`
	}
	for name, object := range map[string]string{
		"data of an ExternalSecret":       external(`},"spec":{"dataFrom":[` + many(`{}`) + `]}`),
		"labels of an ExternalSecret":     external(`,"labels":{` + many(`"%05x":""`) + `}}`),
		"conditions of an ExternalSecret": external(`},"status":{"conditions":[` + many(`{}`) + `]}`),
		"data of a Secret":                `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"b"},"data":{` + many(`"%05x":""`) + `}}`,
	} {
		t.Run(name, func(t *testing.T) {
			most := uint64(45 << 20)
			secrets := Secrets{API: serve(t, object), Turns: semaphore.NewWeighted(AtOnce)}
			ref := Reference{Kind: "ClaimSource", Namespace: "b", Name: "c", Keys: []string{"url"}, Secret: "a"}
			if strings.Contains(object, "ExternalSecret") {
				ref.Secret, ref.External = "", &v1alpha1.ExternalSecretReference{Name: "a"}
			} else {
				most *= 2 // of JSON; a server that answers in protocol buffers makes less of it
			}
			live := func() uint64 {
				var memory runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&memory)
				return memory.HeapAlloc
			}
			before := live()
			peak := before
			var all sync.WaitGroup
			for range workers {
				all.Go(func() {
					if _, err := secrets.Find(t.Context(), ref); err == nil {
						t.Error("a key is found that is not there")
					}
				})
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				all.Wait()
			}()
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true
				case <-time.After(10 * time.Millisecond):
					peak = max(peak, live())
				}
			}
			t.Logf("%d MiB", (peak-before)>>20)
			if peak > before+most {
				t.Errorf("%d MiB are live at once", (peak-before)>>20)
			}
		})
	}
}

func TestWhatIsFoundHasTheKeysThatAreAskedForAlone(t *testing.T) {
	t.Parallel()
	secrets := Secrets{API: serve(t, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"b"},"data":{"url":"eA==","hosts":"eQ==",`+many(`"%05x":""`)+`}}`)}
	found, err := secrets.Find(t.Context(), Reference{Kind: "AccountingExport", Namespace: "b", Name: "c", Secret: "a", Keys: []string{"url"}, Optional: []string{"hosts", "others"}})
	if err != nil || len(found.Data) != 2 || string(found.Data["url"]) != "x" || string(found.Data["hosts"]) != "y" || footprint.Of(&found) > 1000 {
		t.Errorf("%d keys are found (%v)", len(found.Data), err)
	}
}

func TestAnExternalSecretIsReadAsItIs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"status":{}`:                  "was not synced yet",
		`"status":{"conditions":null}`: "was not synced yet",
		`"status":{"conditions":[]}`:   "was not synced yet",
		`"status":{"conditions":[{}]}`: "was not synced yet",
		`"status":{"conditions":[{"type":"Deleted","status":"True"},{"type":"Ready","status":"False","reason":"SecretSyncedError","message":"no access"}]}`: "is not synced: SecretSyncedError: no access",
		`"status":{"refreshTime":"2020-01-02T03:04:05Z","conditions":[{"type":"Ready","status":"True"}]}`:                                                   "was last synced at 2020-01-02T03:04:05Z",
	} {
		secrets := Secrets{API: serve(t, `{"apiVersion":"external-secrets.io/v1","kind":"ExternalSecret","metadata":{"name":"a","namespace":"b"},`+text+`}`)}
		ref := Reference{Kind: "ClaimSource", Namespace: "b", Name: "c", External: &v1alpha1.ExternalSecretReference{Name: "a"}, Keys: []string{"url"}}
		ref.External.MaxAge = &metav1.Duration{Duration: time.Hour}
		if _, err := secrets.Find(t.Context(), ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("of %s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		`"spec":{}`: "b/a ", `"spec":{"target":{"name":"bound"}}`: "b/bound ",
		`"spec":{"target":{"name":"bound"}},"status":{"binding":{"name":"now"}}`: "b/now ",
	} {
		status := `"status":{"conditions":[{"type":"Ready","status":"True"}]}`
		if before, binding, has := strings.Cut(text, `,"status":{`); has {
			text, status = before, `"status":{"conditions":[{"type":"Ready","status":"True"}],`+binding
		}
		secrets := Secrets{API: serve(t, `{"apiVersion":"external-secrets.io/v1","kind":"ExternalSecret","metadata":{"name":"a","namespace":"b"},`+text+`,`+status+`}`)}
		_, err := secrets.Find(t.Context(), Reference{Kind: "ClaimSource", Namespace: "b", Name: "c", External: &v1alpha1.ExternalSecretReference{Name: "a"}})
		if err == nil || !strings.Contains(err.Error(), "Secret "+want+"does not exist") {
			t.Errorf("of %s: %v", text, err)
		}
	}
}
