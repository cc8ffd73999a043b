// Package accountingexport reconciles AccountingExports.
package accountingexport

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/exportrun"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/internal/schedule"
)

// longestWait bounds the time between two looks at a schedule, so that a clock that was set is noticed.
const longestWait = time.Hour

// Reconciler checks what an export refers to, creates its runs when they are due, and tells what became
// of them.
type Reconciler struct {
	*report.Recorder
	Resolver *references.Resolver
	Clock    clock.PassiveClock
	// ShortestInterval between two slots of a schedule that the administrator allows; 0 is none.
	ShortestInterval time.Duration
	// Recheck says when an export's own credentials are looked at again.
	Recheck *watch.Recheck
	// WatchNamespaces lets changes of labels be noticed at once; else they are at the next recheck.
	WatchNamespaces bool

	external *watch.ExternalSecrets
	warnings *report.FallbackWarnings
	api      client.Reader // not of the cache
	created  created
}

// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=accountingexports,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=accountingexports/status,verbs=patch
// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=accountingexports/finalizers,verbs=update
// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=exportruns,verbs=get;list;watch;create;patch;delete;vouch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	requested := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	r.warnings, r.api = report.NewFallbackWarnings(r.Events), mgr.GetAPIReader()
	reconciler := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.AccountingExport{}, builder.WithPredicates(requested)).
		Owns(&v1alpha1.ExportRun{})
	for index, kind := range map[string]client.Object{
		watch.SourceIndex: &v1alpha1.ClaimSource{}, watch.ChartIndex: &v1alpha1.ChartOfAccounts{}, watch.DestinationIndex: &v1alpha1.ExportDestination{},
	} {
		watch.Concerned(reconciler, kind, enqueueExports(mgr.GetClient(), index))
	}
	if r.WatchNamespaces {
		watch.Concerned(reconciler, &corev1.Namespace{}, enqueueExportsOfNamespace(mgr.GetClient()), builder.WithPredicates(predicate.LabelChangedPredicate{}))
	}
	built, err := reconciler.WithOptions(watch.Workers()).Build(r)
	r.external = watch.NewExternalSecrets(mgr, built, &v1alpha1.AccountingExportList{})
	return err
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var export v1alpha1.AccountingExport
	if err := r.Client.Get(ctx, req.NamespacedName, &export); err != nil {
		if apierrors.IsNotFound(err) {
			r.created.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := export.DeepCopy()
	return r.Record(ctx, before, &export, func(after *report.Afterwards) (ctrl.Result, error) {
		checks := &checks{}
		after.Add(func() {
			report.Announce(r.Events, &export, before.Status.Conditions, checks.toldElsewhere(before.Status.Conditions))
		})
		if !export.DeletionTimestamp.IsZero() {
			result, err := r.letGo(ctx, &export)
			if err != nil {
				return report.Refused(&export, err, r.Clock.Now(), r.Recheck.After(false))
			}
			return result, nil
		}
		if report.Of(&export).Undecodable() { // no run begins
			return ctrl.Result{}, nil
		}
		return r.reconcile(ctx, &export, checks, after)
	})
}

func (r *Reconciler) reconcile(ctx context.Context, export *v1alpha1.AccountingExport, checks *checks, after *report.Afterwards) (ctrl.Result, error) {
	own, err := r.runs(ctx, export)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := checks.check(ctx, r, export); err != nil {
		return ctrl.Result{}, err
	}
	r.warnings.Warn(export, checks.own, r.Clock.Now())
	told := export.Status.DeepCopy()
	summarize(export, own)
	// First, because a quota may leave room for the next run only then.
	untilSuperfluous, err := r.prune(ctx, export, own)
	if err := note(&checks.history, err); err != nil {
		return ctrl.Result{}, err
	}
	next := r.decide(export, own, checks)
	next.wake = min(next.wake, untilSuperfluous)
	if !next.skipped.IsZero() {
		after.Add(func() { r.tellSkipped(export, next.skipped) })
	}
	began, err := r.begin(ctx, export, own, next, checks)
	if err != nil {
		return ctrl.Result{}, err
	}
	if began != nil {
		own = append(own, *began)
		summarize(export, own)
	}
	if checks.run != nil {
		next.wake = min(next.wake, report.RefusedWait(export.Status.Conditions, v1alpha1.ConditionReady, r.Clock.Now(), r.Recheck.After(false)))
	}
	if checks.history != nil {
		next.wake = min(next.wake, report.RefusedWait(export.Status.Conditions, v1alpha1.ConditionHistoryPruned, r.Clock.Now(), r.Recheck.After(false)))
	}
	checks.describe(export, next.waiting)
	if wait := untilNews(told, &export.Status, own, r.Clock.Now()); wait > 0 {
		export.Status, next.wake = *told, min(next.wake, wait)
	}
	return ctrl.Result{RequeueAfter: next.wake}, nil
}

// next is what an export needs now.
type next struct {
	run     *v1alpha1.ExportRun // to be created; nil where none is due
	skipped time.Time           // slot that was missed for too long; zero if there is none
	waiting string              // what is due and has to wait
	near    bool                // a run may have begun by the next look
	wake    time.Duration       // until the next look
}

// decide applies the schedule and the newest request to the present.
func (r *Reconciler) decide(export *v1alpha1.AccountingExport, runs []v1alpha1.ExportRun, checks *checks) next {
	// A schedule may go by this operator's clock: the name of a slot's run is the same for every creator, and a wrong clock makes it
	// early or late. What it exports is decided by its cutoff and by the database.
	now := r.Clock.Now()
	slots := schedule.Decide(schedule.Inputs{
		Schedule: checks.schedule, Now: now, Handled: handledSlot(export, runs, now),
		Delay:            schedule.Delay(export.Namespace, export.Name, duration(export.Spec.StartJitter)),
		StartingDeadline: duration(export.Spec.StartingDeadline), Suspended: export.Spec.Suspend,
	})
	export.Status.NextScheduleTime = optionalTime(slots.Next)
	if !slots.Skipped.IsZero() {
		export.Status.LastScheduleTime = optionalTime(slots.Skipped)
	}
	result := next{skipped: slots.Skipped, wake: longestWait}
	if !slots.Start.IsZero() {
		result.wake, result.near = min(longestWait, slots.Start.Sub(now)), slots.Start.Sub(now) <= longestWait
	}
	if !r.WatchNamespaces {
		result.wake = min(result.wake, r.Recheck.After(checks.source == nil && checks.destination == nil))
	}
	if export.Spec.Approval == v1alpha1.ApprovalRequired { // nobody tells of a policy that comes or goes
		result.wake = min(result.wake, r.Recheck.After(checks.approval == nil))
	}
	if export.Spec.Credentials != nil {
		result.wake = watch.UntilStale(min(result.wake, r.Recheck.After(checks.credentials == nil)), checks.own)
	}
	wanted := wantedRun(export, slots.Due)
	switch {
	case wanted == nil:
	case checks.failed() != nil:
		result.waiting = "a run is due and waits for this"
	case len(unfinished(runs)) == 0:
		result.run = wanted
	}
	return result
}

func (r *Reconciler) tellSkipped(export *v1alpha1.AccountingExport, slot time.Time) {
	r.Events.Eventf(export, nil, corev1.EventTypeWarning, v1alpha1.ReasonSlotSkipped, "Schedule",
		"the slot of %s was missed for longer than spec.startingDeadline (%s); its claims go to the next run",
		slot.UTC().Format(time.RFC3339), duration(export.Spec.StartingDeadline))
}

// begin creates the run that is due, and returns it. The finalizer, which keeps the export until its runs have ended, is written before that, and also when
// a run may begin before the next look: exports that are due in the same second have it by then. An export without runs needs none.
func (r *Reconciler) begin(ctx context.Context, export *v1alpha1.AccountingExport, own []v1alpha1.ExportRun, next next, checks *checks) (*v1alpha1.ExportRun, error) {
	if next.run != nil || next.near || len(unfinished(own)) > 0 {
		if err := note(&checks.run, exportrun.Protect(ctx, r.Client, export)); err != nil || checks.run != nil {
			return nil, client.IgnoreNotFound(err)
		}
	}
	if next.run == nil {
		return nil, nil
	}
	created, err := r.create(ctx, export, next.run)
	return created, note(&checks.run, err)
}

// create creates a run, or adopts the one of that name if it is ours: the name is the lock.
func (r *Reconciler) create(ctx context.Context, export *v1alpha1.AccountingExport, run *v1alpha1.ExportRun) (*v1alpha1.ExportRun, error) {
	if err := controllerutil.SetControllerReference(export, run, r.Client.Scheme()); err != nil {
		return nil, err
	}
	r.created.note(client.ObjectKeyFromObject(export), run.Name) // the API server may create it, and its answer be lost
	err := r.Failpoints.Around(failpoint.CreateRun, func() error { return r.Client.Create(ctx, run) })
	switch {
	case err == nil && run.Spec.Slot != nil: // the run itself tells of its end
	case err == nil:
		r.Events.Eventf(export, run, corev1.EventTypeNormal, "RunCreated", "Schedule", "created ExportRun %s", run.Name)
	case apierrors.IsAlreadyExists(err):
		existing := &v1alpha1.ExportRun{}
		if err := r.Client.Get(ctx, client.ObjectKeyFromObject(run), existing); err != nil {
			return nil, err
		}
		if !metav1.IsControlledBy(existing, export) || !answers(existing, run) {
			return nil, failure.Transient(v1alpha1.ReasonRunNameTaken, nil,
				"a run is due, and an ExportRun %s exists that does not belong to this AccountingExport or was made for another purpose; delete it to let the run begin", run.Name)
		}
		run = existing
	default:
		return nil, report.Refusal("create ExportRun "+run.Name+", which is due", err)
	}
	if run.Spec.Slot != nil {
		export.Status.LastScheduleTime = run.Spec.Slot
	} else {
		export.Status.LastHandledRequest = export.Annotations[v1alpha1.RequestedAtAnnotation]
		export.Status.HandledRequests++
	}
	return run, nil
}

// letGo ends the runs of an export that is being deleted, and lets it go when they have ended.
func (r *Reconciler) letGo(ctx context.Context, export *v1alpha1.AccountingExport) (ctrl.Result, error) {
	runs, err := r.runs(ctx, export)
	if err != nil {
		return ctrl.Result{}, err
	}
	for i := range runs {
		if runs[i].DeletionTimestamp.IsZero() && !runs[i].Status.Phase.Finished() {
			err = errors.Join(err, r.delete(ctx, &runs[i], "whose AccountingExport is being deleted"))
		}
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if waiting := unfinished(runs); len(waiting) > 0 {
		waitForRuns(export, waiting)
		return ctrl.Result{}, nil
	}
	if !controllerutil.ContainsFinalizer(export, v1alpha1.ExportFinalizer) {
		return ctrl.Result{}, nil
	}
	unseen, err := r.unseen(ctx, export)
	if err != nil {
		return ctrl.Result{}, err
	}
	if len(unseen) > 0 {
		waitForRuns(export, unseen)
		return ctrl.Result{RequeueAfter: unseenWait}, nil
	}
	free := export.DeepCopy()
	controllerutil.RemoveFinalizer(free, v1alpha1.ExportFinalizer)
	err = client.IgnoreNotFound(r.Client.Patch(ctx, free, report.UnchangedSince(export)))
	return ctrl.Result{}, report.Refusal("remove the finalizer of AccountingExport "+export.Name, err)
}

// waitForRuns reports what an export that is being deleted waits for.
func waitForRuns(export *v1alpha1.AccountingExport, waiting []string) {
	message := "the export is being deleted, and waits for ExportRun " + waiting[0] + " to give its claims back; its own status says how far it is"
	if more := len(waiting) - 1; more > 0 {
		message += fmt.Sprintf(" (and for %d more)", more)
	}
	report.Of(export).Progressing(v1alpha1.ReasonDeleting, message)
}

// runs returns the runs that belong to an export, oldest first. They are the cache's own, to be read only: there may be very many.
func (r *Reconciler) runs(ctx context.Context, export *v1alpha1.AccountingExport) ([]v1alpha1.ExportRun, error) {
	named, err := r.naming(ctx, export)
	if err != nil {
		return nil, err
	}
	own := controlledBy(export, named)
	r.created.see(client.ObjectKeyFromObject(export), own)
	return own, nil
}

// naming returns the runs that name an export, as the cache has them: they may be of an older one of its name, or of nobody.
func (r *Reconciler) naming(ctx context.Context, export *v1alpha1.AccountingExport) ([]v1alpha1.ExportRun, error) {
	var runs v1alpha1.ExportRunList
	err := r.Client.List(ctx, &runs, client.InNamespace(export.Namespace), client.MatchingFields{watch.ExportIndex: export.Name})
	return runs.Items, err
}

// prune deletes the oldest finished runs beyond the limits of history, and returns how long it is until more of them may be
// deleted. What they recorded in the database stays.
func (r *Reconciler) prune(ctx context.Context, export *v1alpha1.AccountingExport, runs []v1alpha1.ExportRun) (time.Duration, error) {
	excess, wait := superfluous(export.Spec.History, runs, r.keptUntil(ctx, export), r.Clock.Now())
	for i := range excess {
		if err := r.delete(ctx, &excess[i], "which is beyond the limits of history"); err != nil {
			return wait, err
		}
		ctrl.LoggerFrom(ctx).Info("a run beyond the limits of history was deleted", "exportRun", excess[i].Name)
		r.Events.Eventf(export, &excess[i], corev1.EventTypeNormal, "RunDeleted", "History",
			"deleted ExportRun %s, which is beyond the limits of spec.history; what it recorded in the database stays", excess[i].Name)
	}
	return wait, nil
}

// keptUntil returns until when each run is kept for its artifact. Of a destination that cannot be read nothing is kept here: the run
// looks at it again before anything is removed.
func (r *Reconciler) keptUntil(ctx context.Context, export *v1alpha1.AccountingExport) func(*v1alpha1.ExportRun) time.Time {
	destinations := map[types.NamespacedName]*v1alpha1.ExportDestination{}
	return func(run *v1alpha1.ExportRun) time.Time {
		key := references.RunDestinationKey(run, export)
		destination, known := destinations[key]
		if !known {
			var whole v1alpha1.ExportDestination
			destination = &v1alpha1.ExportDestination{}
			if err := r.Client.Get(ctx, key, &whole); err == nil {
				destination.Spec.Retention = whole.Spec.Retention
			}
			destinations[key] = destination
		}
		return exportrun.KeptUntil(run, destination)
	}
}

// delete deletes a run. One that is gone by now, or was made again under its name, is no error.
func (r *Reconciler) delete(ctx context.Context, run *v1alpha1.ExportRun, why string) error {
	err := r.Client.Delete(ctx, run, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err = report.Refusal("delete ExportRun "+run.Name+", "+why, err); apierrors.IsNotFound(err) || report.Conflicts(err) {
		return nil
	}
	return err
}
