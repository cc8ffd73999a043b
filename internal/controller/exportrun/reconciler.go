// Package exportrun reconciles ExportRuns: what a run does next.
package exportrun

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/metrics"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
)

// Limits of the administrator bound what tenants may ask of runs. A limit of zero is none.
type Limits struct {
	// LongestDeadline of an attempt, whatever spec.deadline of an export says.
	LongestDeadline time.Duration
	// UnfinishedRunsPerExport that wait or are under way; others end at once.
	UnfinishedRunsPerExport int
}

// Reconciler leads a run through its attempts to its end. It never executes one itself.
type Reconciler struct {
	*report.Recorder
	Executor executor.Executor
	Metrics  *metrics.Metrics
	Clock    clock.PassiveClock
	// Limits of the administrator.
	Limits Limits
	// Sources and Destinations are asked to look at once where a run meets a fault of theirs.
	Sources, Destinations *watch.Recheck
	// GracePeriod is how long the process may take to end when it is stopped.
	GracePeriod time.Duration
}

// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=exportruns/status,verbs=patch

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	last := &farewell{objects: mgr.GetCache(), api: mgr.GetAPIReader(), writer: r.Client, executor: r.Executor, patience: r.GracePeriod * 3 / 4}
	if err := mgr.Add(last); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ExportRun{}).
		Watches(&v1alpha1.ExportRun{}, enqueueNextRun(mgr.GetClient())).
		Watches(&v1alpha1.AccountingExport{}, enqueueRunsOfExport(mgr.GetClient()),
			builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, readinessChanged))).
		Watches(&v1alpha1.ExportDestination{}, enqueueRunsAt(mgr.GetClient()), builder.WithPredicates(retentionChanged)).
		WatchesRawSource(source.TypedChannel(r.Executor.Events(), watch.EnqueueNamed())).
		WithOptions(watch.Workers()).
		Complete(r)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var run v1alpha1.ExportRun
	if err := r.Client.Get(ctx, req.NamespacedName, &run); err != nil {
		if apierrors.IsNotFound(err) { // by force, if an attempt is under way: nothing keeps its place
			r.Executor.Abandon(req.NamespacedName, "")
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if run.Status.Attempts == 0 { // one of the same name may have gone by force
		r.Executor.Abandon(req.NamespacedName, string(run.UID))
	}
	if run.Status.Phase.Finished() {
		return r.retire(ctx, &run)
	}
	before := run.DeepCopy()
	return r.Record(ctx, before, &run, func(after *report.Afterwards) (ctrl.Result, error) {
		after.Add(func() { r.tell(before, &run) })
		after.Add(func() { r.countEnd(ctx, &run) })
		return r.reconcile(ctx, &run, after)
	})
}

func (r *Reconciler) reconcile(ctx context.Context, run *v1alpha1.ExportRun, after *report.Afterwards) (ctrl.Result, error) {
	run.Status.ObservedGeneration = run.Generation
	if !ending(run) && report.Of(run).Undecodable() {
		return ctrl.Result{}, nil
	}
	var export v1alpha1.AccountingExport
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.ExportRef.Name}, &export)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return ctrl.Result{}, err
	case err != nil:
		return ctrl.Result{}, r.orphaned(ctx, run)
	case export.Undecoded.Spec != "":
		report.Of(run).Progressing(v1alpha1.ReasonUndecodable,
			fmt.Sprintf("AccountingExport %s has a field that cannot be decoded, which its own conditions name; the run goes on when it is corrected", export.Name))
		return ctrl.Result{}, nil
	}
	if owner := stranger(run, &export); owner != nil {
		finish(run, v1alpha1.RunFailed, v1alpha1.ReasonInvalidSpec,
			fmt.Sprintf("metadata.ownerReferences says that the run belongs to %s %s, and not to AccountingExport %s; create one without", owner.Kind, owner.Name, export.Name), r.Clock.Now())
		return ctrl.Result{}, nil
	}
	var turn turn
	if !ending(run) {
		if turn, err = r.turn(ctx, run); err != nil {
			return ctrl.Result{}, err
		}
	}
	tooMany := !ending(run) && tooManyBefore(run, turn, r.Limits)
	switch {
	case export.DeletionTimestamp.IsZero():
		if err := errors.Join(Protect(ctx, r.Client, &export), r.adopt(ctx, run, &export, !tooMany)); err != nil {
			return r.tellRefused(run, err)
		}
	case run.Status.Attempts == 0 && !adopted(run, &export): // nothing would keep the export until the run has given its claims back
		finish(run, v1alpha1.RunFailed, v1alpha1.ReasonExportNotFound,
			fmt.Sprintf("AccountingExport %s is being deleted, so that no run of it begins; create the export again, and another run", export.Name), r.Clock.Now())
		return ctrl.Result{}, nil
	}
	switch {
	case ending(run):
		return r.lead(ctx, run, &export, after)
	case tooMany:
		finish(run, v1alpha1.RunFailed, v1alpha1.ReasonTooManyRuns, fmt.Sprintf(
			"AccountingExport %s has as many unfinished runs before it as the operator's --max-unfinished-runs-per-export allows, which is %d; create it again when some have ended",
			run.Spec.ExportRef.Name, r.Limits.UnfinishedRunsPerExport), r.Clock.Now())
		return ctrl.Result{}, nil
	}
	if wait := r.await(run, &export, turn); wait > 0 || run.Status.Phase.Finished() {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	return r.lead(ctx, run, &export, after)
}

// lead asks the executor where the run stands, and for the next attempt when that is due.
func (r *Reconciler) lead(ctx context.Context, run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, after *report.Afterwards) (_ ctrl.Result, err error) {
	now := r.Clock.Now() // for when to try again, and for people: over other processes' attempts the database's clock decides
	state := r.Executor.Observe(string(run.UID))
	if ending(run) && !state.Task.Release && state.Phase.UnderWay() {
		r.Executor.Cancel(string(run.UID))
	}
	if state.Phase == executor.Ended && state.Task.Number == run.Status.Attempts && !recorded(run) {
		r.recheck(run, export, state.Err)
		conclude(run, export, state, now)
		if !run.Status.Phase.Finished() && !recorded(run) { // interrupted: the next process goes on
			return ctrl.Result{}, nil
		}
		after.Add(func() { r.count(export, state) })
		if run.Status.Phase.Finished() {
			return ctrl.Result{}, nil
		}
		if state.Err != nil && state.Task.Release {
			if gone, err := r.abandoned(ctx, run); gone || err != nil {
				return ctrl.Result{}, err
			}
		}
	}
	if state.Phase.UnderWay() && (state.Phase != executor.Admitted || queued(run)) {
		return r.underWay(run, export, state), nil
	}
	if lost(run, r.Executor.Holder()) {
		lose(run, export, now)
		after.Add(r.Metrics.AttemptLost)
	}
	if begun(run, r.Executor.Holder()) {
		// The attempt is on record; only now may it touch anything.
		return r.underWay(run, export, r.Executor.Ensure(task(run, export, r.Limits))), nil
	}
	if blocked := missing(export); blocked != nil && run.Status.Phase == v1alpha1.RunRetrying && !ending(run) {
		wait(run, blocked, now)
		return ctrl.Result{RequeueAfter: longestBackoff}, nil
	}
	if wait := untilAttempt(run, export, now); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	origin, err := r.source(ctx, run, export)
	if err != nil {
		return ctrl.Result{}, err
	}
	r.Executor.Forget(string(run.UID))
	begin(run, r.Executor.Holder(), origin, now)
	return ctrl.Result{RequeueAfter: attemptDeadline(export, r.Limits)}, nil
}

// underWay tells of an attempt that runs or waits for a place, and when to look at it again.
func (r *Reconciler) underWay(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, state executor.State) ctrl.Result {
	describeProgress(run, state)
	if state.Phase == executor.Queued {
		return ctrl.Result{RequeueAfter: untilToldAgain(state.Before)}
	}
	return ctrl.Result{RequeueAfter: attemptDeadline(export, r.Limits)}
}

// count keeps what an attempt took and what it failed for.
func (r *Reconciler) count(export *v1alpha1.AccountingExport, state executor.State) {
	r.Metrics.AttemptEnded(client.ObjectKeyFromObject(export), export.Spec.Exporter.Type, state.Outcome.StageSeconds, state.Task.Deadline)
	if state.Err != nil {
		r.Metrics.Failed(failure.From(state.Err))
	}
}

// countEnd counts a run whose end was just recorded.
func (r *Reconciler) countEnd(ctx context.Context, run *v1alpha1.ExportRun) {
	if !run.Status.Phase.Finished() || run.Status.Recovered { // which was counted when it ended
		return
	}
	var export v1alpha1.AccountingExport // without it the exporter is not known
	_ = r.Client.Get(ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.ExportRef.Name}, &export)
	exported := run.Status.RunResult
	if run.Spec.Type == v1alpha1.RunPreview || run.Spec.Type == v1alpha1.RunReversal {
		exported = v1alpha1.RunResult{} // a preview exports nothing, and what a reversal takes back was counted before
	}
	r.Metrics.RunEnded(export.Spec.Exporter.Type, run.Status.Phase, ReadyReason(run), exported)
}

// source is where a run that holds nothing begins: where its export has its claims, or where the run is on record that it
// reverses.
func (r *Reconciler) source(ctx context.Context, run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) (v1alpha1.NamespacedReference, error) {
	named := references.SourceKey(export)
	at := v1alpha1.NamespacedReference{Namespace: named.Namespace, Name: named.Name}
	if run.Spec.Reverses == nil {
		return at, nil
	}
	var reversed v1alpha1.ExportRun
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.Reverses.Name}, &reversed); err != nil {
		return at, client.IgnoreNotFound(err)
	}
	if its := reversed.Status.SourceRef; its != nil && reversed.Spec.ExportRef == run.Spec.ExportRef {
		at = *its
	}
	return at, nil
}

// recheck lets whoever knows best look soon at what an attempt found missing.
func (r *Reconciler) recheck(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, err error) {
	ofSource, ofDestination := concerned(err)
	if ofSource {
		claims := references.SourceKey(export)
		if at := run.Status.SourceRef; at != nil {
			claims = types.NamespacedName{Namespace: at.Namespace, Name: at.Name}
		}
		r.Sources.Ask(claims)
	}
	if ofDestination {
		r.Destinations.Ask(references.DestinationKey(export))
	}
}

// concerned reports whether an attempt found something wrong with the source or the destination. That these do not admit the namespace
// is no reason to look at them: anybody could have what is another's looked at as often as they like.
func concerned(err error) (ofSource, ofDestination bool) {
	if err == nil {
		return false, false
	}
	failed := failure.From(err)
	if failed.Reason == v1alpha1.ReasonAccessDenied {
		return false, false
	}
	credentials := failed.Condition == v1alpha1.ConditionCredentialsReady
	return credentials || failed.Condition == v1alpha1.ConditionSourceReady, credentials || failed.Condition == v1alpha1.ConditionDestinationReady
}

// Protect keeps an export from going before its runs, which need it to give their claims back.
func Protect(ctx context.Context, c client.Client, export *v1alpha1.AccountingExport) error {
	before := export.DeepCopy()
	if !controllerutil.AddFinalizer(export, v1alpha1.ExportFinalizer) {
		return nil
	}
	protected := export.DeepCopy()
	before.DeepCopyInto(export)
	if err := c.Patch(ctx, protected, report.UnchangedSince(before)); err != nil {
		return report.Refusal("put a finalizer on AccountingExport "+export.Name, err)
	}
	protected.DeepCopyInto(export)
	return nil
}

// stranger names what controls a run that has not begun, where that is not its export: what belongs to something else is not
// run. One that has begun was the export's, whatever became of its owner, and may hold claims.
func stranger(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) *metav1.OwnerReference {
	if owner := metav1.GetControllerOf(run); owner != nil && owner.UID != export.UID && run.Status.Attempts == 0 && run.DeletionTimestamp.IsZero() {
		return owner
	}
	return nil
}

// adopt makes a run that a person created belong to its export, like one that a schedule created. One that begins stays until
// it has given its claims back.
func (r *Reconciler) adopt(ctx context.Context, run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, begins bool) error {
	if adopted(run, export) || !begins && metav1.IsControlledBy(run, export) || !run.DeletionTimestamp.IsZero() {
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

// adopted reports whether a run belongs to its export and stays until it has given its claims back.
func adopted(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) bool {
	return metav1.IsControlledBy(run, export) && controllerutil.ContainsFinalizer(run, v1alpha1.RunFinalizer)
}

// tellRefused lets a run that the API server refused something for wait until that is tried again.
func (r *Reconciler) tellRefused(run *v1alpha1.ExportRun, err error) (ctrl.Result, error) {
	result, err := report.Refused(run, err, r.Clock.Now(), r.Sources.After(false))
	if err == nil && run.Status.Phase == "" {
		run.Status.Phase = v1alpha1.RunPending
	}
	return result, err
}

// orphaned waits for the export to appear; a run that is being deleted does not wait.
func (r *Reconciler) orphaned(ctx context.Context, run *v1alpha1.ExportRun) error {
	if !run.DeletionTimestamp.IsZero() {
		return r.letGo(ctx, run)
	}
	if run.Status.Phase == "" {
		run.Status.Phase = v1alpha1.RunPending
	}
	report.Of(run).Progressing(v1alpha1.ReasonExportNotFound,
		fmt.Sprintf("AccountingExport %s/%s does not exist; create it, or delete this run", run.Namespace, run.Spec.ExportRef.Name))
	return nil
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
	err := client.IgnoreNotFound(r.Client.Patch(ctx, free, client.MergeFrom(run)))
	err = report.Refusal("remove the finalizer of ExportRun "+run.Name, err)
	report.WarnRefused(r.Events, run, err)
	if err == nil {
		run.ObjectMeta = free.ObjectMeta
	}
	return err
}

// tell writes the events of a change that was recorded.
func (r *Reconciler) tell(was, run *v1alpha1.ExportRun) {
	before, status := &was.Status, &run.Status
	ready := readyCondition(run)
	wanting := before.Phase == v1alpha1.RunRetrying && status.Phase == before.Phase && ready.Reason != ReadyReason(was) // what it waits for is new
	switch {
	case ready.Reason == v1alpha1.ReasonUndecodable && run.Undecoded.Spec != "":
		report.Announce(r.Events, run, before.Conditions)
		return
	case status.Phase == before.Phase && status.Failures == before.Failures && !wanting:
		return
	case status.Recovered:
		r.Events.Eventf(run, nil, corev1.EventTypeNormal, v1alpha1.ReasonRecovered, "Export", "the run had ended before; its status is from the record in the database")
		return
	case status.Phase == v1alpha1.RunSucceeded:
		r.Events.Eventf(run, nil, corev1.EventTypeNormal, ready.Reason, "Export", "%s", ready.Message)
	case ready.Reason == v1alpha1.ReasonTooManyRuns: // as the status says; there may be thousands
	case wanting || status.Failures > before.Failures || status.Phase.Finished():
		r.Events.Eventf(run, nil, corev1.EventTypeWarning, ready.Reason, "Export", "%s", ready.Message)
	}
	if status.Phase.Finished() && status.Held > 0 {
		r.Events.Eventf(run, nil, corev1.EventTypeWarning, v1alpha1.ReasonClaimsHeld, "Export", "%s", heldNote(status))
	}
}

// heldNote names held claims, as many as an event has room for.
func heldNote(status *v1alpha1.ExportRunStatus) string {
	note := strings.Builder{}
	fmt.Fprintf(&note, "%d claims are held and wait for a later run:", status.Held)
	named := int64(0)
	for _, held := range status.HeldClaims {
		entry := fmt.Sprintf(" %s (%s)", held.ID, held.Reason)
		if held.Message != "" {
			entry = fmt.Sprintf(" %s (%s: %s)", held.ID, held.Reason, held.Message)
		}
		if note.Len()+len(entry) > report.MaxMessage-len(" and 1000000000 more") {
			break
		}
		note.WriteString(entry)
		named++
	}
	if more := status.Held - named; more > 0 {
		fmt.Fprintf(&note, " and %d more", more)
	}
	return note.String()
}

// task is the attempt that a run needs next.
func task(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, limits Limits) pipeline.Task {
	cutoff := run.CreationTimestamp.Time
	if run.Spec.Cutoff != nil {
		cutoff = run.Spec.Cutoff.Time
	}
	t := pipeline.Task{
		RunID: string(run.UID), Namespace: run.Namespace, Name: run.Name, Export: run.Spec.ExportRef.Name, Type: run.Spec.Type,
		Number: run.Status.Attempts, Cutoff: cutoff, CreatedAt: run.CreationTimestamp.Time,
		Deadline: attemptDeadline(export, limits), Release: run.Status.Phase == v1alpha1.RunReleasing, Alone: suspect(run),
	}
	if t.Alone {
		t.Deadline = min(t.Deadline, aloneDeadline)
	}
	if run.Spec.Reverses != nil {
		t.Reverses = run.Spec.Reverses.Name
	}
	if run.Status.SourceRef != nil {
		t.Source = *run.Status.SourceRef
	}
	if t.Release {
		t.ReleaseReason = ReadyReason(run)
	}
	return t
}

// attemptDeadline is spec.deadline with the API's default, or the longest that the administrator allows.
func attemptDeadline(export *v1alpha1.AccountingExport, limits Limits) time.Duration {
	deadline := 150 * time.Second
	if export.Spec.Deadline != nil {
		deadline = export.Spec.Deadline.Duration
	}
	if limits.LongestDeadline > 0 {
		deadline = min(deadline, limits.LongestDeadline)
	}
	return deadline
}
