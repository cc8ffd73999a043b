package watch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/fairqueue"
)

func newQueue() workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return fairqueue.New(fairqueue.Limits{Workers: 1})("", workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
}

func source(namespace, version string) *v1alpha1.ClaimSource {
	return &v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "claims", ResourceVersion: version}}
}

func edited(namespace string) event.UpdateEvent {
	return event.UpdateEvent{ObjectOld: source(namespace, "1"), ObjectNew: source(namespace, "2")}
}

// begin starts a fanout as a controller does.
func begin(t *testing.T, fanout *watch.Fanout[client.Object], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	t.Helper()
	if err := fanout.Start(t.Context(), q); err != nil {
		t.Fatal(err)
	}
}

// TestEditsOfWhatVeryMuchRefersToDelayNobodyElse has one tenant edit an object a thousand times while to find what refers to it takes long.
func TestEditsOfWhatVeryMuchRefersToDelayNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var looked atomic.Int32
		hold := make(chan struct{})
		fanout := watch.NewFanout[client.Object](func(_ context.Context, changed types.NamespacedName) []reconcile.Request {
			if changed.Namespace == "hog" {
				looked.Add(1)
				<-hold
			}
			return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: changed.Namespace, Name: "monthly"}}}
		})
		q := newQueue()
		defer q.ShutDown()
		begin(t, fanout, q)
		for range 1000 {
			fanout.Update(t.Context(), edited("hog"), q)
		}
		fanout.Update(t.Context(), edited("other"), q)
		synctest.Wait()
		if q.Len() != 1 {
			t.Fatalf("%d requests wait, want that of the other namespace", q.Len())
		}
		first, _ := q.Get()
		q.Done(first)
		close(hold)
		synctest.Wait()
		second, _ := q.Get()
		q.Done(second)
		if first.Namespace != "other" || second.Namespace != "hog" {
			t.Errorf("the requests of %s and %s come, want those of other and hog", first.Namespace, second.Namespace)
		}
		if n := looked.Load(); n > 2 {
			t.Errorf("what refers to the object was looked for %d times, want at most twice: edits meanwhile are one", n)
		}
	})
}

// TestWhatIsFoundAtTheStartWaitsBehindWhatSomebodyHasEdited also has each change answered that comes while the one before is.
func TestWhatIsFoundAtTheStartWaitsBehindWhatSomebodyHasEdited(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		tell  func(context.Context, *watch.Fanout[client.Object], workqueue.TypedRateLimitingInterface[reconcile.Request])
		first string
	}{
		"what is listed at the start": {func(ctx context.Context, to *watch.Fanout[client.Object], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			to.Create(ctx, event.CreateEvent{Object: source("acme", "1"), IsInInitialList: true}, q)
		}, "edited"},
		"a look at all of them": {func(ctx context.Context, to *watch.Fanout[client.Object], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			to.Update(ctx, event.UpdateEvent{ObjectOld: source("acme", "1"), ObjectNew: source("acme", "1")}, q)
		}, "edited"},
		"an edit of what is postponed": {func(ctx context.Context, to *watch.Fanout[client.Object], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			to.Later().Update(ctx, edited("acme"), q)
		}, "edited"},
		"an edit": {func(ctx context.Context, to *watch.Fanout[client.Object], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			to.Update(ctx, edited("acme"), q)
		}, "monthly"},
		"an edit, and a look at all of them": {func(ctx context.Context, to *watch.Fanout[client.Object], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			to.Update(ctx, edited("acme"), q)
			to.Update(ctx, event.UpdateEvent{ObjectOld: source("acme", "2"), ObjectNew: source("acme", "2")}, q)
		}, "monthly"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := newQueue()
				defer q.ShutDown()
				fanout := watch.NewFanout[client.Object](func(context.Context, types.NamespacedName) []reconcile.Request {
					return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: "acme", Name: "monthly"}}}
				})
				test.tell(t.Context(), fanout, q)
				begin(t, fanout, q)
				synctest.Wait()
				q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "acme", Name: "edited"}})
				item, _ := q.Get()
				q.Done(item)
				if item.Name != test.first {
					t.Errorf("%s comes first, want %s", item.Name, test.first)
				}
			})
		})
	}
}

// TestANamespaceIsFoundByItsName: a request without a namespace is nobody's.
func TestANamespaceIsFoundByItsName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		found := make(chan types.NamespacedName, 1)
		fanout := watch.NewFanout[client.Object](func(_ context.Context, changed types.NamespacedName) []reconcile.Request {
			found <- changed
			return nil
		})
		q := newQueue()
		defer q.ShutDown()
		begin(t, fanout, q)
		fanout.Generic(t.Context(), event.GenericEvent{Object: &v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}}, q)
		select {
		case changed := <-found:
			if changed.Name != "acme" {
				t.Errorf("%s is found, want acme", changed.Name)
			}
		case <-time.After(time.Minute):
			t.Error("nothing is found")
		}
	})
}
