// Package watch is how controllers learn that something has changed: indexes, what they are asked to look at again, and the workers that do.
package watch

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/notify"
	"github.com/ledgerport/ledgerport/internal/references"
)

// Indexes of the cache: exports by what they refer to, runs by their export, and reversals by the run that they reverse.
const (
	SourceIndex      = "spec.sourceRef"
	ChartIndex       = "spec.chartOfAccountsRef"
	DestinationIndex = "spec.destinationRef"
	ExportIndex      = "spec.exportRef"
	ReversesIndex    = "spec.reverses"
	// RunDestinationIndex has runs by the destination that they deliver to, if they have begun or name it themselves.
	RunDestinationIndex = "status.destinationRef"
	// UntoldIndex has by their export the runs of which targets are still to be told: of very many runs that are few, and each that ends has
	// them looked for.
	UntoldIndex = "status.notifications"
)

func exportOf(run *v1alpha1.ExportRun) []string { return []string{run.Spec.ExportRef.Name} }

// UntoldOf returns the value of a run in the UntoldIndex.
func UntoldOf(run *v1alpha1.ExportRun) []string {
	if !notify.Pending(run) {
		return nil
	}
	return exportOf(run)
}

func reversedBy(run *v1alpha1.ExportRun) []string {
	if run.Spec.Reverses == nil {
		return nil
	}
	return []string{run.Spec.Reverses.Name}
}

func destinationOf(run *v1alpha1.ExportRun) []string {
	key, own := references.OwnDestinationKey(run)
	if !own {
		return nil
	}
	return []string{key.String()}
}

// Index makes the cache find exports by what they refer to, runs by their export and by what they reverse, and resources by their
// ExternalSecrets.
func Index(ctx context.Context, mgr ctrl.Manager, resolver *references.Resolver) error {
	exports := map[string]func(*v1alpha1.AccountingExport) types.NamespacedName{
		SourceIndex: references.SourceKey,
		ChartIndex: func(e *v1alpha1.AccountingExport) types.NamespacedName {
			return types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.ChartOfAccountsRef.Name}
		},
		DestinationIndex: references.DestinationKey,
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
	for index, extract := range map[string]func(*v1alpha1.ExportRun) []string{ExportIndex: exportOf, ReversesIndex: reversedBy, RunDestinationIndex: destinationOf, UntoldIndex: UntoldOf} {
		extract := func(object client.Object) []string { return extract(object.(*v1alpha1.ExportRun)) }
		if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.ExportRun{}, index, extract); err != nil {
			return err
		}
	}
	return indexExternalSecrets(ctx, mgr, resolver)
}

// EnqueueNamed enqueues the object that an event names.
func EnqueueNamed() handler.TypedEventHandler[types.NamespacedName, reconcile.Request] {
	return handler.TypedFuncs[types.NamespacedName, reconcile.Request]{
		GenericFunc: func(_ context.Context, e event.TypedGenericEvent[types.NamespacedName], queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			queue.Add(reconcile.Request{NamespacedName: e.Object})
		},
	}
}

// ExportRequests returns requests for the exports in an index or a namespace.
func ExportRequests(ctx context.Context, c client.Client, which client.ListOption) []reconcile.Request {
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
