package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/references"
)

// Indexes of the cache: exports by what they refer to, and runs by their export.
const (
	sourceIndex      = "spec.sourceRef"
	chartIndex       = "spec.chartOfAccountsRef"
	destinationIndex = "spec.destinationRef"
	exportIndex      = "spec.exportRef"
)

// indexReferences makes the cache find exports by what they refer to, and runs by their export.
func indexReferences(ctx context.Context, mgr ctrl.Manager) error {
	exports := map[string]func(*v1alpha1.AccountingExport) types.NamespacedName{
		sourceIndex: references.SourceKey,
		chartIndex: func(e *v1alpha1.AccountingExport) types.NamespacedName {
			return types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.ChartOfAccountsRef.Name}
		},
		destinationIndex: references.DestinationKey,
	}
	for index, key := range exports {
		extract := func(object client.Object) []string {
			return []string{key(object.(*v1alpha1.AccountingExport)).String()}
		}
		if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.AccountingExport{}, index, extract); err != nil {
			return err
		}
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.ExportRun{}, references.LedgerIndex, references.LedgerKeys); err != nil {
		return err
	}
	return mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.ExportRun{}, exportIndex, func(object client.Object) []string {
		return []string{object.(*v1alpha1.ExportRun).Spec.ExportRef.Name}
	})
}

// enqueueExports enqueues the exports that refer to an object.
func enqueueExports(c client.Client, index string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		return exportRequests(ctx, c, client.MatchingFields{index: client.ObjectKeyFromObject(object).String()})
	})
}

// enqueueExportsOfNamespace enqueues the exports in a namespace, whose labels decide what they may read.
func enqueueExportsOfNamespace(c client.Client) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, namespace client.Object) []reconcile.Request {
		return exportRequests(ctx, c, client.InNamespace(namespace.GetName()))
	})
}

func exportRequests(ctx context.Context, c client.Client, which client.ListOption) []reconcile.Request {
	var exports v1alpha1.AccountingExportList
	if err := c.List(ctx, &exports, which); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing the exports that a change concerns")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(exports.Items))
	for i := range exports.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&exports.Items[i])})
	}
	return requests
}

// enqueueRunsOfExport enqueues the unfinished runs of an export when it changes.
func enqueueRunsOfExport(c client.Client) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, export client.Object) []reconcile.Request {
		var requests []reconcile.Request
		for _, run := range runsOf(ctx, c, export.GetNamespace(), export.GetName()) {
			if !run.Status.Phase.Finished() {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&run)})
			}
		}
		return requests
	})
}

// runsOf returns the runs of an export. They are the cache's own, to be read only.
func runsOf(ctx context.Context, c client.Client, namespace, export string) []v1alpha1.ExportRun {
	var runs v1alpha1.ExportRunList
	err := c.List(ctx, &runs, client.InNamespace(namespace), client.MatchingFields{exportIndex: export}, client.UnsafeDisableDeepCopy)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing the runs of an export")
	}
	return runs.Items
}

// enqueueRunsAt enqueues the finished runs of the exports that deliver to a destination: whether their artifacts go with them
// is for the destination to say.
func enqueueRunsAt(c client.Client) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, destination client.Object) (requests []reconcile.Request) {
		for _, export := range exportRequests(ctx, c, client.MatchingFields{destinationIndex: client.ObjectKeyFromObject(destination).String()}) {
			runs := runsOf(ctx, c, export.Namespace, export.Name)
			for i := range runs {
				if runs[i].Status.Phase.Finished() {
					requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&runs[i])})
				}
			}
		}
		return requests
	})
}
