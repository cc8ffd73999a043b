package accountingexport

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ledgerport/ledgerport/internal/controller/watch"
)

// enqueueExports enqueues the exports that refer to an object.
func enqueueExports(c client.Client, index string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		return watch.ExportRequests(ctx, c, client.MatchingFields{index: client.ObjectKeyFromObject(object).String()})
	})
}

// enqueueExportsOfNamespace enqueues the exports in a namespace, whose labels decide what they may read.
func enqueueExportsOfNamespace(c client.Client) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, namespace client.Object) []reconcile.Request {
		return watch.ExportRequests(ctx, c, client.InNamespace(namespace.GetName()))
	})
}
