package accountingexport

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ledgerport/ledgerport/internal/controller/watch"
)

// enqueueExports enqueues the exports that refer to an object.
func enqueueExports(c client.Client, index string) watch.Finder {
	return watch.NewFanout[client.Object](func(ctx context.Context, changed types.NamespacedName) []reconcile.Request {
		return watch.ExportRequests(ctx, c, client.MatchingFields{index: changed.String()})
	}).Later()
}

// enqueueExportsOfNamespace enqueues the exports in a namespace, whose labels decide what they may read.
func enqueueExportsOfNamespace(c client.Client) watch.Finder {
	return watch.NewFanout[client.Object](func(ctx context.Context, changed types.NamespacedName) []reconcile.Request {
		return watch.ExportRequests(ctx, c, client.InNamespace(changed.Name))
	}).Later()
}
