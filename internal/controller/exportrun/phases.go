package exportrun

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// longestBackoff bounds the wait between two attempts.
const longestBackoff = 10 * time.Minute

// begin opens the next attempt of a run in its status, for the process that will execute it. A run that holds nothing has the
// source that it is given.
func begin(run *v1alpha1.ExportRun, holder string, source v1alpha1.NamespacedReference, now time.Time) {
	status := &run.Status
	if status.Phase == v1alpha1.RunRunning {
		// The attempt before this one ended with its process and told nobody how far it came.
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
	if status.SourceRef == nil || !mayHoldClaims(run) {
		status.SourceRef = &source
	}
	status.Attempts++
	status.Holder = holder
	status.NextAttemptAt, status.Progress = nil, nil
	describeProgress(run, executor.State{Phase: executor.Running, Stage: v1alpha1.StagePreflight})
}

// begun says whether a process has announced the newest attempt and not ended it. One that a person has cancelled
// meanwhile is not to begin any more.
func begun(run *v1alpha1.ExportRun, holder string) bool {
	underWay := run.Status.Phase == v1alpha1.RunRunning && !ending(run) || run.Status.Phase == v1alpha1.RunReleasing
	return underWay && !recorded(run) && run.Status.Holder == holder
}

// describeProgress puts what the executor tells of the attempt under way into the status.
func describeProgress(run *v1alpha1.ExportRun, state executor.State) {
	status := &run.Status
	reach(run, state.Stage)
	set := report.Of(run)
	switch {
	case status.Phase == v1alpha1.RunReleasing && state.Phase == executor.Queued:
		set.Set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonQueued, fmt.Sprintf("waits for a free place to give the claims of the run back; %s before it", runsAre(state.Before)))
	case status.Phase == v1alpha1.RunReleasing: // Ready keeps saying what ended the run
		set.Set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonReleasing, "giving the claims of the run back")
	case state.Phase == executor.Queued:
		set.Progressing(v1alpha1.ReasonQueued, fmt.Sprintf("waits for a free place among the operator's --max-concurrent-runs; %s before it", runsAre(state.Before)))
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

// ending says that a person wants the run to end.
func ending(run *v1alpha1.ExportRun) bool { return run.Spec.Cancel || !run.DeletionTimestamp.IsZero() }

// recorded says whether the end of the newest attempt is in the status already.
func recorded(run *v1alpha1.ExportRun) bool { return run.Status.NextAttemptAt != nil }

// conclude puts the end of an attempt into the status: the end of the run, or when the next attempt is due.
func conclude(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, state executor.State, now time.Time) {
	status := &run.Status
	reach(run, state.Stage)
	if state.Outcome.Record == pipeline.RecordOpen {
		reach(run, v1alpha1.StageReserve)
	}
	status.Progress = nil
	if state.Err == nil || failure.From(state.Err).Reason != v1alpha1.ReasonInterrupted {
		status.LostAttempts = 0
	}
	if state.Outcome.Ledger != nil {
		status.Ledger = state.Outcome.Ledger
	}
	switch {
	case state.Err == nil && state.Outcome.Recovered:
		recovered(run, state)
	case state.Err == nil && state.Outcome.Committed:
		succeed(run, state, now)
	case state.Err == nil:
		released(run, now)
	case errors.Is(state.Err, executor.ErrCancelled):
		cancelled(run)
		status.NextAttemptAt = &metav1.Time{Time: now}
	default:
		failed(run, export, state, now)
	}
}

// recovered ends a run that had ended before, as its record has it: that is no news.
func recovered(run *v1alpha1.ExportRun, state executor.State) {
	status, outcome := &run.Status, &state.Outcome
	status.Recovered = true
	status.StartedAt = &metav1.MicroTime{Time: outcome.StartedAt}
	if outcome.Committed {
		succeed(run, state, outcome.EndedAt)
		return
	}
	phase, reason := v1alpha1.RunFailed, v1alpha1.ReasonReleased
	switch {
	case outcome.ReleaseReason == v1alpha1.ReasonCancelled:
		phase, reason = v1alpha1.RunCancelled, v1alpha1.ReasonCancelled
	case recordedReason.MatchString(outcome.ReleaseReason):
		reason = outcome.ReleaseReason
	}
	finish(run, phase, reason, "an earlier ExportRun of this name ended so, and its claims were given back; a new run needs a new name", outcome.EndedAt)
}

// recordedReason is what a reason may look like that is recorded in a database.
var recordedReason = regexp.MustCompile(`^[A-Z][A-Za-z]{1,62}$`)

// cancelled says that a person ended the run.
func cancelled(run *v1alpha1.ExportRun) {
	run.Status.Phase = v1alpha1.RunReleasing
	report.Of(run).Progressing(v1alpha1.ReasonCancelled, "the run was cancelled; its claims go to the next run")
}

// succeed records what was exported. A run whose artifact had arrived before it was cancelled has succeeded too.
func succeed(run *v1alpha1.ExportRun, state executor.State, now time.Time) {
	status := &run.Status
	status.RunResult = state.Outcome.Result
	status.FirstVoucher, status.LastVoucher = state.Outcome.FirstVoucher, state.Outcome.LastVoucher
	status.HeldClaims = state.Outcome.Held
	phase := v1alpha1.RunSucceeded
	reason, message := account(run)
	if state.Outcome.Posted != nil {
		phase, reason, message = posted(run, state.Outcome.Posted, reason, message)
	}
	switch {
	case state.Outcome.Posted != nil && state.Outcome.Posted.Rejected > 0:
		message += "; " + heldNote(status)
	case status.Claims > 0 && status.Held > 0:
		message += fmt.Sprintf("; %d claims are held", status.Held)
	}
	if state.Outcome.Recovered {
		message += "; an earlier ExportRun of this name did it, and a new run needs a new name"
	}
	finish(run, phase, reason, message, now)
}

// account says what a run that succeeded did.
func account(run *v1alpha1.ExportRun) (reason v1alpha1.Reason, message string) {
	status := &run.Status
	switch preview := run.Spec.Type == v1alpha1.RunPreview; {
	case run.Spec.Type == v1alpha1.RunReversal:
		return v1alpha1.ReasonReversed, fmt.Sprintf("%d vouchers of ExportRun %s were reversed, %s in total; their claims go to the next run",
			status.Claims, run.Spec.Reverses.Name, status.Total)
	case status.Claims == 0 && status.Held > 0:
		reason, message = v1alpha1.ReasonAllHeld, "every approved claim was held; nothing was delivered"
	case status.Claims == 0:
		reason, message = v1alpha1.ReasonNoClaims, "no claims were approved and not exported yet; nothing was delivered"
	case preview:
		reason, message = v1alpha1.ReasonPreviewed, fmt.Sprintf("a preview: a run would export %d claims now, %s in total; nothing was recorded",
			status.Claims, status.Total)
	default:
		reason, message = v1alpha1.ReasonSucceeded, fmt.Sprintf("%d claims were exported, %s in total", status.Claims, status.Total)
	}
	return reason, message
}

// posted says how a run ends that has sent vouchers to an accounting system, given what would be said of another run. It
// succeeds where the system has all that it did not reject, and that is something.
func posted(run *v1alpha1.ExportRun, what *pipeline.Posted, reason v1alpha1.Reason, message string) (v1alpha1.RunPhase, v1alpha1.Reason, string) {
	if what.Rejected == 0 && what.Unfinished == "" {
		return v1alpha1.RunSucceeded, reason, message
	}
	phase, reason := v1alpha1.RunSucceeded, unfinished(run, what)
	switch {
	case what.Accepted == 0 && reason == v1alpha1.ReasonCancelled:
		phase, message = v1alpha1.RunCancelled, "the accounting system has none of the vouchers"
	case what.Accepted == 0:
		phase, message = v1alpha1.RunFailed, "the accounting system has none of the vouchers, and nothing was exported"
	case what.Unfinished != "":
		phase = v1alpha1.RunIncomplete
		message += "; look in the accounting system whether they have to be completed there, because the run did not"
	}
	if what.Returned > 0 {
		message += fmt.Sprintf("; %d vouchers were not sent, and their claims go to the next run", what.Returned)
	}
	if ended := readyCondition(run); what.Unfinished != "" && ended.Reason == what.Unfinished { // that the run was released for
		message = ended.Message + "; " + message
	}
	return phase, reason, message
}

// unfinished is why a run did not come to its end that has sent vouchers. That is on record in a tenant's own database, which may say
// anything. It is believed where it is what the run itself was released for, and of a run that was applied again, of which nothing
// comes: a reason that is a fault of the operator's would let the next run have all of it for itself.
func unfinished(run *v1alpha1.ExportRun, what *pipeline.Posted) v1alpha1.Reason {
	switch {
	case what.Unfinished == "":
		return v1alpha1.ReasonVouchersRejected
	case run.Status.Recovered, slices.Contains([]v1alpha1.Reason{v1alpha1.ReasonVouchersRejected, v1alpha1.ReasonCancelled, ReadyReason(run)}, what.Unfinished):
		return what.Unfinished
	}
	return v1alpha1.ReasonReleased
}

// released ends a run whose claims were given back.
func released(run *v1alpha1.ExportRun, now time.Time) {
	phase, ready := v1alpha1.RunFailed, readyCondition(run)
	message := ready.Message
	if ready.Reason == v1alpha1.ReasonCancelled {
		phase = v1alpha1.RunCancelled
		if !mayHoldClaims(run) {
			message = "the run was cancelled before it had any claims"
		}
	}
	finish(run, phase, ready.Reason, message, now)
}

// failed decides what follows a failure: another attempt after a while, giving the claims back, or the end. Only a run of
// which the database has said that it holds nothing ends without being asked to give back: there may be a record of an
// earlier ExportRun of its name. Where that cannot be found out, and no attempt came so far itself, asking as often as a run is
// retried is enough, and asking once for a run that goes away.
func failed(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, state executor.State, now time.Time) {
	status, failed := &run.Status, failure.From(state.Err)
	set := report.Of(run)
	if failed.Reason == v1alpha1.ReasonInterrupted {
		if status.Phase != v1alpha1.RunReleasing { // there Ready keeps saying what ended the run
			set.Progressing(failed.Reason, failed.Message)
		}
		return // the next process goes on
	}
	if failed.Reason != v1alpha1.ReasonSeriesBusy && failed.Reason != v1alpha1.ReasonMigrating { // that is waiting for one's turn
		status.Failures++
	}
	spent := failed.Stalled || status.Failures > retryLimit(export)
	if status.Phase == v1alpha1.RunReleasing && !mayHoldClaims(run) && (spent || !run.DeletionTimestamp.IsZero()) {
		released(run, now)
		return
	}
	if failed.Reason == v1alpha1.ReasonOtherCluster { // nothing of this run is recorded that could be given back from here
		finish(run, v1alpha1.RunFailed, failed.Reason, failed.Message, now)
		return
	}
	switch {
	case status.Phase == v1alpha1.RunReleasing:
		set.Set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, failed.Reason, "the claims of the run cannot be given back yet: "+failed.Message)
		status.NextAttemptAt = nextAttempt(export, status.Failures, now)
	case spent && (mayHoldClaims(run) || state.Outcome.Record == pipeline.RecordUnknown && run.Spec.Type != v1alpha1.RunPreview):
		set.Progressing(failed.Reason, failed.Message)
		status.Phase, status.NextAttemptAt = v1alpha1.RunReleasing, &metav1.Time{Time: now}
	case spent:
		finish(run, v1alpha1.RunFailed, failed.Reason, failed.Message, now)
	default:
		status.Phase, status.NextAttemptAt = v1alpha1.RunRetrying, nextAttempt(export, status.Failures, now)
		set.Progressing(failed.Reason, fmt.Sprintf("%s; %d of %d failures, next attempt at %s",
			failed.Message, status.Failures, retryLimit(export)+1, status.NextAttemptAt.UTC().Format(time.RFC3339)))
	}
}

// missing returns the condition of an export that keeps its runs from beginning; nil where nothing does.
func missing(export *v1alpha1.AccountingExport) *metav1.Condition {
	for _, kind := range []string{
		v1alpha1.ConditionCredentialsReady, v1alpha1.ConditionSourceReady, v1alpha1.ConditionMappingReady, v1alpha1.ConditionDestinationReady,
	} {
		if found := meta.FindStatusCondition(export.Status.Conditions, kind); found != nil && found.Status == metav1.ConditionFalse {
			return found
		}
	}
	return nil
}

// wait lets a run that failed wait for what is missing: that is no further failure, and it goes on at once when it is there.
func wait(run *v1alpha1.ExportRun, missing *metav1.Condition, now time.Time) {
	report.Of(run).Progressing(missing.Reason, missing.Message+"; the run goes on when this is mended, and gives its claims back when it is cancelled")
	if next := run.Status.NextAttemptAt; next != nil && next.After(now) {
		run.Status.NextAttemptAt = &metav1.Time{Time: now.Truncate(time.Second)}
	}
}

// finish ends a run.
func finish(run *v1alpha1.ExportRun, phase v1alpha1.RunPhase, reason, message string, now time.Time) {
	status := &run.Status
	status.Phase, status.NextAttemptAt, status.Progress = phase, nil, nil
	status.CompletedAt = &metav1.Time{Time: now}
	if status.StartedAt != nil {
		status.Duration = max(0, now.Sub(status.StartedAt.Time)).Round(time.Millisecond).String()
	}
	set := report.Of(run)
	if phase == v1alpha1.RunSucceeded {
		set.Ready(reason, message)
	} else {
		set.Stalled(reason, message)
	}
}

// reach notes the farthest stage that any attempt came to.
func reach(run *v1alpha1.ExportRun, stage v1alpha1.RunStage) {
	if stage.Beyond(run.Status.Stage) {
		run.Status.Stage = stage
	}
}

// mayHoldClaims says whether an attempt may have reserved claims. In doubt it says so: giving nothing back is harmless.
func mayHoldClaims(run *v1alpha1.ExportRun) bool {
	return run.Status.Stage.Beyond(v1alpha1.StagePreflight)
}

// waitsForSeries says whether a run holds nothing and waits for the voucher series that another has.
func waitsForSeries(run *v1alpha1.ExportRun) bool {
	return run.Status.Phase == v1alpha1.RunRetrying && ReadyReason(run) == v1alpha1.ReasonSeriesBusy
}

// NeverBegins reports whether a run has no attempt, and none until its spec is corrected.
func NeverBegins(run *v1alpha1.ExportRun) bool {
	return run.Undecoded.Spec != "" && run.Status.Attempts == 0 && !ending(run)
}

// untilAttempt is how long the next attempt has to wait. The first attempt to give claims back does not wait. An operator whose
// clock was ahead may have written a time that no backoff comes to: then the attempt is due. The database decides whether it may
// touch anything, so that one that begins early is harmless.
func untilAttempt(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, now time.Time) time.Duration {
	if run.Status.NextAttemptAt == nil || ending(run) && run.Status.Phase == v1alpha1.RunRetrying {
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
