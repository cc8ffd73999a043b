package exportrun

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// attempted lets a run have an attempt that this process has announced, and changes it then.
func attempted(change func(*v1alpha1.ExportRun)) func(*Inputs) {
	return func(in *Inputs) {
		in.Run.Status = running(1, 0, "")
		in.Run.Status.Attempt.Holder = in.Holder
		change(in.Run)
	}
}

// here lets this process know of the first attempt.
func here(phase executor.Phase, err error) func(*Inputs) {
	return func(in *Inputs) {
		in.Attempt = executor.State{Phase: phase, Err: err, Task: pipeline.Task{Number: 1, Release: in.Run.Status.Phase == v1alpha1.RunReleasing}}
	}
}

// unchanged is for a run as it is.
func unchanged(*v1alpha1.ExportRun) {}

func held(by string) func(*v1alpha1.ExportRun) {
	return func(run *v1alpha1.ExportRun) { run.Status.Attempt.Holder = by }
}

func queuing(run *v1alpha1.ExportRun) { run.Status.Attempt.Queued = true }

func cancelling(run *v1alpha1.ExportRun) { run.Spec.Cancel = true }

// retrying lets an attempt have failed, and the next be due after a while.
func retrying(after time.Duration) func(*v1alpha1.ExportRun) {
	return func(run *v1alpha1.ExportRun) {
		run.Status.Phase, run.Status.Attempt.EndedAt, run.Status.NextAttemptAt = v1alpha1.RunRetrying, &metav1.Time{Time: noon}, &metav1.Time{Time: noon.Add(after)}
	}
}

func givingBack(run *v1alpha1.ExportRun) {
	run.Status.Phase, run.Status.ReleaseReason = v1alpha1.RunReleasing, v1alpha1.ReasonCancelled
}

func deleted(object metav1.Object) { object.SetDeletionTimestamp(&metav1.Time{Time: noon}) }

func unreadySource(in *Inputs) { unreadyOf(v1alpha1.ConditionSourceReady)(in) }

func unreadyOf(kinds ...string) func(*Inputs) {
	return func(in *Inputs) {
		for _, kind := range kinds {
			in.Export.Status.Conditions = append(in.Export.Status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonAccessDenied})
		}
	}
}

func redelivering(in *Inputs) {
	in.Run.Spec.Type, in.Run.Spec.DestinationRef = v1alpha1.RunRedeliver, &v1alpha1.NamespacedReference{Name: "elsewhere"}
}

// decisionInputs are those of a run that is to begin, after changes.
func decisionInputs(changes ...func(*Inputs)) Inputs {
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Name: "monthly", UID: "monthly", Finalizers: []string{v1alpha1.ExportFinalizer}}}
	in := Inputs{
		Run: &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{
			Name: "run", UID: "run", Finalizers: []string{v1alpha1.RunFinalizer},
			OwnerReferences: []metav1.OwnerReference{{Kind: "AccountingExport", Name: "monthly", UID: "monthly", Controller: ptr.To(true)}},
		}},
		Export: export, Holder: "this", Now: noon,
	}
	for _, change := range changes {
		change(&in)
	}
	return in
}

func TestDecide(t *testing.T) {
	t.Parallel()
	stopped := failure.Transient(v1alpha1.ReasonInterrupted, nil, "stopped")
	broken := failure.Transient(v1alpha1.ReasonDatabaseUnreachable, nil, "no answer")
	poison := &v1alpha1.ExportRun{Status: v1alpha1.ExportRunStatus{CompletedAt: &metav1.Time{Time: noon}}}
	tests := []struct {
		name    string
		step    Step
		wait    time.Duration
		changes []func(*Inputs)
	}{
		{"a run that has finished retires, whatever else is so", Retire, 0, []func(*Inputs){
			attempted(func(run *v1alpha1.ExportRun) { run.Status.Phase = v1alpha1.RunFailed; deleted(run) }), func(in *Inputs) { in.Export = nil }}},
		{"a spec that does not decode waits for its correction", AwaitCorrection, 0, []func(*Inputs){func(in *Inputs) { in.Run.Undecoded.Spec = "spec.cutoff" }}},
		{"and not if the run is to end", Begin, 0, []func(*Inputs){func(in *Inputs) { in.Run.Undecoded.Spec = "spec.cutoff"; in.Run.Spec.Cancel = true }}},
		{"without its export a run waits", AwaitExport, 0, []func(*Inputs){func(in *Inputs) { in.Export = nil }}},
		{"also one that was cancelled, which may hold claims", AwaitExport, 0, []func(*Inputs){attempted(cancelling), func(in *Inputs) { in.Export = nil }}},
		{"and goes if it is deleted", LetGo, 0, []func(*Inputs){attempted(func(run *v1alpha1.ExportRun) { deleted(run) }), func(in *Inputs) { in.Export = nil }}},
		{"an export that does not decode is waited for", AwaitExportCorrection, 0, []func(*Inputs){attempted(unchanged), func(in *Inputs) { in.Export.Undecoded.Spec = "spec.deadline" }}},
		{"a run that something else controls does not begin", RefuseForeign, 0, []func(*Inputs){func(in *Inputs) { in.Run.OwnerReferences[0].UID = "other" }}},
		{"and goes on if it has begun, whatever became of its owner", Keep, 0, []func(*Inputs){attempted(unchanged), func(in *Inputs) { in.Run.OwnerReferences[0].UID = "other" }}},
		{"no run of an export that is being deleted begins", RefuseLate, 0, []func(*Inputs){func(in *Inputs) { deleted(in.Export); in.Run.Finalizers = nil }}},
		{"but one that keeps the export goes on", Begin, 0, []func(*Inputs){func(in *Inputs) { deleted(in.Export) }}},
		{"and one that has begun", Execute, 0, []func(*Inputs){attempted(unchanged), func(in *Inputs) { deleted(in.Export); in.Run.Finalizers = nil }}},
		{"a run that a person created is made to belong to its export first", Keep, 0, []func(*Inputs){func(in *Inputs) { in.Run.OwnerReferences, in.Run.Finalizers = nil, nil }}},
		{"and its export to stay", Keep, 0, []func(*Inputs){func(in *Inputs) { in.Export.Finalizers = nil }}},
		{"which is written once", Begin, 0, []func(*Inputs){func(in *Inputs) { in.Export.Finalizers = nil; in.Kept = true }}},
		{"a run too many belongs to its export too", Keep, 0, []func(*Inputs){func(in *Inputs) {
			in.Run.OwnerReferences, in.Limits.UnfinishedRunsPerExport, in.Turn.unfinished = nil, 2, 2
		}}},
		{"and ends, without ever keeping it", RefuseTooMany, 0, []func(*Inputs){func(in *Inputs) {
			in.Run.Finalizers, in.Limits.UnfinishedRunsPerExport, in.Turn.unfinished = nil, 2, 2
		}}},
		{"but not once it has begun", AwaitBackoff, time.Minute, []func(*Inputs){attempted(retrying(time.Minute)), func(in *Inputs) {
			in.Limits.UnfinishedRunsPerExport, in.Turn.unfinished = 2, 2
		}}},
		{"a run waits for those before it", AwaitTurn, 30 * time.Second, []func(*Inputs){func(in *Inputs) { in.Turn = turn{next: poison, before: 3} }}},
		{"also between attempts", AwaitTurn, 10 * time.Second, []func(*Inputs){attempted(retrying(0)), func(in *Inputs) { in.Turn = turn{next: poison, before: 1} }}},
		{"and not if it is to end", Begin, 0, []func(*Inputs){func(in *Inputs) { in.Turn, in.Run.Spec.Cancel = turn{next: poison, before: 3}, true }}},
		{"after one that ended the process a run is suspect", Suspect, 0, []func(*Inputs){func(in *Inputs) { in.Turn = turn{newest: poison, lost: 1} }}},
		{"and waits", AwaitSuspect, 80 * time.Second, []func(*Inputs){func(in *Inputs) {
			in.Turn, in.Run.Status.LostAttempts = turn{newest: poison, lost: 1}, suspectAfter
		}}},
		{"and begins then", Begin, 0, []func(*Inputs){func(in *Inputs) {
			in.Turn, in.Run.Status.LostAttempts, in.Now = turn{newest: poison, lost: 1}, suspectAfter, noon.Add(time.Hour)
		}}},
		{"a new run begins", Begin, 0, nil},
		{"a run that was cancelled before it began asks for claims of an earlier one of its name", Begin, 0, []func(*Inputs){func(in *Inputs) { in.Run.Spec.Cancel = true }}},
		{"a cancellation ends the attempt under way", Cancel, 0, []func(*Inputs){attempted(cancelling), here(executor.Running, nil)}},
		{"and one that waits for a place", Cancel, 0, []func(*Inputs){attempted(func(run *v1alpha1.ExportRun) { cancelling(run); queuing(run) }), here(executor.Queued, nil)}},
		{"and not one that gives claims back", Follow, 0, []func(*Inputs){attempted(func(run *v1alpha1.ExportRun) { cancelling(run); givingBack(run) }), here(executor.Running, nil)}},
		{"an attempt that ended because the process stops is left to the next process", Leave, 0, []func(*Inputs){attempted(unchanged), here(executor.Ended, stopped)}},
		{"the end of an attempt is recorded", Conclude, 0, []func(*Inputs){attempted(unchanged), here(executor.Ended, nil)}},
		{"also of one that failed, of a run that was cancelled meanwhile", Conclude, 0, []func(*Inputs){attempted(cancelling), here(executor.Ended, broken)}},
		{"once", AwaitBackoff, time.Minute, []func(*Inputs){attempted(retrying(time.Minute)), here(executor.Ended, broken)}},
		{"and not the end of another attempt", Begin, 0, []func(*Inputs){attempted(func(run *v1alpha1.ExportRun) { run.Status.Attempt.Number = 2; held("")(run) }), here(executor.Ended, broken)}},
		{"an attempt under way is followed", Follow, 0, []func(*Inputs){attempted(unchanged), here(executor.Running, nil)}},
		{"and one that waits for a place", Follow, 0, []func(*Inputs){attempted(queuing), here(executor.Queued, nil)}},
		{"that it has a place is recorded", Follow, 0, []func(*Inputs){attempted(queuing), here(executor.Admitted, nil)}},
		{"before it is executed", Execute, 0, []func(*Inputs){attempted(unchanged), here(executor.Admitted, nil)}},
		{"an attempt of another process is lost", Lose, 0, []func(*Inputs){attempted(held("killed"))}},
		{"also one that gave claims back", Lose, 0, []func(*Inputs){attempted(func(run *v1alpha1.ExportRun) { givingBack(run); held("killed")(run) })}},
		{"and is followed by another at once", Begin, 0, []func(*Inputs){attempted(func(run *v1alpha1.ExportRun) { held("killed")(run); lose(run, &v1alpha1.AccountingExport{}, noon) })}},
		{"one that waited for a place there is not lost", Begin, 0, []func(*Inputs){attempted(func(run *v1alpha1.ExportRun) { held("killed")(run); queuing(run) })}},
		{"nor one of a process that was stopped cleanly", Begin, 0, []func(*Inputs){attempted(held(""))}},
		{"an attempt that this process has announced is executed", Execute, 0, []func(*Inputs){attempted(unchanged)}},
		{"and not if it was cancelled meanwhile", Begin, 0, []func(*Inputs){attempted(cancelling)}},
		{"but one that gives claims back is", Execute, 0, []func(*Inputs){attempted(func(run *v1alpha1.ExportRun) { cancelling(run); givingBack(run) })}},
		{"a run that failed waits while its export is not ready", AwaitReadiness, longestBackoff, []func(*Inputs){attempted(retrying(0)), unreadySource}},
		{"unless it is to end", Begin, 0, []func(*Inputs){attempted(func(run *v1alpha1.ExportRun) { retrying(0)(run); cancelling(run) }), unreadySource}},
		{"a redelivery waits for its source, too", AwaitReadiness, longestBackoff, []func(*Inputs){attempted(retrying(0)), redelivering, unreadySource}},
		{"but not for a chart, nor for a destination that is not its own", Begin, 0, []func(*Inputs){attempted(retrying(0)), redelivering, unreadyOf(v1alpha1.ConditionMappingReady, v1alpha1.ConditionDestinationReady)}},
		{"a new run does not wait for that: its first attempt says what is missing", Begin, 0, []func(*Inputs){unreadySource}},
		{"the next attempt is not due", AwaitBackoff, time.Minute, []func(*Inputs){attempted(retrying(time.Minute))}},
		{"then it is", Begin, 0, []func(*Inputs){attempted(retrying(0))}},
		{"which waits for a place", AwaitPlace, 0, []func(*Inputs){here(executor.Queued, nil)}},
		{"and is announced when it has one", Begin, 0, []func(*Inputs){here(executor.Admitted, nil)}},
		{"so does the attempt after one that has ended", AwaitPlace, 0, []func(*Inputs){attempted(retrying(0)), here(executor.Queued, nil)}},
		{"but not while the export is not ready", AwaitReadiness, longestBackoff, []func(*Inputs){attempted(retrying(0)), unreadySource, here(executor.Queued, nil)}},
		{"nor while another run comes first", AwaitTurn, 30 * time.Second, []func(*Inputs){func(in *Inputs) { in.Turn = turn{next: poison, before: 3} }, here(executor.Admitted, nil)}},
		{"a run that is cancelled while it waits for a place waits no longer", Cancel, 0, []func(*Inputs){func(in *Inputs) { in.Run.Spec.Cancel = true }, here(executor.Queued, nil)}},
		{"a run that is cancelled between attempts gives its claims back at once", Begin, 0, []func(*Inputs){attempted(func(run *v1alpha1.ExportRun) { retrying(time.Minute)(run); cancelling(run) })}},
		{"which is retried like anything else", AwaitBackoff, time.Minute, []func(*Inputs){attempted(func(run *v1alpha1.ExportRun) { retrying(time.Minute)(run); cancelling(run); givingBack(run) })}},
	}
	tests = append(tests, decisionsOfApprovals()...)
	var decided []Step
	for _, test := range tests {
		decided = append(decided, test.step)
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := decisionInputs(test.changes...)
			for _, of := range []v1alpha1.Reason{"", v1alpha1.ReasonQueued, v1alpha1.ReasonSeriesBusy, v1alpha1.ReasonAttemptLost, v1alpha1.ReasonCancelled} {
				for _, stage := range []v1alpha1.RunStage{"", v1alpha1.StageCommit} { // what is for people decides nothing
					in.Run.Status.Stage = stage
					in.Run.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: of}, {Type: v1alpha1.ConditionReconciling, Reason: of}}
					if got := Decide(in); got != (Action{test.step, test.wait}) {
						t.Errorf("with the reason %q and stage %q: %+v, want %s, %s", of, stage, got, test.step, test.wait)
					}
				}
			}
		})
	}
	for _, step := range Steps {
		if !slices.Contains(decided, step) {
			t.Errorf("no case comes to %s", step)
		}
	}
}

// TestAStepIsTakenOnce: a step after which a run goes on at once does not follow itself.
func TestAStepIsTakenOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		in   Inputs
		take func(*Inputs)
	}{
		"a loss that is no failure": {decisionInputs(attempted(held("killed"))), func(in *Inputs) { lose(in.Run, in.Export, noon) }},
		"a loss that is one": {decisionInputs(attempted(func(run *v1alpha1.ExportRun) { held("killed")(run); run.Status.LostAttempts = 5 })),
			func(in *Inputs) { lose(in.Run, in.Export, noon) }},
		"an end by a failure": {decisionInputs(attempted(unchanged), here(executor.Ended, failure.Transient(v1alpha1.ReasonInternal, nil, ""))),
			func(in *Inputs) { conclude(in.Run, in.Export, in.Attempt, noon) }},
		"an end by a cancellation": {decisionInputs(attempted(cancelling), here(executor.Ended, failure.Stalled(v1alpha1.ReasonCancelled, executor.ErrCancelled, ""))),
			func(in *Inputs) { conclude(in.Run, in.Export, in.Attempt, noon) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := Decide(test.in)
			test.take(&test.in)
			if after := Decide(test.in); after.Step == before.Step || test.in.Run.Status.Attempt.UnderWay() {
				t.Errorf("after %s comes %s, with %+v", before.Step, after.Step, test.in.Run.Status.Attempt)
			}
		})
	}
}
