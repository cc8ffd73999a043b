package exportrun

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/texts"
)

// retire sees to a run that has finished. It needs nothing of the operator any more, so that it goes when it is deleted though
// no operator is there; only where its artifact goes with it does the finalizer stay until that is removed.
func (r *Reconciler) retire(ctx context.Context, run *v1alpha1.ExportRun) (ctrl.Result, error) {
	state := r.Executor.Observe(string(run.UID))
	if state.Phase == executor.Queued || state.Phase == executor.Running {
		return ctrl.Result{RequeueAfter: longestBackoff}, nil // its end comes as an event
	}
	removed := state.Phase == executor.Ended && state.Task.RemoveArtifact
	r.Executor.Forget(string(run.UID))
	if wait, err := r.untilTold(ctx, run); err != nil || wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, errors.Join(err, r.observe(ctx, run))
	}
	export, until, err := r.removingExport(ctx, run)
	switch {
	case err != nil:
		return ctrl.Result{}, err
	case export == nil && !run.DeletionTimestamp.IsZero():
		return ctrl.Result{}, r.letGo(ctx, run)
	case export == nil:
		return ctrl.Result{}, errors.Join(r.letGo(ctx, run), r.observe(ctx, run))
	case run.DeletionTimestamp.IsZero():
		return ctrl.Result{}, errors.Join(r.hold(ctx, run), r.observe(ctx, run))
	case !controllerutil.ContainsFinalizer(run, v1alpha1.RunFinalizer):
		return ctrl.Result{}, nil // something else holds it
	case removed && state.Err == nil:
		return ctrl.Result{}, r.tellRemoved(ctx, run, export)
	case removed && failure.From(state.Err).Reason == v1alpha1.ReasonDestinationChanged:
		r.Events.Eventf(run, nil, corev1.EventTypeWarning, v1alpha1.ReasonDestinationChanged, "Retention",
			"the run is deleted, and its artifact stays: %s", texts.Printable(failure.From(state.Err).Message, report.MaxMessage))
		return ctrl.Result{}, r.letGo(ctx, run)
	case removed:
		failed := failure.From(state.Err)
		r.Events.Eventf(run, nil, corev1.EventTypeWarning, failed.Reason, "Retention",
			"the run is deleted when its artifact is removed, which does not work: %s", texts.Printable(failed.Message, report.MaxMessage))
		return ctrl.Result{RequeueAfter: watch.Failing}, nil
	case until.After(r.Clock.Now()):
		r.Events.Eventf(run, nil, corev1.EventTypeNormal, v1alpha1.ReasonArtifactKept, "Retention",
			"the run is deleted, and goes with its artifact at %s: spec.retention.minimumAge of the ExportDestination", until.UTC().Format(time.RFC3339))
		return ctrl.Result{RequeueAfter: until.Sub(r.Clock.Now())}, nil
	}
	removal := task(run, export, r.Limits)
	removal.RemoveArtifact = true
	r.Executor.Ensure(removal)
	return ctrl.Result{RequeueAfter: longestBackoff}, nil
}

// hold puts the finalizer back on a run whose destination has come to say that artifacts go with their runs.
func (r *Reconciler) hold(ctx context.Context, run *v1alpha1.ExportRun) error {
	held := run.DeepCopy()
	if !controllerutil.AddFinalizer(held, v1alpha1.RunFinalizer) {
		return nil
	}
	err := client.IgnoreNotFound(r.Client.Patch(ctx, held, report.UnchangedSince(run)))
	err = report.Refusal("put the finalizer on ExportRun "+run.Name+", whose artifact is to go with it", err)
	report.WarnRefused(r.Events, run, err)
	return err
}

// observe records that a change of the spec was seen which comes too late for a run that has finished.
func (r *Reconciler) observe(ctx context.Context, run *v1alpha1.ExportRun) error {
	_, err := r.Record(ctx, run.DeepCopy(), run, func(*report.Afterwards) (ctrl.Result, error) {
		run.Status.ObservedGeneration = run.Generation
		complete(run)
		for i := range run.Status.Conditions {
			run.Status.Conditions[i].ObservedGeneration = run.Generation
		}
		return ctrl.Result{}, nil
	})
	return err
}

// tellRemoved lets a run go whose artifact was removed. Its export remains, for people to see what has become of the file.
func (r *Reconciler) tellRemoved(ctx context.Context, run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) error {
	if err := r.letGo(ctx, run); err != nil {
		return err
	}
	ctrl.LoggerFrom(ctx).Info("the artifact of a run that was deleted was removed", "location", run.Status.Location)
	r.Events.Eventf(export, run, corev1.EventTypeNormal, v1alpha1.ReasonArtifactRemoved, "Retention",
		"ExportRun %s was deleted, and its artifact removed from %s", run.Name, texts.Printable(run.Status.Location, report.MaxMessage/2))
	return nil
}

// removingExport returns the export of a run whose artifact is to be removed with it, and until when it is too young for that; nil where
// the artifact stays. It stays as well where export or destination are gone, or go with their namespace.
func (r *Reconciler) removingExport(ctx context.Context, run *v1alpha1.ExportRun) (_ *v1alpha1.AccountingExport, until time.Time, err error) {
	if !hasArtifact(run) {
		return nil, until, nil
	}
	namespace, err := references.Namespace(ctx, r.Client, run.Namespace)
	if err != nil || !namespace.DeletionTimestamp.IsZero() {
		return nil, until, client.IgnoreNotFound(err)
	}
	var export v1alpha1.AccountingExport
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.ExportRef.Name}, &export); err != nil {
		return nil, until, client.IgnoreNotFound(err)
	}
	var destination v1alpha1.ExportDestination
	if err := r.Client.Get(ctx, references.RunDestinationKey(run, &export), &destination); err != nil {
		return nil, until, client.IgnoreNotFound(err)
	}
	if destination.Spec.Retention.Artifacts != v1alpha1.DeleteArtifacts {
		return nil, until, nil
	}
	if !references.AdmitsDelivery(&destination, namespace) {
		return &export, until, nil // the removal is refused, and nothing is told of a destination of others
	}
	return &export, KeptUntil(run, &destination), nil
}

// hasArtifact reports whether a run has delivered files that are recorded.
func hasArtifact(run *v1alpha1.ExportRun) bool {
	return run.Status.Phase.Exported() && run.Spec.Type != v1alpha1.RunPreview && run.Status.Location != ""
}

// KeptUntil is until when a run is kept for its artifact, which would go with it; zero if nothing keeps it.
func KeptUntil(run *v1alpha1.ExportRun, destination *v1alpha1.ExportDestination) (until time.Time) {
	retention := &destination.Spec.Retention
	if retention.Artifacts != v1alpha1.DeleteArtifacts || retention.MinimumAge == nil || !hasArtifact(run) || run.Status.CompletedAt == nil {
		return until
	}
	return run.Status.CompletedAt.Add(retention.MinimumAge.Duration)
}
