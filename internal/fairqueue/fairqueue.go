// Package fairqueue is a queue of reconcile requests in which namespaces take turns, so that however many objects one has,
// another waits for one of them at most for each worker, and for what one of them costs. Within a namespace what nobody waits for, such
// as all that refers to an object that has changed, takes turns with the rest, however much of it there is.
package fairqueue

import (
	"container/list"
	"slices"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
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
			waiting: map[string]*lanes{}, lane: map[reconcile.Request]place{}, working: map[string]int{}, since: map[reconcile.Request]time.Time{},
		}
		typed := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{Name: name, Queue: order})
		order.wake = func() { // all: more than one namespace may have had its rest
			for i := range limits.Workers {
				typed.Add(waker(i))
			}
		}
		return &prioritized{order: order, typed: typed, TypedRateLimitingInterface: workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{
			Name:          name,
			DelayingQueue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{Name: name, Queue: &queue{typed, order}}),
		})}
	}
}

// prioritized is the queue as controller-runtime uses one that knows priorities: below zero is what nobody waits for.
type prioritized struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	order *order
	typed *workqueue.Typed[reconcile.Request]
}

var _ priorityqueue.PriorityQueue[reconcile.Request] = (*prioritized)(nil)

// AddWithOpts implements priorityqueue.PriorityQueue. What is added after a while has its time then, and no priority.
func (p *prioritized) AddWithOpts(options priorityqueue.AddOpts, items ...reconcile.Request) {
	for _, item := range items {
		switch {
		case options.RateLimited:
			p.AddRateLimited(item)
		case options.After > 0:
			p.AddAfter(item, options.After)
		case options.Priority != nil && *options.Priority < 0:
			p.order.postpone(item)
			p.typed.Add(item)
		default:
			p.Add(item)
		}
	}
}

// GetWithPriority implements priorityqueue.PriorityQueue.
func (p *prioritized) GetWithPriority() (item reconcile.Request, priority int, shutdown bool) {
	item, shutdown = p.Get()
	return item, 0, shutdown
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

// Add implements workqueue.TypedInterface.
func (q *queue) Add(item reconcile.Request) {
	q.order.hurry(item)
	q.Typed.Add(item)
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
	waiting map[string]*lanes
	turns   []string                        // namespaces with waiting requests, the next one first
	lane    map[reconcile.Request]place     // of those that wait, and of those that will when they come
	working map[string]int                  // workers by namespace
	since   map[reconcile.Request]time.Time // when a worker began with it
	wakers  []reconcile.Request
	waking  bool // a time is set at which workers are woken
}

// lane is where a request of a namespace waits.
type lane int

const (
	comingLater lane = iota + 1 // it is about to come, or comes when its worker is done with it, and nobody waits for it
	comingSoon                  // and somebody does
	waitingLater
	waitingSoon
)

// place is where a request waits, or will: a namespace has very many, and one that is edited leaves its lane for another.
type place struct {
	lane
	in *list.Element // of one that waits
}

// lanes are the requests of one namespace. Each has every second turn while both have any.
type lanes struct {
	soon, later list.List // of reconcile.Request
	laterIsNext bool
}

// pop removes the next request.
func (l *lanes) pop() reconcile.Request {
	from := &l.soon
	if l.soon.Len() == 0 || l.laterIsNext && l.later.Len() > 0 {
		from = &l.later
	}
	l.laterIsNext = from == &l.soon
	return from.Remove(from.Front()).(reconcile.Request)
}

func (l *lanes) len() int { return l.soon.Len() + l.later.Len() }

// Touch implements workqueue.Queue.
func (o *order) Touch(reconcile.Request) {}

// postpone has a request wait among those that nobody waits for, unless somebody waits for it already.
func (o *order) postpone(item reconcile.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lane[item].lane == 0 {
		o.lane[item] = place{lane: comingLater}
	}
}

// hurry has a request wait no longer among those that nobody waits for.
func (o *order) hurry(item reconcile.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch at := o.lane[item]; at.lane {
	case waitingLater:
		own := o.waiting[item.Namespace]
		own.later.Remove(at.in)
		o.lane[item] = place{waitingSoon, own.soon.PushBack(item)}
	case waitingSoon:
	default:
		o.lane[item] = place{lane: comingSoon}
	}
}

// Push implements workqueue.Queue.
func (o *order) Push(item reconcile.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if isWaker(item) {
		o.wakers = append(o.wakers, item)
		return
	}
	own := o.waiting[item.Namespace]
	if own == nil {
		own = &lanes{}
		o.waiting[item.Namespace] = own
		o.turns = append(o.turns, item.Namespace)
	}
	if o.lane[item].lane == comingLater {
		o.lane[item] = place{waitingLater, own.later.PushBack(item)}
	} else {
		o.lane[item] = place{waitingSoon, own.soon.PushBack(item)}
	}
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
	for _, own := range o.waiting {
		length += own.len()
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
	own := o.waiting[namespace]
	item = own.pop()
	delete(o.lane, item)
	if len(o.lane) == 0 { // a map keeps what it has had room for
		o.lane = map[reconcile.Request]place{}
	}
	if own.len() > 0 {
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

// wakeAfterRest has workers woken when the first of the namespaces that only rest may have one again: when it has rested, or when those for which it
// rests may have been quiet for long enough.
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
	o.clock.AfterFunc(max(min(soonest, activeFor), shortestRest), func() {
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
