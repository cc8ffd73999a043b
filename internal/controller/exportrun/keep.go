package exportrun

import (
	"context"
	"errors"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/references"
)

// keep writes what keeps the export until its runs are finished, and the run, if it begins, until it has given its claims back.
func (r *Reconciler) keep(ctx context.Context, run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, begins bool) error {
	return errors.Join(Protect(ctx, r.Client, export), r.own(ctx, run, export, begins))
}

// Protect keeps an export from going before its runs, which need it to give their claims back.
func Protect(ctx context.Context, c client.Client, export *v1alpha1.AccountingExport) error {
	if controllerutil.ContainsFinalizer(export, v1alpha1.ExportFinalizer) {
		return nil
	}
	protected := export.DeepCopy()
	controllerutil.AddFinalizer(protected, v1alpha1.ExportFinalizer)
	if err := c.Patch(ctx, protected, report.UnchangedSince(export)); err != nil {
		return report.Refusal("put a finalizer on AccountingExport "+export.Name, err)
	}
	export.ObjectMeta = protected.ObjectMeta // nothing else has changed, but what is about to be recorded
	return nil
}

// own makes a run that a person created belong to its export, like one that a schedule created. One that begins stays until
// it has given its claims back.
func (r *Reconciler) own(ctx context.Context, run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, begins bool) error {
	if owned(run, export, begins) {
		return nil
	}
	ours := run.DeepCopy()
	if begins {
		controllerutil.AddFinalizer(ours, v1alpha1.RunFinalizer)
	}
	for i := range ours.OwnerReferences {
		ours.OwnerReferences[i].Controller = nil
	}
	if err := controllerutil.SetControllerReference(export, ours, r.Client.Scheme()); err != nil {
		return err
	}
	status := run.Status
	if err := r.Client.Patch(ctx, ours, report.UnchangedSince(run)); err != nil {
		return report.Refusal("put owner and finalizer on ExportRun "+run.Name, err)
	}
	run.ObjectMeta, run.Status = ours.ObjectMeta, status
	return nil
}

// tellRefused lets a run that the API server refused something for wait until that is tried again.
func (r *Reconciler) tellRefused(run *v1alpha1.ExportRun, err error) (ctrl.Result, error) {
	result, err := report.Refused(run, err, r.Clock.Now(), r.Sources.After(false))
	if err == nil {
		pend(run)
	}
	return result, err
}

// abandoned lets a run go that cannot give its claims back and never will: it and what it needs are deleted with their
// namespace. The claims stay bound to it in the database, where an administrator can release them.
func (r *Reconciler) abandoned(ctx context.Context, run *v1alpha1.ExportRun) (bool, error) {
	namespace, err := references.Namespace(ctx, r.Client, run.Namespace)
	if err != nil {
		return false, err
	}
	if namespace.DeletionTimestamp.IsZero() || run.DeletionTimestamp.IsZero() {
		return false, nil
	}
	return true, r.letGo(ctx, run)
}

// letGo removes the finalizer of a run that has nothing to give back any more.
func (r *Reconciler) letGo(ctx context.Context, run *v1alpha1.ExportRun) error {
	free := run.DeepCopy()
	if !controllerutil.RemoveFinalizer(free, v1alpha1.RunFinalizer) {
		return nil
	}
	err := client.IgnoreNotFound(r.Client.Patch(ctx, free, report.UnchangedSince(run)))
	err = report.Refusal("remove the finalizer of ExportRun "+run.Name, err)
	report.WarnRefused(r.Events, run, err)
	if err == nil {
		run.ObjectMeta = free.ObjectMeta
	}
	return err
}
