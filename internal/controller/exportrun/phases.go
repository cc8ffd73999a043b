package exportrun

import (
	"cmp"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// longestBackoff bounds the wait between two attempts.
const longestBackoff = 10 * time.Minute

// origin is what an attempt is to begin with: the source that its run is recorded in, and the destination that it delivers to.
type origin struct{ Source, Destination v1alpha1.NamespacedReference }

// begin opens the next attempt of a run in its status, for the process that will execute it. A run that holds nothing has the
// source and the destination that it is given.
func begin(run *v1alpha1.ExportRun, holder string, from origin, now time.Time) {
	status := &run.Status
	newest := &v1alpha1.RunAttempt{Holder: holder, StartedAt: &metav1.Time{Time: now}}
	if status.Attempt != nil {
		newest.MayHoldClaims = status.Attempt.MayHoldClaims
	}
	if status.Phase == v1alpha1.RunRunning {
		// The attempt before this one ended with its process and told nobody how far it came.
		newest.MayHoldClaims = true
		reach(run, v1alpha1.StageReserve)
	}
	switch {
	case status.Phase == v1alpha1.RunReleasing:
	case ending(run):
		cancelled(run)
	default:
		status.Phase = v1alpha1.RunRunning
	}
	if status.StartedAt == nil {
		status.StartedAt = &metav1.MicroTime{Time: now}
	}
	if status.SourceRef == nil || !newest.MayHoldClaims {
		if status.SourceRef != nil && *status.SourceRef != from.Source {
			status.Ledger = nil // that was what the former source said, and others believe what a source has said
		}
		status.SourceRef = &from.Source
	}
	if status.DestinationRef == nil || !newest.MayHoldClaims {
		status.DestinationRef = &from.Destination
	}
	status.Attempts++
	newest.Number, status.Attempt, status.Holder = status.Attempts, newest, holder
	status.NextAttemptAt, status.Progress = nil, nil
	describeProgress(run, executor.State{Phase: executor.Running, Stage: v1alpha1.StagePreflight})
}

// begun reports whether a process has announced the newest attempt and not ended it. One that a person has cancelled
// meanwhile is not to begin any more.
func begun(run *v1alpha1.ExportRun, holder string) bool {
	attempt := run.Status.Attempt
	return attempt.UnderWay() && attempt.Holder == holder && (!ending(run) || run.Status.Phase == v1alpha1.RunReleasing)
}

// describeProgress puts what the executor tells of the attempt under way into the status.
func describeProgress(run *v1alpha1.ExportRun, state executor.State) {
	status := &run.Status
	reach(run, state.Stage)
	status.Attempt.Queued = state.Phase == executor.Queued
	set := report.Of(run)
	switch {
	case status.Phase == v1alpha1.RunReleasing && state.Phase == executor.Queued:
		set.Set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonQueued, fmt.Sprintf("waits for a free place to give the claims of the run back; %s before it", runsAre(state.Before)))
	case status.Phase == v1alpha1.RunReleasing: // Ready keeps saying what ended the run
		set.Set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonReleasing, "giving the claims of the run back")
	case state.Phase == executor.Queued:
		set.Progressing(v1alpha1.ReasonQueued, fmt.Sprintf("waits for a free place among the operator's --max-concurrent-runs; %s before it", runsAre(state.Before)))
	case state.Waits != "":
		set.Progressing(v1alpha1.ReasonQueued, fmt.Sprintf("attempt %d %s", status.Attempts, state.Waits))
	default:
		set.Progressing(v1alpha1.ReasonRunning, fmt.Sprintf("attempt %d is under way", status.Attempts))
	}
	if state.Claims > 0 {
		status.Progress = &v1alpha1.RunProgress{Claims: state.Claims}
		if state.Total > 0 {
			status.Progress.Total = &state.Total
		}
	}
}

// interrupted reports whether an attempt has ended because its process is being stopped.
func interrupted(state executor.State) bool {
	return state.Err != nil && failure.From(state.Err).Reason == v1alpha1.ReasonInterrupted
}

// ending says that a person wants the run to end.
func ending(run *v1alpha1.ExportRun) bool { return run.Spec.Cancel || !run.DeletionTimestamp.IsZero() }

// unready returns the conditions that say that something an export refers to is not ready.
func unready(export *v1alpha1.AccountingExport) (conditions []metav1.Condition) {
	for _, kind := range []string{
		v1alpha1.ConditionCredentialsReady, v1alpha1.ConditionSourceReady, v1alpha1.ConditionMappingReady, v1alpha1.ConditionDestinationReady,
	} {
		if found := meta.FindStatusCondition(export.Status.Conditions, kind); found != nil && found.Status == metav1.ConditionFalse {
			conditions = append(conditions, *found)
		}
	}
	return conditions
}

// missing returns the condition of an export that keeps a run of it from beginning; nil where nothing does. A redelivery maps nothing,
// and the export does not look at a destination that a run names itself.
func missing(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) *metav1.Condition {
	for _, condition := range unready(export) {
		mapping, destination := condition.Type == v1alpha1.ConditionMappingReady, condition.Type == v1alpha1.ConditionDestinationReady
		if mapping && run.Spec.Type == v1alpha1.RunRedeliver || destination && run.Spec.DestinationRef != nil {
			continue
		}
		return &condition
	}
	return nil
}

// awaitReadiness lets a run that failed wait for what is missing: that is no further failure, and it goes on at once when it is there.
func awaitReadiness(run *v1alpha1.ExportRun, missing *metav1.Condition, now time.Time) {
	report.Of(run).Progressing(missing.Reason, missing.Message+"; the run goes on when this is fixed, and gives its claims back when it is cancelled")
	if next := run.Status.NextAttemptAt; next != nil && next.After(now) {
		run.Status.NextAttemptAt = &metav1.Time{Time: now.Truncate(time.Second)}
	}
}

// progressing says what a run waits for. While it gives its claims back Ready keeps saying what ended it.
func progressing(run *v1alpha1.ExportRun, reason v1alpha1.Reason, message string) {
	if run.Status.Phase == v1alpha1.RunReleasing {
		report.Of(run).Set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason, message)
		return
	}
	report.Of(run).Progressing(reason, message)
}

// pend lets a new run have the phase in which it waits.
func pend(run *v1alpha1.ExportRun) {
	if run.Status.Phase == "" {
		run.Status.Phase = v1alpha1.RunPending
	}
}

// finish ends a run.
func finish(run *v1alpha1.ExportRun, phase v1alpha1.RunPhase, reason, message string, now time.Time) {
	status := &run.Status
	status.Phase, status.NextAttemptAt, status.Progress = phase, nil, nil
	status.CompletedAt = &metav1.Time{Time: now}
	if status.Attempt.UnderWay() {
		status.Attempt.EndedAt = status.CompletedAt
	}
	if status.StartedAt != nil {
		status.Duration = max(0, now.Sub(status.StartedAt.Time)).Round(time.Millisecond).String()
	}
	if !phase.Exported() && status.Approval != nil { // what it waited with was never exported
		undescribe(run)
	}
	set := report.Of(run)
	if phase == v1alpha1.RunSucceeded {
		set.Ready(reason, message)
	} else {
		set.Stalled(reason, message)
	}
	complete(run)
}

// complete says that a run has ended, in a condition that is True however it did. One that ended before there was this condition has it
// from when it is next looked at.
func complete(run *v1alpha1.ExportRun) {
	status := &run.Status
	if status.CompletedAt == nil || meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionComplete) != nil {
		return
	}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue, Reason: cmp.Or(ReadyReason(run), v1alpha1.ReasonReleased),
		Message: "the run has ended as " + string(status.Phase), LastTransitionTime: *status.CompletedAt, ObservedGeneration: run.Generation,
	})
}

// reach notes the farthest stage that any attempt came to, and that claims may be reserved after the first.
func reach(run *v1alpha1.ExportRun, stage v1alpha1.RunStage) {
	if stage.Beyond(run.Status.Stage) {
		run.Status.Stage = stage
	}
	if stage.Beyond(v1alpha1.StagePreflight) {
		run.Status.Attempt.MayHoldClaims = true
	}
}

// suspectClaims notes that an attempt may have reserved claims, though it did not say how far it came.
func suspectClaims(run *v1alpha1.ExportRun) { reach(run, v1alpha1.StageReserve) }

// mayHoldClaims reports whether an attempt may have reserved claims.
func mayHoldClaims(run *v1alpha1.ExportRun) bool {
	return run.Status.Attempt != nil && run.Status.Attempt.MayHoldClaims
}

// NeverBegins reports whether a run has no attempt, and none until its spec is corrected.
func NeverBegins(run *v1alpha1.ExportRun) bool {
	return run.Undecoded.Spec != "" && run.Status.Attempts == 0 && !ending(run)
}

// untilAttempt is how long the next attempt has to wait. The first attempt to give claims back does not wait. An operator whose
// clock was ahead may have written a time that no backoff comes to: then the attempt is due. The database decides whether it may
// touch anything, so that one that begins early is harmless.
func untilAttempt(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, now time.Time) time.Duration {
	if run.Status.NextAttemptAt == nil || ending(run) && run.Status.Phase != v1alpha1.RunReleasing {
		return 0
	}
	wait := run.Status.NextAttemptAt.Sub(now)
	if wait > max(longestBackoff, initialBackoff(export)) {
		return 0
	}
	return wait
}

func initialBackoff(export *v1alpha1.AccountingExport) time.Duration {
	if initial := export.Spec.Retry.InitialBackoff; initial != nil {
		return initial.Duration
	}
	return 10 * time.Second
}

func nextAttempt(export *v1alpha1.AccountingExport, failures int32, now time.Time) *metav1.Time {
	wait := initialBackoff(export)
	for range max(0, min(failures-1, 20)) {
		wait = min(2*wait, longestBackoff)
	}
	return &metav1.Time{Time: now.Add(wait)}
}

func retryLimit(export *v1alpha1.AccountingExport) int32 {
	if export.Spec.Retry.Limit == nil {
		return 3
	}
	return *export.Spec.Retry.Limit
}

func readyCondition(run *v1alpha1.ExportRun) metav1.Condition {
	if ready := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		return *ready
	}
	return metav1.Condition{}
}

// ReadyReason is the reason of the condition Ready; empty if there is none.
func ReadyReason(run *v1alpha1.ExportRun) v1alpha1.Reason { return readyCondition(run).Reason }
