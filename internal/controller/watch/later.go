package watch

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Later has what a handler enqueues wait behind what somebody has edited or asked for: one object may be referred to by thousands.
func Later(each handler.EventHandler) handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			each.Create(ctx, e, postponing(queue))
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			each.Update(ctx, e, postponing(queue))
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			each.Delete(ctx, e, postponing(queue))
		},
		GenericFunc: func(ctx context.Context, e event.TypedGenericEvent[client.Object], queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			each.Generic(ctx, e, postponing(queue))
		},
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
