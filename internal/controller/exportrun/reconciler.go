// Package exportrun reconciles ExportRuns: what a run does next.
package exportrun

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/metrics"
	"github.com/ledgerport/ledgerport/internal/notify"
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
	reconciler := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ExportRun{}, builder.WithPredicates(moreThanTold)).
		Watches(&v1alpha1.ExportRun{}, enqueueReversed()).
		WatchesRawSource(source.TypedChannel(r.Executor.Events(), watch.EnqueueNamed()))
	watch.Concerned(reconciler, &v1alpha1.ExportRun{}, enqueueNextRun(mgr.GetClient()))
	watch.Concerned(reconciler, &v1alpha1.AccountingExport{}, enqueueRunsOfExport(mgr.GetClient()),
		builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, readinessChanged)))
	watch.Concerned(reconciler, &v1alpha1.ExportDestination{}, enqueueRunsAt(mgr.GetClient()), builder.WithPredicates(retentionChanged))
	return reconciler.WithOptions(watch.Workers()).Complete(r)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	var run v1alpha1.ExportRun
	defer func() {
		if err != nil { // a place is nothing to keep for what cannot be recorded: that may never be
			r.giveWay(&run)
		}
	}()
	if err := r.Client.Get(ctx, req.NamespacedName, &run); err != nil {
		if apierrors.IsNotFound(err) { // by force, if an attempt is under way: nothing keeps its place
			r.Executor.Abandon(req.NamespacedName, "")
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if run.Status.Attempts == 0 { // one of the same name may have gone by force
		r.Executor.Abandon(req.NamespacedName, string(run.UID))
	}
	before := run.DeepCopy()
	adoptStatus(&run.Status, r.Clock.Now())
	in, err := r.gather(ctx, &run)
	switch {
	case err != nil:
		return ctrl.Result{}, err
	case Decide(in).Step == Retire:
		if !in.Attempt.Task.RemoveArtifact { // should another process have ended it
			r.Executor.Withdraw(string(run.UID))
		}
		if result, err := r.tellLater(ctx, &run); err != nil || !result.IsZero() {
			return result, err
		}
		return r.retire(ctx, &run)
	}
	return r.Record(ctx, before, &run, func(after *report.Afterwards) (ctrl.Result, error) {
		after.Add(func() { r.tell(before, &run) })
		after.Add(func() { r.countEnd(ctx, &run) })
		result, err := r.pursue(ctx, in, after)
		if in.Export != nil && (run.Status.Phase.Finished() || awaitsApproval(&run) && before.Status.Phase != v1alpha1.RunAwaitingApproval) {
			notify.Record(&run, in.Export, in.Now)
		}
		return result, err
	})
}

// tellLater records what has become of a run since it has ended.
func (r *Reconciler) tellLater(ctx context.Context, run *v1alpha1.ExportRun) (ctrl.Result, error) {
	if result, err := r.tellImported(ctx, run); err != nil || !result.IsZero() {
		return result, err
	}
	return r.tellReversed(ctx, run)
}

// giveWay gives back the place of an attempt that has not begun.
func (r *Reconciler) giveWay(run *v1alpha1.ExportRun) {
	if r.Executor.Observe(string(run.UID)).Phase == executor.Admitted {
		r.Executor.Withdraw(string(run.UID))
	}
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
	if run.Spec.Type == v1alpha1.RunReversal || !run.Spec.Type.TakesTurns() {
		exported = v1alpha1.RunResult{} // what a reversal takes back was counted before, and others export nothing
	}
	r.Metrics.RunEnded(export.Spec.Exporter.Type, run.Status.Phase, ReadyReason(run), exported)
}

// recheck lets the reconcilers of source and destination look soon at what an attempt found missing.
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
		r.Destinations.Ask(references.RunDestinationKey(run, export))
	}
}

// concerned reports whether an attempt found something wrong with the source or the destination. That these do not admit the namespace
// is no reason to look at them, nor are the export's own credentials: anybody could have what is another's looked at as often as they like.
func concerned(err error) (ofSource, ofDestination bool) {
	if err == nil {
		return false, false
	}
	failed := failure.From(err)
	if failed.Reason == v1alpha1.ReasonAccessDenied {
		return false, false
	}
	return failed.Condition == v1alpha1.ConditionSourceReady, failed.Condition == v1alpha1.ConditionDestinationReady
}

// task is the attempt that a run needs next.
func task(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, limits Limits) pipeline.Task {
	cutoff := run.CreationTimestamp.Time
	var named []string
	if run.Spec.Claims != nil {
		named = run.Spec.Claims.IDs
	}
	if run.Spec.Cutoff != nil {
		cutoff = run.Spec.Cutoff.Time
	}
	t := pipeline.RecordOf(run)
	t.Number, t.Cutoff, t.Claims, t.CreatedAt = run.Status.Attempts, cutoff, named, run.CreationTimestamp.Time
	t.Deadline, t.Release, t.Alone = attemptDeadline(export, limits), run.Status.Phase == v1alpha1.RunReleasing, suspect(run)
	if t.Alone {
		t.Deadline = min(t.Deadline, aloneDeadline)
	}
	if run.Spec.Reverses != nil {
		t.Reverses = run.Spec.Reverses.Name
	}
	if run.Spec.Redelivers != nil {
		t.Redelivers = run.Spec.Redelivers.Name
	}
	t.Nameless = nameless(run, export)
	if approval := run.Status.Approval; approval != nil {
		t.Awaited = true
		if approval.Given() {
			t.Approved, t.RequestedBy, t.ApprovedBy = approval.Digest, run.Status.RequestedBy, approval.ApprovedBy
			if approval.ApprovedAt != nil {
				t.ApprovedAt = approval.ApprovedAt.Time
			}
		}
	}
	if t.Release {
		t.ReleaseReason = run.Status.ReleaseReason
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
