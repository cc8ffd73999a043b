package watch

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ledgerport/ledgerport/internal/fairqueue"
)

// finders look at the same time for what changes concern, one of them for one namespace. What a namespace takes of their time while others need
// them is a quarter of one.
var finders = fairqueue.Limits{Workers: 2, PerNamespace: 1, Share: 0.25, Burst: time.Second}

// Fanout enqueues what a change of an object concerns, for one controller. A cache tells one change after another to each that listens: where a
// namespace has very much that refers to one object, and edits that without an end, all others would wait for as long. Here the cache waits for
// nothing, namespaces take turns, and changes of one object that come faster than they are answered are one.
type Fanout[object client.Object] struct {
	find  func(context.Context, types.NamespacedName) []reconcile.Request
	later bool

	changed workqueue.TypedRateLimitingInterface[reconcile.Request]
	mu      sync.Mutex
	soon    map[reconcile.Request]bool // what changed, if somebody waits for what it concerns
}

// Finder is a handler that is a source of its controller, too.
type Finder interface {
	handler.EventHandler
	source.Source
}

var _ Finder = &Fanout[client.Object]{}

// NewFanout returns a handler for what a function finds by the name of an object that has changed; an object without a namespace is its own. It
// enqueues nothing before it is started.
func NewFanout[object client.Object](find func(context.Context, types.NamespacedName) []reconcile.Request) *Fanout[object] {
	return &Fanout[object]{
		find: find, soon: map[reconcile.Request]bool{},
		changed: fairqueue.New(finders)("", workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()),
	}
}

// Concerned has a controller watch a kind whose objects concern others.
func Concerned(of *builder.Builder, kind client.Object, finder Finder, options ...builder.WatchesOption) {
	of.Watches(kind, finder, options...).WatchesRawSource(finder)
}

// Later has what is enqueued wait behind what somebody has edited or asked for: one object may be referred to by thousands.
func (f *Fanout[object]) Later() *Fanout[object] {
	f.later = true
	return f
}

// Create implements handler.EventHandler.
func (f *Fanout[object]) Create(_ context.Context, e event.TypedCreateEvent[object], _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	f.told(e.Object, !e.IsInInitialList)
}

// Update implements handler.EventHandler.
func (f *Fanout[object]) Update(_ context.Context, e event.TypedUpdateEvent[object], _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	f.told(e.ObjectNew, e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion())
}

// Delete implements handler.EventHandler.
func (f *Fanout[object]) Delete(_ context.Context, e event.TypedDeleteEvent[object], _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	f.told(e.Object, true)
}

// Generic implements handler.EventHandler.
func (f *Fanout[object]) Generic(_ context.Context, e event.TypedGenericEvent[object], _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	f.told(e.Object, true)
}

// Start implements source.Source.
func (f *Fanout[object]) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	context.AfterFunc(ctx, f.changed.ShutDown)
	for range finders.Workers {
		go f.work(ctx, queue)
	}
	return nil
}

func (f *Fanout[object]) told(of object, soon bool) { f.Ask(client.ObjectKeyFromObject(of), soon) }

// Ask has what an object concerns enqueued: soon, if somebody waits for that.
func (f *Fanout[object]) Ask(changed types.NamespacedName, soon bool) {
	if changed.Namespace == "" {
		changed.Namespace = changed.Name
	}
	request := reconcile.Request{NamespacedName: changed}
	f.mu.Lock()
	f.soon[request] = f.soon[request] || soon && !f.later
	f.mu.Unlock()
	f.changed.Add(request)
}

// work enqueues what changes concern, until the context ends.
func (f *Fanout[object]) work(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	for {
		changed, over := f.changed.Get()
		if over {
			return
		}
		f.mu.Lock()
		into := queue
		if !f.soon[changed] {
			into = postponing(queue)
		}
		delete(f.soon, changed)
		if len(f.soon) == 0 { // a map keeps what it has had room for
			f.soon = map[reconcile.Request]bool{}
		}
		f.mu.Unlock()
		for _, request := range f.find(ctx, changed.NamespacedName) {
			into.Add(request)
		}
		f.changed.Done(changed)
	}
}

// postponing is a queue to which nothing is added that somebody waits for; the queue itself if it knows no priorities.
func postponing(queue workqueue.TypedRateLimitingInterface[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	if knows, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		return &postponed{knows}
	}
	return queue
}

type postponed struct {
	priorityqueue.PriorityQueue[reconcile.Request]
}

// Add implements workqueue.TypedInterface.
func (p *postponed) Add(item reconcile.Request) {
	p.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, item)
}
