package exportrun

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
)

// mostReversals bounds the list of a status.
const mostReversals = 100

// tellReversed records in the status of a run that has exported claims by which runs they were reversed since.
func (r *Reconciler) tellReversed(ctx context.Context, run *v1alpha1.ExportRun) (ctrl.Result, error) {
	if !run.Status.Phase.Exported() || !run.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	var reversals v1alpha1.ExportRunList
	err := r.Client.List(ctx, &reversals, client.InNamespace(run.Namespace), client.MatchingFields{watch.ReversesIndex: run.Name})
	if err != nil || len(reversals.Items) == 0 {
		return ctrl.Result{}, err
	}
	return r.Record(ctx, run.DeepCopy(), run, func(*report.Afterwards) (ctrl.Result, error) {
		reversedBy(run, reversals.Items)
		return ctrl.Result{}, nil
	})
}

// reversedBy adds reversals to what the status of a run has of them. Those that it has stay: their ExportRuns go with the history. Where
// there are more than it names, it counts at least what it has counted before.
func reversedBy(run *v1alpha1.ExportRun, reversals []v1alpha1.ExportRun) {
	status := &run.Status
	by := slices.Clone(status.ReversedBy)
	slices.SortFunc(reversals, OlderFirst)
	for i := range reversals {
		reversal := &reversals[i]
		named := slices.ContainsFunc(by, func(known v1alpha1.Reversing) bool { return known.Name == reversal.Name })
		if !named && hasReversed(reversal, run) {
			by = append(by, v1alpha1.Reversing{Name: reversal.Name, Claims: reversal.Status.Claims})
		}
	}
	var claims int64
	for _, reversal := range by {
		claims += reversal.Claims
	}
	if claims == 0 {
		return
	}
	status.ReversedBy, status.ReversedClaims = by[:min(len(by), mostReversals)], max(claims, status.ReversedClaims)
	status.Reversed = v1alpha1.PartlyReversed
	if status.ReversedClaims >= status.Claims {
		status.Reversed = v1alpha1.WhollyReversed
	}
}

// hasReversed reports whether a run has reversed claims of another. In another ledger there may be another run of that name.
func hasReversed(reversal, run *v1alpha1.ExportRun) bool {
	if !reversal.Status.Phase.Exported() || reversal.Spec.ExportRef != run.Spec.ExportRef {
		return false
	}
	there, here := reversal.Status.Ledger, run.Status.Ledger
	return there == nil || here == nil || there.ID == here.ID
}

// enqueueReversed enqueues a run when another has reversed claims of it.
func enqueueReversed() handler.EventHandler {
	return handler.Funcs{UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		before, after := e.ObjectOld.(*v1alpha1.ExportRun), e.ObjectNew.(*v1alpha1.ExportRun)
		if of := after.Spec.Reverses; of != nil && after.Status.Phase.Exported() && !before.Status.Phase.Exported() {
			queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: after.Namespace, Name: of.Name}})
		}
	}}
}
