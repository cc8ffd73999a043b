package fairqueue_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ledgerport/ledgerport/internal/fairqueue"
)

func newQueue(perNamespace int) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return fairqueue.New(fairqueue.Limits{Workers: 5, PerNamespace: perNamespace})("", workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Millisecond, time.Second))
}

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

func TestNamespacesTakeTurns(t *testing.T) {
	t.Parallel()
	q := newQueue(0)
	defer q.ShutDown()
	for i := range 2000 {
		q.Add(request("hog", fmt.Sprint(i)))
	}
	q.Add(request("other", "first"))
	q.Add(request("other", "second"))
	var order []string
	for range 4 {
		item, _ := q.Get()
		order = append(order, item.Namespace)
		q.Done(item)
	}
	if want := []string{"hog", "other", "hog", "other"}; !slices.Equal(order, want) {
		t.Errorf("they came in the order %v, want %v", order, want)
	}
}

// low adds requests that nobody waits for.
func low(q workqueue.TypedRateLimitingInterface[reconcile.Request], items ...reconcile.Request) {
	priority := handler.LowPriority
	q.(priorityqueue.PriorityQueue[reconcile.Request]).AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, items...)
}

func TestWhatNobodyWaitsForTakesTurnsWithTheRest(t *testing.T) {
	t.Parallel()
	q := newQueue(0)
	defer q.ShutDown()
	for i := range 1000 {
		low(q, request("n", fmt.Sprint(i)))
	}
	q.Add(request("n", "edited"))
	q.Add(request("n", "900")) // which waits already
	q.Add(request("n", "edited, too"))
	low(q, request("n", "edited, too"))
	var order []string
	for range 7 {
		item, _ := q.Get()
		order = append(order, item.Name)
		q.Done(item)
	}
	if want := []string{"edited", "0", "900", "1", "edited, too", "2", "3"}; !slices.Equal(order, want) {
		t.Errorf("they came in the order %q, want %q", order, want)
	}
}

// TestToEditWhatNobodyWaitsForTakesNoLongerTheMoreThereIs has each of very many requests that nobody waits for edited, while the queue of all is locked.
func TestToEditWhatNobodyWaitsForTakesNoLongerTheMoreThereIs(t *testing.T) {
	t.Parallel()
	edit := func(many int) time.Duration {
		q := newQueue(0)
		defer q.ShutDown()
		for i := range many {
			low(q, request("hog", fmt.Sprint(i)))
		}
		const edited = 5000
		began := time.Now()
		for i := range edited {
			q.Add(request("hog", fmt.Sprint(many-1-i)))
		}
		return time.Since(began)
	}
	few := edit(5000)
	if many := edit(200_000); many > 10*few+time.Second {
		t.Errorf("to edit 5,000 of 200,000 takes %s, and %s of 5,000", many, few)
	}
}

func TestWhatIsEditedWhileAWorkerHasItIsNotPostponed(t *testing.T) {
	t.Parallel()
	q := newQueue(0)
	defer q.ShutDown()
	q.Add(request("n", "edited"))
	item, _ := q.Get()
	for i := range 10 {
		low(q, request("n", fmt.Sprint(i)))
	}
	q.Add(item)
	low(q, item)
	q.Done(item)
	if again, _ := q.Get(); again != item {
		t.Errorf("%s came first, want %s", again, item)
	}
}

// TestNothingIsLost adds requests in both ways while some of them are worked on: each is got after it was added, and nothing else is.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q := newQueue(0)
		defer q.ShutDown()
		wanted, working := map[reconcile.Request]bool{}, map[reconcile.Request]bool{}
		get := func() {
			item, _ := q.Get()
			if !wanted[item] || working[item] {
				t.Fatalf("%s came, wanted: %t, worked on: %t", item, wanted[item], working[item])
			}
			delete(wanted, item)
			working[item] = true
		}
		item := rapid.Custom(func(t *rapid.T) reconcile.Request {
			return request(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "namespace"), rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "name"))
		})
		done := func() {
			for item := range working {
				q.Done(item)
				delete(working, item)
				return
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) { one := item.Draw(t, "item"); q.Add(one); wanted[one] = true },
			"low": func(t *rapid.T) { one := item.Draw(t, "item"); low(q, one); wanted[one] = true },
			"get": func(*rapid.T) {
				if q.Len() > 0 {
					get()
				}
			},
			"done": func(*rapid.T) { done() },
		})
		for len(working) > 0 {
			done()
		}
		for len(wanted) > 0 {
			get()
			done()
		}
		if q.Len() > 0 {
			t.Errorf("%d more wait", q.Len())
		}
	})
}

func TestNamespaceHasOnlySoManyWorkers(t *testing.T) {
	t.Parallel()
	q := newQueue(2)
	for i := range 4 {
		q.Add(request("hog", fmt.Sprint(i)))
	}
	hung, _ := q.Get()
	_, _ = q.Get()
	got := make(chan reconcile.Request)
	go func() {
		for item, shutdown := q.Get(); !shutdown; item, shutdown = q.Get() {
			got <- item
			q.Done(item)
		}
		close(got)
	}()
	q.Add(request("other", "only"))
	if item := <-got; item.Namespace != "other" {
		t.Errorf("a third worker got %s, want the one of another namespace", item)
	}
	q.Done(hung)
	q.Add(request("other", "again")) // as any event
	seen := map[string]int{}
	for range 3 {
		seen[(<-got).Namespace]++
	}
	if want := map[string]int{"hog": 2, "other": 1}; !maps.Equal(seen, want) {
		t.Errorf("then came %v, want %v", seen, want)
	}
	q.ShutDown()
	for item := range got {
		t.Errorf("%s came after the end", item)
	}
}

// TestQueue draws what is added, and looks at what workers get of it.
func TestQueue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit, workers := rapid.IntRange(0, 3).Draw(t, "limit"), rapid.IntRange(1, 5).Draw(t, "workers")
		q := newQueue(limit)
		var mu sync.Mutex
		working, handled := map[string]int{}, map[reconcile.Request]int{}
		wrong := ""
		added := map[reconcile.Request]bool{}
		for i := range rapid.IntRange(1, 60).Draw(t, "requests") {
			added[request(fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "namespace")), fmt.Sprint(i%20))] = true
		}
		var under sync.WaitGroup
		remaining := make(chan struct{}, len(added))
		for range workers {
			under.Go(func() {
				for item, shutdown := q.Get(); !shutdown; item, shutdown = q.Get() {
					mu.Lock()
					working[item.Namespace]++
					handled[item]++
					if limit > 0 && working[item.Namespace] > limit {
						wrong = fmt.Sprintf("%d workers are with %s, of which %d may", working[item.Namespace], item.Namespace, limit)
					}
					mu.Unlock()
					mu.Lock()
					working[item.Namespace]--
					mu.Unlock()
					q.Done(item)
					remaining <- struct{}{}
				}
			})
		}
		for item := range added {
			q.Add(item)
		}
		for range added {
			<-remaining // each is handled: nothing is forgotten, and no worker sleeps over it
		}
		q.ShutDown()
		under.Wait()
		if wrong != "" {
			t.Fatal(wrong)
		}
		if len(handled) != len(added) {
			t.Fatalf("%d of %d were handled", len(handled), len(added))
		}
	})
}
