package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/footprint"
)

// largeRuns is a client of an API server whose runs have metadata, as JSON, of which a cache has a part.
func largeRuns(t *testing.T, metadata string) patient {
	t.Helper()
	answer := func(name string) []byte {
		return []byte(`{"apiVersion":"accounting.ledgerport.dev/v1alpha1","kind":"ExportRun","metadata":{"name":"` + name + `","namespace":"theirs","uid":"u","resourceVersion":"7",` +
			metadata + `},"spec":{"exportRef":{"name":"x"}}}`)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer(path.Base(strings.TrimSuffix(r.URL.Path, "/status"))))
	}))
	t.Cleanup(server.Close)
	scheme := kruntime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(v1alpha1.GroupVersion.WithKind("ExportRun"), meta.RESTScopeNamespace)
	api, err := client.New(&rest.Config{Host: server.URL, QPS: -1}, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	var stored v1alpha1.ExportRun
	if err := json.Unmarshal(answer("large"), &stored); err != nil {
		t.Fatal(err)
	}
	if _, err := lean(&stored); err != nil {
		t.Fatal(err)
	}
	return patient{caching{api, &stored}, api, semaphore.NewWeighted(wholeAtOnce)}
}

// caching has one run.
type caching struct {
	client.Client
	run *v1alpha1.ExportRun
}

// Get implements client.Reader.
func (c caching) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	c.run.DeepCopyInto(object.(*v1alpha1.ExportRun))
	return nil
}

// atMost fails where more than so many bytes are live at any time while something is done by several at once.
func atMost(t *testing.T, bytes uint64, workers int, do func()) {
	t.Helper()
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
		all.Go(do)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		all.Wait()
	}()
	for {
		select {
		case <-done:
			t.Logf("%d at once: %d MiB", workers, (peak-before)>>20)
			if peak > before+bytes {
				t.Errorf("%d MiB are live at once", (peak-before)>>20)
			}
			return
		case <-time.After(20 * time.Millisecond):
			peak = max(peak, live())
		}
	}
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

// TestLargeObjectsTakeMemoryInTurn has many workers read objects of 1.4 MB in small values, hold them, and write them.
func TestLargeObjectsTakeMemoryInTurn(t *testing.T) { //nolint:paralleltest // it measures memory
	const workers, most = 8, 70 << 20
	for name, metadata := range map[string]string{
		"labels":     `"labels":{` + many(`"%05x":""`) + `}`,
		"finalizers": `"finalizers":[` + many(`"a"`) + `]`,
	} {
		t.Run(name, func(t *testing.T) {
			c := largeRuns(t, metadata)
			var held sync.Map
			atMost(t, most, workers, func() {
				var run v1alpha1.ExportRun
				if err := c.Get(t.Context(), client.ObjectKey{Namespace: "theirs", Name: "large"}, &run); err != nil || run.Spec.ExportRef.Name != "x" {
					t.Errorf("%+v (%v)", run.Spec, err)
				}
				held.Store(&run, nil)
			})
			held.Range(func(run, _ any) bool {
				if bytes := footprint.Of(run); bytes > 4<<10 {
					t.Errorf("one holds %d bytes while it waits", bytes)
				}
				return true
			})
			write := func(write func(before, after *v1alpha1.ExportRun) error) func() {
				return func() {
					before := c.Client.(caching).run.DeepCopy()
					after := before.DeepCopy()
					if err := write(before, after); err != nil || after.ResourceVersion != "7" {
						t.Errorf("version %s (%v)", after.ResourceVersion, err)
					}
					if bytes := footprint.Of(after); bytes > 4<<10 {
						t.Errorf("one holds %d bytes after a write", bytes)
					}
				}
			}
			t.Run("statuses", func(t *testing.T) {
				atMost(t, most, workers, write(func(before, after *v1alpha1.ExportRun) error {
					after.Status.ObservedGeneration = 7
					return report.Patch(t.Context(), c, before, after)
				}))
			})
			t.Run("belongings", func(t *testing.T) {
				atMost(t, most, workers, write(func(before, after *v1alpha1.ExportRun) error {
					after.Finalizers = append(after.Finalizers, v1alpha1.RunFinalizer)
					return c.Patch(t.Context(), after, report.UnchangedSince(before))
				}))
			})
		})
	}
}

// TestAPatchOfWhatIsKeptInPartLeavesWhatOthersHaveWritten changes the operator's own finalizers and owner.
func TestAPatchOfWhatIsKeptInPartLeavesWhatOthersHaveWritten(t *testing.T) {
	t.Parallel()
	scheme := kruntime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	owner := func(name, uid string, controls *bool) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: "v1", Kind: "A", Name: name, UID: types.UID(uid), Controller: controls}
	}
	long := strings.Repeat("u", 2000)
	for name, test := range map[string]struct {
		finalizers []string
		owners     []metav1.OwnerReference
		change     func(*v1alpha1.ExportRun)
		want       []string // finalizers, and names of owners
		controller types.UID
	}{
		"a finalizer is put on": {
			[]string{"a/b"}, []metav1.OwnerReference{owner("o", "1", nil)},
			func(run *v1alpha1.ExportRun) { run.Finalizers = append(run.Finalizers, v1alpha1.RunFinalizer) }, []string{"a/b", v1alpha1.RunFinalizer, "o"}, "",
		},
		"a finalizer is taken away, and a controller with a long UID stays": {
			[]string{v1alpha1.RunFinalizer, "a/b"}, []metav1.OwnerReference{owner("o", "1", nil), owner("p", long, ptr.To(true))},
			func(run *v1alpha1.ExportRun) { run.Finalizers = nil }, []string{"a/b", "o", "p"}, types.UID(long),
		},
		"another controller takes the place of one": {
			[]string{"a/b"}, []metav1.OwnerReference{owner("o", "1", ptr.To(true)), owner("p", "2", nil)},
			func(run *v1alpha1.ExportRun) {
				run.OwnerReferences[0].Controller = nil
				run.OwnerReferences = append(run.OwnerReferences, owner("q", "3", ptr.To(true)))
			}, []string{"a/b", "o", "p", "q"}, "3",
		},
		"an owner comes to be the controller": {
			[]string{"a/b", "c/d"}, []metav1.OwnerReference{owner("o", "1", nil), owner("p", "2", nil)},
			func(run *v1alpha1.ExportRun) {
				run.OwnerReferences = []metav1.OwnerReference{owner("o", "3", ptr.To(true))}
			}, []string{"a/b", "c/d", "p", "o"}, "3",
		},
		"the last finalizer": {
			[]string{v1alpha1.RunFinalizer}, nil, func(run *v1alpha1.ExportRun) { run.Finalizers = nil }, []string{}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Name: "large", Namespace: "theirs", Finalizers: test.finalizers, OwnerReferences: test.owners, Labels: map[string]string{"theirs": "too"}}}
			run.Spec.ExportRef.Name = "x"
			api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(run).Build()
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(run), run); err != nil {
				t.Fatal(err)
			}
			before := run.DeepCopy()
			leaveOutOthers(before)
			after := before.DeepCopy()
			test.change(after)
			c := patient{api, api, semaphore.NewWeighted(1)}
			if err := c.Patch(t.Context(), after, report.UnchangedSince(before)); err != nil {
				t.Fatal(err)
			}
			var now v1alpha1.ExportRun
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(run), &now); err != nil {
				t.Fatal(err)
			}
			got := slices.Concat([]string{}, now.Finalizers)
			for _, one := range now.OwnerReferences {
				got = append(got, one.Name)
			}
			controller := types.UID("")
			if of := metav1.GetControllerOf(&now); of != nil {
				controller = of.UID
			}
			if !slices.Equal(got, test.want) || controller != test.controller || now.Labels["theirs"] != "too" || now.Spec.ExportRef.Name != "x" {
				t.Errorf("it has %v, and %.10s controls it; %+v", got, controller, now.ObjectMeta)
			}
			if after.ResourceVersion != now.ResourceVersion || after.ResourceVersion == before.ResourceVersion {
				t.Errorf("it is version %s, and was %s; %s is known", now.ResourceVersion, before.ResourceVersion, after.ResourceVersion)
			}
			if err := c.Patch(t.Context(), after, report.UnchangedSince(before)); err != nil {
				t.Errorf("a patch of what is known: %v", err)
			}
			stale := before.DeepCopy()
			test.change(stale)
			if err := c.Patch(t.Context(), stale, report.UnchangedSince(before)); !report.Conflicts(err) {
				t.Errorf("a patch of what has changed since: %v", err)
			}
		})
	}
}
