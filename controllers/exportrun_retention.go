package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
)

// retire lets a finished run go when it is deleted, and its artifact before it where the destination says so: the
// finalizer stays until the artifact is gone.
func (r *ExportRunReconciler) retire(ctx context.Context, run *v1alpha1.ExportRun) (ctrl.Result, error) {
	state := r.Executor.Observe(string(run.UID))
	if state.Phase == executor.Queued || state.Phase == executor.Running {
		return ctrl.Result{RequeueAfter: longestBackoff}, nil // its end comes as an event
	}
	removed := state.Phase == executor.Ended && state.Task.RemoveArtifact
	r.Executor.Forget(string(run.UID))
	if run.DeletionTimestamp.IsZero() || !controllerutil.ContainsFinalizer(run, v1alpha1.RunFinalizer) {
		return ctrl.Result{}, nil
	}
	export, err := r.removingExport(ctx, run)
	switch {
	case err != nil:
		return ctrl.Result{}, err
	case export == nil, removed && state.Err == nil:
		return ctrl.Result{}, r.letGo(ctx, run)
	case removed && failure.From(state.Err).Reason == v1alpha1.ReasonDestinationChanged:
		r.Recorder.Eventf(run, nil, corev1.EventTypeWarning, v1alpha1.ReasonDestinationChanged, "Retention",
			"the run is deleted, and its artifact stays: %s", shorten(failure.From(state.Err).Message))
		return ctrl.Result{}, r.letGo(ctx, run)
	case removed:
		logFailure(ctx, state.Err)
		failed := failure.From(state.Err)
		r.Recorder.Eventf(run, nil, corev1.EventTypeWarning, failed.Reason, "Retention",
			"the run is deleted when its artifact is removed, which does not work: %s", shorten(failed.Message))
		return ctrl.Result{RequeueAfter: failingRecheck}, nil
	}
	removal := task(run, export, r.Limits)
	removal.RemoveArtifact = true
	r.Executor.Ensure(removal)
	return ctrl.Result{RequeueAfter: longestBackoff}, nil
}

// removingExport gives the export of a run whose artifact is to be removed with it; nil where the artifact stays. It stays
// as well where export or destination are gone, or go with their namespace.
func (r *ExportRunReconciler) removingExport(ctx context.Context, run *v1alpha1.ExportRun) (*v1alpha1.AccountingExport, error) {
	if !run.Status.Phase.Exported() || run.Spec.Type == v1alpha1.RunPreview || run.Status.Location == "" {
		return nil, nil
	}
	if namespace, err := references.Namespace(ctx, r.Client, run.Namespace); err != nil || !namespace.DeletionTimestamp.IsZero() {
		return nil, client.IgnoreNotFound(err)
	}
	var export v1alpha1.AccountingExport
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.ExportRef.Name}, &export); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	var destination v1alpha1.ExportDestination
	if err := r.Client.Get(ctx, references.DestinationKey(&export), &destination); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if destination.Spec.Retention.Artifacts != v1alpha1.DeleteArtifacts {
		return nil, nil
	}
	return &export, nil
}
