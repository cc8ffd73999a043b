// Package fairqueue is a queue of reconcile requests in which namespaces take turns, so that however many objects one has,
// another waits for one of them at most for each worker.
package fairqueue

import (
	"slices"
	"sync"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// New makes the queue of a controller, of whose workers each namespace has a number at most; 0 is no limit. It is for
// controller.Options.NewQueue.
func New(perNamespace int) func(string, workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
		order := &order{limit: perNamespace, waiting: map[string][]reconcile.Request{}, working: map[string]int{}}
		typed := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{Name: name, Queue: order})
		return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{
			Name:          name,
			DelayingQueue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{Name: name, Queue: &queue{typed, order}}),
		})
	}
}

// queue is the queue of client-go with an order of its own, which it tells when a worker is done.
type queue struct {
	*workqueue.Typed[reconcile.Request]
	order *order
}

// Get implements workqueue.TypedInterface. Once the queue is shut down nothing more is begun.
func (q *queue) Get() (reconcile.Request, bool) {
	item, shutdown := q.Typed.Get()
	return item, shutdown || q.ShuttingDown()
}

// Done implements workqueue.TypedInterface. A request of the namespace that now has a worker less need not wake another: the
// worker that is done asks for the next one itself.
func (q *queue) Done(item reconcile.Request) {
	q.order.done(item)
	q.Typed.Done(item)
}

// order is which request is next: the first one of the namespace whose turn it is.
type order struct {
	limit int

	mu      sync.Mutex
	waiting map[string][]reconcile.Request
	turns   []string       // namespaces with waiting requests, the next one first
	working map[string]int // workers by namespace
}

// Touch implements workqueue.Queue.
func (o *order) Touch(reconcile.Request) {}

// Push implements workqueue.Queue.
func (o *order) Push(item reconcile.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting[item.Namespace]) == 0 {
		o.turns = append(o.turns, item.Namespace)
	}
	o.waiting[item.Namespace] = append(o.waiting[item.Namespace], item)
}

// Len implements workqueue.Queue: it is 0 if none of those that wait may have a worker.
func (o *order) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.next() < 0 {
		return 0
	}
	length := 0
	for _, waiting := range o.waiting {
		length += len(waiting)
	}
	return length
}

// Pop implements workqueue.Queue.
func (o *order) Pop() (item reconcile.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
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
	return item
}

// next is the place in turns of the first namespace that may have a worker, or -1.
func (o *order) next() int {
	return slices.IndexFunc(o.turns, func(namespace string) bool { return o.limit == 0 || o.working[namespace] < o.limit })
}

func (o *order) done(item reconcile.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.working[item.Namespace]--
	if o.working[item.Namespace] == 0 {
		delete(o.working, item.Namespace)
	}
}
