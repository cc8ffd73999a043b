package exportrun

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/notify"
	"github.com/ledgerport/ledgerport/internal/references"
)

// longestUntold is how long a run that is deleted stays at most for what targets of its export are to be told of it.
const longestUntold = time.Hour

// untilTold is how long a run that has finished keeps its finalizer at most because targets of its export are still to be told of it; 0 if
// nothing keeps it. Who is told ends that earlier.
func (r *Reconciler) untilTold(ctx context.Context, run *v1alpha1.ExportRun) (time.Duration, error) {
	until := notify.KeptUntil(run)
	if until.IsZero() || !controllerutil.ContainsFinalizer(run, v1alpha1.RunFinalizer) {
		return 0, nil
	}
	deleted := run.DeletionTimestamp
	if deleted.IsZero() {
		return max(0, until.Sub(r.Clock.Now())), nil
	}
	if latest := deleted.Add(longestUntold); latest.Before(until) {
		until = latest
	}
	namespace, err := references.Namespace(ctx, r.Client, run.Namespace)
	if err != nil || !namespace.DeletionTimestamp.IsZero() {
		return 0, client.IgnoreNotFound(err)
	}
	var export v1alpha1.AccountingExport
	err = r.Client.Get(ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.ExportRef.Name}, &export)
	if err != nil || !export.DeletionTimestamp.IsZero() {
		return 0, client.IgnoreNotFound(err)
	}
	return max(0, until.Sub(r.Clock.Now())), nil
}
