package fairqueue

import (
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

var halfOfAWorker = Limits{Workers: 4, PerNamespace: 2, Share: 0.5, Burst: 5 * time.Second}

func queueAt(clock *clocktesting.FakeClock) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return withClock(halfOfAWorker, clock)("", workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Millisecond, time.Second))
}

func named(namespace string, i int) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: strconv.Itoa(i)}}
}

// workFor has a worker work on the next request for a time.
func workFor(t *testing.T, q workqueue.TypedInterface[reconcile.Request], clock *clocktesting.FakeClock, took time.Duration, namespace string) {
	t.Helper()
	item, _ := q.Get()
	if item.Namespace != namespace {
		t.Fatalf("%s is next, want one of %s", item, namespace)
	}
	clock.Step(took)
	q.Done(item)
}

func TestNamespaceThatHasTakenMoreThanItsShareRestsWhileAnotherNeedsWorkers(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakeClock(time.Now())
	q := queueAt(clock)
	defer q.ShutDown()
	for i := range 10 {
		q.Add(named("hog", i))
	}
	workFor(t, q, clock, 3*time.Second, "hog")
	workFor(t, q, clock, 4*time.Second, "hog") // 7 s in 7 s: it owes 3.5 s, less than the burst
	workFor(t, q, clock, 5*time.Second, "hog") // 6 s, and is alone
	q.Add(named("other", 0))
	q.Add(named("other", 1))
	workFor(t, q, clock, 0, "other")
	workFor(t, q, clock, 0, "other")
	got := make(chan reconcile.Request)
	go func() {
		item, _ := q.Get()
		got <- item
	}()
	until(clock.HasWaiters) // the worker has found nobody who may have it
	clock.Step(time.Second)
	q.Add(named("other", 2)) // of a namespace that goes on needing workers
	if item := <-got; item.Namespace != "other" {
		t.Fatalf("%s is next, want the other's", item)
	}
	go func() {
		item, _ := q.Get()
		got <- item
	}()
	clock.Step(2 * time.Second)
	if item := <-got; item.Namespace != "hog" {
		t.Errorf("%s is next, want the hog's after its rest", item)
	}
}

// TestRestEndsWhenTheOthersAreQuiet has a namespace rest for ten seconds beside one that needs a worker once.
func TestRestEndsWhenTheOthersAreQuiet(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakeClock(time.Now())
	q := queueAt(clock)
	defer q.ShutDown()
	for i := range 3 {
		q.Add(named("hog", i))
	}
	workFor(t, q, clock, 10*time.Second, "hog")
	workFor(t, q, clock, 10*time.Second, "hog")
	q.Add(named("other", 0))
	workFor(t, q, clock, 0, "other")
	got := make(chan reconcile.Request, 1)
	go func() {
		item, _ := q.Get()
		got <- item
	}()
	until(clock.HasWaiters) // the worker has found nobody who may have it
	clock.Step(activeFor)
	select {
	case item := <-got:
		if item.Namespace != "hog" {
			t.Errorf("%s is next, want one of the hog", item)
		}
	case <-time.After(10 * time.Second):
		t.Error("a worker stands idle, and nobody else needs it")
	}
}

func until(holds func() bool) {
	for tick := time.NewTicker(time.Millisecond); !holds(); {
		<-tick.C
	}
}

func TestNamespaceThatIsAloneNeverRests(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakeClock(time.Now())
	q := queueAt(clock)
	defer q.ShutDown()
	q.Add(named("other", 0))
	workFor(t, q, clock, activeFor, "other")
	for i := range 20 {
		q.Add(named("hog", i))
	}
	for range 20 {
		workFor(t, q, clock, 10*time.Second, "hog")
	}
}

// TestShareOfANamespace draws how long requests take, and adds up what a namespace gets beside another that always needs workers.
func TestShareOfANamespace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := budget{share: 0.5, burst: 5 * time.Second, accounts: map[string]account{}}
		begin := time.Now()
		now, had, longest := begin, time.Duration(0), time.Duration(0)
		for range rapid.IntRange(1, 100).Draw(t, "requests") {
			now = now.Add(b.rest("hog", now))
			took := time.Duration(rapid.IntRange(0, 3000).Draw(t, "milliseconds")) * time.Millisecond
			b.charge("other", 0, now) // at the beginning of each, and at its end
			if b.rest("hog", now) > 0 {
				t.Fatal("it rests for longer than was said")
			}
			now = now.Add(took)
			b.charge("other", 0, now)
			b.charge("hog", took, now)
			had, longest = had+took, max(longest, took)
			if most := time.Duration(float64(now.Sub(begin))*b.share) + b.burst + longest; had > most {
				t.Fatalf("it had %s of %s, want at most %s", had, now.Sub(begin), most)
			}
		}
	})
}

// TestANamespaceOwesLittleForWhatNobodyElseNeeded has one take all there is for a minute, alone; it stands still for seconds once another comes.
func TestANamespaceOwesLittleForWhatNobodyElseNeeded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.November, 30, 12, 0, 0, 0, time.UTC)
	b := budget{share: 0.25, burst: 3 * time.Second, accounts: map[string]account{}}
	for range 60 {
		now = now.Add(time.Second)
		b.charge("busy", 2*time.Second, now)
	}
	b.charge("other", 100*time.Millisecond, now)
	if rest := b.rest("busy", now); rest != 12*time.Second {
		t.Errorf("it rests for %s", rest)
	}
}

// TestWorkersDoNotStandIdleWhereAllNamespacesHaveTakenMoreThanTheirShare has two take all there is for a minute, and then comes one that has taken
// nothing.
func TestWorkersDoNotStandIdleWhereAllNamespacesHaveTakenMoreThanTheirShare(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.November, 30, 12, 0, 0, 0, time.UTC)
	b := budget{share: 0.25, burst: 3 * time.Second, accounts: map[string]account{}}
	busy := []string{"one", "another"}
	charge := func(took time.Duration) {
		now = now.Add(time.Second)
		for _, namespace := range busy {
			b.charge(namespace, took, now)
		}
	}
	for range 4 { // 6 s in 4 s: each owes more than the burst
		charge(1500 * time.Millisecond)
	}
	for range 60 {
		charge(2 * time.Second)
		for _, namespace := range busy {
			if rest := b.rest(namespace, now); rest > 0 {
				t.Fatalf("%s rests for %s, and nobody has taken less", namespace, rest)
			}
		}
	}
	b.charge("third", 100*time.Millisecond, now)
	for _, namespace := range busy {
		if rest := b.rest(namespace, now); rest != 12*time.Second {
			t.Errorf("%s rests for %s once one comes that has taken less", namespace, rest)
		}
	}
}
