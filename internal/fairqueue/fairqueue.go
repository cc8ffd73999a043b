// Package fairqueue is a queue of reconcile requests in which namespaces take turns, so that however many objects one has,
// another waits for one of them at most for each worker, and for what one of them costs.
package fairqueue

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Limits are what one namespace has of a controller.
type Limits struct {
	// Workers that the controller has, for all.
	Workers int
	// PerNamespace is how many of them a namespace has at most at the same time; 0 is no limit.
	PerNamespace int
	// Share is how much of the time of one worker a namespace has while others need workers, too, and Burst what it may take of
	// it at once. What reconciling costs is paid by all: processors, the API server. A Share of 0 is no limit.
	Share float64
	Burst time.Duration
}

// New makes the queue of a controller of namespaced objects. It is for controller.Options.NewQueue.
func New(limits Limits) func(string, workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return withClock(limits, clock.RealClock{})
}

func withClock(limits Limits, at clock.WithDelayedExecution) func(string, workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
		order := &order{
			limits: limits, clock: at, budget: budget{share: limits.Share, burst: limits.Burst, accounts: map[string]account{}},
			waiting: map[string][]reconcile.Request{}, working: map[string]int{}, since: map[reconcile.Request]time.Time{},
		}
		typed := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{Name: name, Queue: order})
		order.wake = func() { // all: more than one namespace may have had its rest
			for i := range limits.Workers {
				typed.Add(waker(i))
			}
		}
		return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{
			Name:          name,
			DelayingQueue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{Name: name, Queue: &queue{typed, order}}),
		})
	}
}

// waker is a request that only wakes a worker: it has no namespace.
func waker(i int) reconcile.Request {
	var request reconcile.Request
	request.Name = strconv.Itoa(i)
	return request
}

func isWaker(item reconcile.Request) bool { return item.Namespace == "" }

// queue is the queue of client-go with an order of its own, which it tells when a worker is done.
type queue struct {
	*workqueue.Typed[reconcile.Request]
	order *order
}

// Get implements workqueue.TypedInterface. Once the queue is shut down nothing more is begun.
func (q *queue) Get() (reconcile.Request, bool) {
	for {
		item, shutdown := q.Typed.Get()
		if shutdown || q.ShuttingDown() {
			return item, true
		}
		if !isWaker(item) {
			return item, false
		}
		q.Typed.Done(item)
	}
}

// Done implements workqueue.TypedInterface. A request of the namespace that now has a worker less need not wake another: the
// worker that is done asks for the next one itself.
func (q *queue) Done(item reconcile.Request) {
	q.order.done(item)
	q.Typed.Done(item)
}

// order is which request is next: the first one of the namespace whose turn it is.
type order struct {
	limits Limits
	clock  clock.WithDelayedExecution
	wake   func()

	mu      sync.Mutex
	budget  budget
	waiting map[string][]reconcile.Request
	turns   []string                        // namespaces with waiting requests, the next one first
	working map[string]int                  // workers by namespace
	since   map[reconcile.Request]time.Time // when a worker began with it
	wakers  []reconcile.Request
	waking  bool // a time is set at which workers are woken
}

// Touch implements workqueue.Queue.
func (o *order) Touch(reconcile.Request) {}

// Push implements workqueue.Queue.
func (o *order) Push(item reconcile.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if isWaker(item) {
		o.wakers = append(o.wakers, item)
		return
	}
	if len(o.waiting[item.Namespace]) == 0 {
		o.turns = append(o.turns, item.Namespace)
	}
	o.waiting[item.Namespace] = append(o.waiting[item.Namespace], item)
	o.budget.charge(item.Namespace, 0, o.clock.Now())
}

// Len implements workqueue.Queue: it is 0 if none of those that wait may have a worker.
func (o *order) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	length := len(o.wakers)
	if o.next() < 0 {
		o.wakeAfterRest()
		return length
	}
	for _, waiting := range o.waiting {
		length += len(waiting)
	}
	return length
}

// Pop implements workqueue.Queue.
func (o *order) Pop() (item reconcile.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if last := len(o.wakers) - 1; last >= 0 {
		item, o.wakers = o.wakers[last], o.wakers[:last]
		return item
	}
	at := o.next()
	namespace := o.turns[at]
	o.turns = slices.Delete(o.turns, at, at+1)
	waiting := o.waiting[namespace]
	item, waiting[0] = waiting[0], reconcile.Request{}
	if rest := waiting[1:]; len(rest) > 0 {
		o.waiting[namespace] = rest
		o.turns = append(o.turns, namespace)
	} else {
		delete(o.waiting, namespace)
	}
	o.working[namespace]++
	o.since[item] = o.clock.Now()
	return item
}

// next is the place in turns of the first namespace that may have a worker, or -1.
func (o *order) next() int {
	now := o.clock.Now()
	return slices.IndexFunc(o.turns, func(namespace string) bool { return o.hasFreeWorker(namespace) && o.budget.rest(namespace, now) <= 0 })
}

func (o *order) hasFreeWorker(namespace string) bool {
	return o.limits.PerNamespace == 0 || o.working[namespace] < o.limits.PerNamespace
}

// shortestRest keeps workers from being woken for each request.
const shortestRest = 20 * time.Millisecond

// wakeAfterRest has workers woken when the first of the namespaces that only rest may have one again.
func (o *order) wakeAfterRest() {
	now, soonest := o.clock.Now(), time.Duration(-1)
	for _, namespace := range o.turns {
		if rest := o.budget.rest(namespace, now); o.hasFreeWorker(namespace) && (soonest < 0 || rest < soonest) {
			soonest = rest
		}
	}
	if soonest < 0 || o.waking {
		return
	}
	o.waking = true
	o.clock.AfterFunc(max(soonest, shortestRest), func() {
		o.mu.Lock()
		o.waking = false
		o.mu.Unlock()
		o.wake()
	})
}

func (o *order) done(item reconcile.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.working[item.Namespace]--
	if o.working[item.Namespace] == 0 {
		delete(o.working, item.Namespace)
	}
	now := o.clock.Now()
	o.budget.charge(item.Namespace, now.Sub(o.since[item]), now)
	delete(o.since, item)
}
