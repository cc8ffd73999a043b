package exportrun

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/texts"
)

// conclude puts the end of an attempt into the status: the end of the run, or when the next attempt is due.
func conclude(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, state executor.State, now time.Time) {
	status := &run.Status
	reach(run, state.Stage)
	if state.Outcome.Record == pipeline.RecordOpen {
		suspectClaims(run)
	}
	status.Progress = nil
	if !interrupted(state) {
		status.Attempt.EndedAt, status.LostAttempts = &metav1.Time{Time: now}, 0
	}
	if state.Outcome.Ledger != nil {
		status.Ledger = state.Outcome.Ledger
	}
	switch {
	case state.Err == nil && state.Outcome.Recovered:
		recovered(run, state)
	case state.Err == nil && state.Outcome.Committed:
		succeed(run, state, now)
	case state.Err == nil && state.Outcome.Awaits != "":
		waitForApproval(run, export, state, now)
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
	run.Status.Phase, run.Status.ReleaseReason = v1alpha1.RunReleasing, v1alpha1.ReasonCancelled
	report.Of(run).Progressing(v1alpha1.ReasonCancelled, "the run was cancelled; its claims go to the next run")
}

// succeed records what was exported. A run whose artifact had arrived before it was cancelled has succeeded too.
func succeed(run *v1alpha1.ExportRun, state executor.State, now time.Time) {
	status := &run.Status
	describe(run, state)
	phase := v1alpha1.RunSucceeded
	reason, message := account(run)
	if state.Outcome.Submitted != nil {
		phase, reason, message = submitted(run, state.Outcome.Submitted, reason, message)
	}
	switch {
	case state.Outcome.Submitted != nil && state.Outcome.Submitted.Rejected > 0:
		message += "; " + heldNote(status)
	case status.Claims > 0 && status.Held > 0:
		message += "; " + texts.Count(status.Held, "claim is held", "claims are held")
	}
	if left := notExported(run); left > 0 {
		message += "; " + texts.Count(left, "of the claims that the run names is", "of the claims that the run names are") + " not approved before its cutoff, not for this export, or exported already"
	}
	if state.Outcome.Recovered {
		message += "; an earlier ExportRun of this name did it, and a new run needs a new name"
	}
	finish(run, phase, reason, message, now)
}

// notExported is how many of the claims that a run names it neither exported nor held. A reversal reverses all of them or fails.
func notExported(run *v1alpha1.ExportRun) int64 {
	if run.Spec.Claims == nil || run.Spec.Type == v1alpha1.RunReversal {
		return 0
	}
	return int64(len(run.Spec.Claims.IDs)) - run.Status.Claims - run.Status.Held
}

// account says what a run that succeeded did.
func account(run *v1alpha1.ExportRun) (reason v1alpha1.Reason, message string) {
	status := &run.Status
	switch preview := run.Spec.Type == v1alpha1.RunPreview; {
	case run.Spec.Type == v1alpha1.RunReversal:
		return v1alpha1.ReasonReversed, fmt.Sprintf("%s of ExportRun %s %s reversed, %s in total; %s the next run",
			texts.Count(status.Claims, "voucher", "vouchers"), run.Spec.Reverses.Name, wasOrWere(status.Claims), status.Total, claimsGoTo(status.Claims))
	case run.Spec.Type == v1alpha1.RunRedeliver:
		return v1alpha1.ReasonRedelivered, fmt.Sprintf("the artifact of ExportRun %s was delivered again; no claim was exported", run.Spec.Redelivers.Name)
	case status.Claims == 0 && status.Held > 0:
		reason, message = v1alpha1.ReasonAllHeld, "every approved claim was held; nothing was delivered"
	case status.Claims == 0:
		reason, message = v1alpha1.ReasonNoClaims, "no claims were approved and not exported yet; nothing was delivered"
	case preview:
		reason, message = v1alpha1.ReasonPreviewed, fmt.Sprintf("a preview: a run would export %s now, %s in total; nothing was recorded",
			texts.Count(status.Claims, "claim", "claims"), status.Total)
	default:
		reason, message = v1alpha1.ReasonSucceeded, fmt.Sprintf("%s exported, %s in total", texts.Count(status.Claims, "claim was", "claims were"), status.Total)
	}
	return reason, message
}

func wasOrWere(n int64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// claimsGoTo is what becomes of the claims of so many vouchers.
func claimsGoTo(vouchers int64) string {
	if vouchers == 1 {
		return "its claim goes to"
	}
	return "their claims go to"
}

// submitted says how a run ends that has sent vouchers to an accounting system, given what would be said of another run. It
// succeeds where the system has all that it did not reject, and that is something.
func submitted(run *v1alpha1.ExportRun, what *pipeline.Submitted, reason v1alpha1.Reason, message string) (v1alpha1.RunPhase, v1alpha1.Reason, string) {
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
		message += fmt.Sprintf("; %s not sent, and %s the next run", texts.Count(what.Returned, "voucher was", "vouchers were"), claimsGoTo(what.Returned))
	}
	if what.Unfinished != "" && run.Status.ReleaseReason == what.Unfinished { // Ready has kept saying why
		message = readyCondition(run).Message + "; " + message
	}
	return phase, reason, message
}

// unfinished is why a run did not come to its end that has sent vouchers. That is recorded in a tenant's own database, which may say
// anything. It is believed where it is what the run itself was released for, and of a run that was applied again, of which nothing
// comes: a reason that is a fault of the operator's would let the next run have all of it for itself.
func unfinished(run *v1alpha1.ExportRun, what *pipeline.Submitted) v1alpha1.Reason {
	switch {
	case what.Unfinished == "":
		return v1alpha1.ReasonVouchersRejected
	case run.Status.Recovered, slices.Contains([]v1alpha1.Reason{v1alpha1.ReasonVouchersRejected, v1alpha1.ReasonCancelled, run.Status.ReleaseReason}, what.Unfinished):
		return what.Unfinished
	}
	return v1alpha1.ReasonReleased
}

// released ends a run whose claims were given back.
func released(run *v1alpha1.ExportRun, now time.Time) {
	phase, reason, message := v1alpha1.RunFailed, cmp.Or(run.Status.ReleaseReason, v1alpha1.ReasonReleased), readyCondition(run).Message
	if reason == v1alpha1.ReasonCancelled {
		phase = v1alpha1.RunCancelled
		if !mayHoldClaims(run) {
			message = "the run was cancelled before it had any claims"
		}
	}
	finish(run, phase, reason, message, now)
}

// notRecorded are reasons for which the database has no record of a run, and takes none: there is nothing to give back, whatever an attempt that was lost may
// have done.
var notRecorded = []v1alpha1.Reason{v1alpha1.ReasonOtherCluster, v1alpha1.ReasonRunNameTaken}

// failed decides what follows a failure: another attempt after a while, giving the claims back, or the end. Only a run of
// which the database has said that it holds nothing ends without being asked to give back: there may be a record of an
// earlier ExportRun of its name. Where that cannot be found out, and no attempt came so far itself, asking as often as a run is
// retried is enough, and asking once for a run that goes away.
func failed(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, state executor.State, now time.Time) {
	status, failed := &run.Status, failure.From(state.Err)
	set := report.Of(run)
	if interrupted(state) {
		if status.Phase != v1alpha1.RunReleasing { // there Ready keeps saying what ended the run
			set.Progressing(failed.Reason, failed.Message)
		}
		return // the next process goes on
	}
	if failed.Reason == v1alpha1.ReasonPlacePassedOn {
		awaitAnotherPlace(run, failed, now)
		return
	}
	if failed.Reason != v1alpha1.ReasonSeriesBusy && failed.Reason != v1alpha1.ReasonMigrating { // that is waiting for one's turn
		status.Failures++
	}
	spent := failed.Stalled || status.Failures > retryLimit(export)
	if status.Phase == v1alpha1.RunReleasing && !mayHoldClaims(run) && (spent || !run.DeletionTimestamp.IsZero()) {
		released(run, now)
		return
	}
	if slices.Contains(notRecorded, failed.Reason) {
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
		status.ReleaseReason = failed.Reason
	case spent:
		finish(run, v1alpha1.RunFailed, failed.Reason, failed.Message, now)
	default:
		status.Phase, status.NextAttemptAt = v1alpha1.RunRetrying, nextAttempt(export, status.Failures, now)
		status.WaitsForSeries = failed.Reason == v1alpha1.ReasonSeriesBusy
		set.Progressing(failed.Reason, fmt.Sprintf("%s; %d of %d failures, next attempt at %s",
			failed.Message, status.Failures, retryLimit(export)+1, status.NextAttemptAt.UTC().Format(time.RFC3339)))
	}
}

// awaitAnotherPlace has a run go on at once that has made room for others: it waits for its turn, as it did before, and has not failed.
func awaitAnotherPlace(run *v1alpha1.ExportRun, passed *failure.Error, now time.Time) {
	status := &run.Status
	status.NextAttemptAt = &metav1.Time{Time: now}
	if status.Phase == v1alpha1.RunReleasing { // Ready keeps saying what ended the run
		report.Of(run).Set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, passed.Reason, passed.Message)
		return
	}
	status.Phase = v1alpha1.RunRetrying
	report.Of(run).Progressing(passed.Reason, passed.Message)
}
