package exportrun

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/approval"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/references"
)

// gather reads all that decides what a run does next.
func (r *Reconciler) gather(ctx context.Context, run *v1alpha1.ExportRun) (Inputs, error) {
	in := Inputs{Run: run, Attempt: r.Executor.Observe(string(run.UID)), Holder: r.Executor.Holder(), Limits: r.Limits, Now: r.Clock.Now()}
	if run.Status.Phase.Finished() {
		return in, nil
	}
	var export v1alpha1.AccountingExport
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.ExportRef.Name}, &export)
	if err == nil {
		in.Export = &export
	}
	if err = client.IgnoreNotFound(err); err == nil && in.Export != nil && run.Undecoded.Spec == "" && mayWait(run) {
		in.Turn, err = r.turn(ctx, run)
	}
	return in, err
}

// pursue takes the steps of a run until one is for waiting. All that they change in the status is recorded in one write.
func (r *Reconciler) pursue(ctx context.Context, in Inputs, after *report.Afterwards) (ctrl.Result, error) {
	in.Told = in.Run.Status
	in.Run.Status.ObservedGeneration = in.Run.Generation
	noteWho(in.Run)
	for {
		action := Decide(in)
		if in.toAsk(action.Step) {
			var err error
			if in.Unenforced, err = approval.Unenforced(ctx, r.Client, in.Export); err != nil {
				return ctrl.Result{}, err
			}
			in.Asked = true
			continue
		}
		if in.waiting() && !slices.Contains(keepPlace, action.Step) {
			r.Executor.Withdraw(string(in.Run.UID))
			in.Attempt = executor.State{}
		}
		endSeriesWait(in.Run, action.Step)
		result, goOn, err := r.act(ctx, action, &in, after)
		if err != nil || !goOn {
			return result, err
		}
	}
}

// keepPlace are the steps of a run that keeps its place, or waits for one: others may have it while the run waits for something else.
var keepPlace = []Step{Keep, Cancel, Follow, Execute, AwaitPlace, Begin}

// act takes one step of a run that has not finished. It reports whether to go on with the next one at once.
func (r *Reconciler) act(ctx context.Context, action Action, in *Inputs, after *report.Afterwards) (_ ctrl.Result, goOn bool, err error) {
	run, export, wait := in.Run, in.Export, ctrl.Result{RequeueAfter: action.Wait}
	switch action.Step {
	case LetGo:
		err = r.letGo(ctx, run)
	case RefuseForeign, RefuseLate, RefuseTooMany, RefuseUnapprovable:
		reason, message := refusal(action.Step, in)
		finish(run, v1alpha1.RunFailed, reason, message, in.Now)
	case Keep:
		if err := r.keep(ctx, run, export, !in.tooMany()); err != nil {
			result, err := r.tellRefused(run, err)
			return result, false, err
		}
		in.Kept = true
		return wait, true, nil
	case Suspect:
		run.Status.LostAttempts = suspectAfter
		return wait, true, nil
	case Cancel:
		r.Executor.Cancel(string(run.UID))
		if in.Attempt = r.Executor.Observe(string(run.UID)); !in.Attempt.Phase.UnderWay() {
			return wait, true, nil
		}
		return r.follow(run, export, in.Attempt), false, nil
	case Leave:
		r.recheck(run, export, in.Attempt.Err)
		conclude(run, export, in.Attempt, in.Now)
	case Conclude:
		return r.concluded(ctx, in, after)
	case Follow:
		return r.follow(run, export, in.Attempt), false, nil
	case Lose:
		lose(run, export, in.Now)
		after.Add(r.Metrics.AttemptLost)
		return wait, true, nil
	case Approve:
		approve(run, in.Now)
		return wait, true, nil
	case Expire:
		expire(run, in.Now)
		return wait, true, nil
	case Execute:
		return r.follow(run, export, r.Executor.Ensure(task(run, export, r.Limits))), false, nil
	case AwaitPlace:
		return awaitPlace(in), false, nil
	case Begin:
		wait, err = r.begin(ctx, in)
	default: // but Retire, which the caller does, because it writes no status
		await(action.Step, in)
	}
	return wait, false, err
}

// await says what a run waits for.
func await(step Step, in *Inputs) {
	run, export := in.Run, in.Export
	switch step {
	case AwaitCorrection:
		report.Of(run).Undecodable()
	case AwaitExport:
		progressing(run, v1alpha1.ReasonExportNotFound, fmt.Sprintf("AccountingExport %s/%s does not exist; create it, or delete this run", run.Namespace, run.Spec.ExportRef.Name))
		pend(run)
	case AwaitExportCorrection:
		progressing(run, v1alpha1.ReasonUndecodable, fmt.Sprintf("AccountingExport %s has a field that cannot be decoded, which its own conditions name; the run goes on when it is corrected", export.Name))
	case AwaitTurn:
		awaitTurn(run, in.Turn)
	case AwaitSuspect:
		awaitSuspect(run, in.Turn, in.suspectUntil())
	case AwaitApproval:
		awaitApproval(in)
	case AwaitReadiness:
		awaitReadiness(run, missing(run, export), in.Now)
	default: // AwaitBackoff: the status says when the next attempt begins
	}
}

// concluded records how the attempt here has ended.
func (r *Reconciler) concluded(ctx context.Context, in *Inputs, after *report.Afterwards) (_ ctrl.Result, goOn bool, err error) {
	run, export, state := in.Run, in.Export, in.Attempt
	r.recheck(run, export, state.Err)
	conclude(run, export, state, in.Now)
	after.Add(func() { r.count(export, state) })
	if run.Status.Phase.Finished() {
		return ctrl.Result{}, false, nil
	}
	if state.Err != nil && state.Task.Release {
		gone, err := r.abandoned(ctx, run)
		return ctrl.Result{}, !gone && err == nil, err
	}
	return ctrl.Result{}, true, nil
}

// follow tells of an attempt that is under way or waits for a place, and when to look at it again.
func (r *Reconciler) follow(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, state executor.State) ctrl.Result {
	if attempt := run.Status.Attempt; attempt != nil && attempt.Number == state.Task.Number { // else the cache is late, or another process has begun a later one
		describeProgress(run, state)
	}
	if state.Phase == executor.Queued {
		return ctrl.Result{RequeueAfter: untilToldAgain(state.Before)}
	}
	return ctrl.Result{RequeueAfter: attemptDeadline(export, r.Limits)}
}

// begin announces the next attempt if there is a place for it. What a process has announced and not begun would be taken for lost if it
// ended.
func (r *Reconciler) begin(ctx context.Context, in *Inputs) (ctrl.Result, error) {
	source, err := r.source(ctx, in.Run, in.Export)
	if err != nil {
		return ctrl.Result{}, err
	}
	r.Executor.Forget(string(in.Run.UID))
	announced := in.Run.DeepCopy()
	begin(announced, in.Holder, origin{source, referenceTo(references.NamedDestinationKey(in.Run, in.Export))}, in.Now)
	if in.Attempt = r.Executor.Reserve(task(announced, in.Export, r.Limits)); in.Attempt.Phase != executor.Admitted {
		return awaitPlace(in), nil
	}
	in.Run.Status = announced.Status
	return ctrl.Result{RequeueAfter: attemptDeadline(in.Export, r.Limits)}, nil
}

// ToldAfter is how long a run of a schedule may wait, or be under way, before anybody is told who would look at its export: most have ended
// by then, and a thousand of them may be due in the same second.
const ToldAfter = time.Minute

// toldAfter is how long a run waits for a place before its status tells. A person who asked for a run looks at it soon.
func toldAfter(run *v1alpha1.ExportRun) time.Duration {
	if run.Spec.Slot != nil && !ending(run) {
		return ToldAfter
	}
	return time.Second
}

// awaitPlace tells of a run that has been waiting for a place for a while, and when to look at it again. Its turn comes as an event. Until
// then its status stays as it was, and nothing is written.
func awaitPlace(in *Inputs) ctrl.Result {
	run, state := in.Run, in.Attempt
	if left := toldAfter(run) - state.Waited; left > 0 {
		run.Status.ObservedGeneration, run.Status.RequestedBy = in.Told.ObservedGeneration, in.Told.RequestedBy
		return ctrl.Result{RequeueAfter: left}
	}
	doing := ""
	if run.Status.Phase == v1alpha1.RunReleasing {
		doing = " to give the claims of the run back"
	}
	progressing(run, v1alpha1.ReasonQueued, fmt.Sprintf("waits for a free place among the operator's --max-concurrent-runs%s; %s before it", doing, runsAre(state.Before)))
	pend(run)
	return ctrl.Result{RequeueAfter: untilToldAgain(state.Before)}
}

// source is where a run that holds nothing begins: where its export has its claims, or where the run is recorded that it reverses or
// delivers again.
func (r *Reconciler) source(ctx context.Context, run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) (v1alpha1.NamespacedReference, error) {
	at := referenceTo(references.SourceKey(export))
	of := cmp.Or(run.Spec.Reverses, run.Spec.Redelivers)
	if of == nil {
		return at, nil
	}
	var former v1alpha1.ExportRun
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: run.Namespace, Name: of.Name}, &former); err != nil {
		return at, client.IgnoreNotFound(err)
	}
	if its := former.Status.SourceRef; its != nil && former.Spec.ExportRef == run.Spec.ExportRef {
		at = *its
	}
	return at, nil
}

// referenceTo an object, from any namespace.
func referenceTo(object types.NamespacedName) v1alpha1.NamespacedReference {
	return v1alpha1.NamespacedReference{Namespace: object.Namespace, Name: object.Name}
}

// refusal says why a run does not begin.
func refusal(step Step, in *Inputs) (v1alpha1.Reason, string) {
	name := in.Run.Spec.ExportRef.Name
	switch step {
	case RefuseForeign:
		owner := foreignController(in.Run, in.Export)
		return v1alpha1.ReasonInvalidSpec, fmt.Sprintf("metadata.ownerReferences says that the run belongs to the %s %s with the UID %s, and not to AccountingExport %s with the UID %s; create one without",
			owner.Kind, owner.Name, owner.UID, name, in.Export.UID)
	case RefuseLate:
		return v1alpha1.ReasonExportNotFound, fmt.Sprintf("AccountingExport %s is being deleted, so that no run of it begins; create the export again, and another run", name)
	case RefuseUnapprovable:
		why := in.unapprovable()
		return why.Reason, why.Message
	default:
		return v1alpha1.ReasonTooManyRuns, fmt.Sprintf(
			"AccountingExport %s has as many unfinished runs before it as the operator's --max-unfinished-runs-per-export allows, which is %d; create it again when some have ended",
			name, in.Limits.UnfinishedRunsPerExport)
	}
}
