package exportrun

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/requests"
)

// tellImported records in the status of a run what its annotations say of its import into the accounting system, and when that was seen.
func (r *Reconciler) tellImported(ctx context.Context, run *v1alpha1.ExportRun) (ctrl.Result, error) {
	before := run.DeepCopy()
	if !run.DeletionTimestamp.IsZero() || !noteImported(run, metav1.NewTime(r.Clock.Now())) {
		return ctrl.Result{}, nil
	}
	return r.Record(ctx, before, run, func(*report.Afterwards) (ctrl.Result, error) { return ctrl.Result{}, nil })
}

// noteImported puts the mark of a run, or that it was taken back, into the status, and reports whether it had to. What was seen before keeps
// its time.
func noteImported(run *v1alpha1.ExportRun, now metav1.Time) bool {
	status := &run.Status
	switch mark := requests.ImportOf(run); {
	case mark == nil && status.Imported != nil:
		takenBack := requests.TakenBackFrom(run)
		takenBack.At = &now
		status.Imported, status.ImportTakenBack = nil, takenBack
	case mark != nil && mark.At == nil:
		mark.At = &now
		status.Imported, status.ImportTakenBack = mark, nil
	default:
		return false
	}
	return true
}
