package exportrun

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/texts"
)

// defaultApprovalTimeout is that of the API, for an export from before there was the field.
const defaultApprovalTimeout = 168 * time.Hour

// needsApproval reports whether a run that begins now has to be approved.
func needsApproval(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) bool {
	return export.Spec.Approval == v1alpha1.ApprovalRequired && run.Spec.Type.NeedsApproval()
}

// awaitsApproval reports whether a run waits for its approval, and is to go on.
func awaitsApproval(run *v1alpha1.ExportRun) bool {
	return run.Status.Phase == v1alpha1.RunAwaitingApproval && !run.Status.Approval.Given() && !ending(run)
}

// begins reports whether a run has not begun, and is to.
func begins(run *v1alpha1.ExportRun) bool {
	return run.Status.Attempts == 0 && run.Undecoded.Spec == "" && !ending(run)
}

// toAsk reports whether the API server has to be asked before a run takes a step: it goes by names that are worth something only where the API
// server refuses others, of who has asked for the run or of who has approved it. It is asked at most once a reconcile, and not for a run that
// waits: many may, for days, and each question is three requests.
func (in *Inputs) toAsk(step Step) bool {
	return !in.Asked && (step == Begin && begins(in.Run) && needsApproval(in.Run, in.Export) && !nameless(in.Run, in.Export) || step == Approve)
}

// unapprovable returns why an approval of a run that has not begun would be worth nothing; nil if it is not so, or does not matter.
func (in *Inputs) unapprovable() *failure.Error {
	if begins(in.Run) && needsApproval(in.Run, in.Export) {
		return in.Unenforced
	}
	return nil
}

// nameless reports whether a run needs an approval that nobody can give, because nobody is named who has asked for it. Only the database knows
// whether it has begun before it was applied again.
func nameless(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) bool {
	return needsApproval(run, export) && run.Status.RequestedBy == ""
}

// ofApproval returns what a run does next that waits for its approval.
func (in *Inputs) ofApproval() Action {
	switch left := in.untilExpiry(); {
	case in.approved():
		return Action{Step: Approve}
	case left <= 0:
		return Action{Step: Expire}
	default:
		return Action{AwaitApproval, left}
	}
}

// approved reports whether somebody has approved what a run waits with, and may have.
func (in *Inputs) approved() bool {
	return in.Run.Annotations[v1alpha1.ApprovedAnnotation] != "" && in.objection() == ""
}

// objection says why an approval that is there does not count; nothing if it does, or if there is none. The API server has refused all of
// this where its policy is installed: what is left is what was written without it.
func (in *Inputs) objection() string {
	run := in.Run
	what, by, asked := run.Annotations[v1alpha1.ApprovedAnnotation], run.Annotations[v1alpha1.ApprovedByAnnotation], run.Annotations[v1alpha1.RequestedByAnnotation]
	switch {
	case what == "":
		return ""
	case in.Unenforced != nil:
		return in.Unenforced.Message
	case by == "":
		return "it does not name who has approved"
	case asked == "" || run.Status.RequestedBy == "":
		return "nobody is named who has asked for the run"
	case by == asked || named(run, v1alpha1.ApprovedByAnnotation) == run.Status.RequestedBy:
		return "who has asked for a run does not approve it"
	case what != run.Status.Approval.Digest:
		return "it is of something else than what the run has rendered"
	}
	return ""
}

// untilExpiry is how long a run still waits for its approval.
func (in *Inputs) untilExpiry() time.Duration {
	until := in.Run.Status.Approval
	if until == nil || until.Until == nil {
		return longestBackoff // of a status that an older definition has cut
	}
	return max(0, until.Until.Sub(in.Now))
}

// waitForApproval lets a run wait for its approval, with what it is to deliver in its status. One that has waited already, for what has changed
// since, waits as long as it may in all.
func waitForApproval(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, state executor.State, now time.Time) {
	status := &run.Status
	describe(run, state)
	timeout := defaultApprovalTimeout
	if given := export.Spec.ApprovalTimeout; given != nil {
		timeout = given.Duration
	}
	awaits := &v1alpha1.RunApproval{Digest: state.Outcome.Awaits, Until: &metav1.Time{Time: now.Add(timeout)}}
	if before := status.Approval; before != nil && before.Until != nil {
		awaits.Until = before.Until
	}
	status.Approval = awaits
	status.Phase, status.NextAttemptAt, status.Failures = v1alpha1.RunAwaitingApproval, nil, 0
	report.Of(run).Progressing(v1alpha1.ReasonAwaitingApproval, approvalMessage(run))
}

// approvalMessage says what a run waits for.
func approvalMessage(run *v1alpha1.ExportRun) string {
	status := &run.Status
	until := ""
	if at := status.Approval.Until; at != nil {
		until = " until " + at.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s, %s in total, %s for the approval of another person than %s%s; nothing is delivered before: \"kubectl ledgerport approve %s\"",
		texts.Count(status.Claims, "claim", "claims"), status.Total, waitOrWaits(status.Claims), requester(run), until, run.Name)
}

func waitOrWaits(n int64) string {
	if n == 1 {
		return "waits"
	}
	return "wait"
}

// requester is who has asked for a run, as a sentence has it.
func requester(run *v1alpha1.ExportRun) string {
	if by := run.Status.RequestedBy; by != "" && by != v1alpha1.RequestedBySchedule {
		return by
	}
	return "who asked for it"
}

// awaitApproval says what a run waits for, and what is wrong with an approval that does not count.
func awaitApproval(in *Inputs) {
	message := approvalMessage(in.Run)
	if objection := in.objection(); objection != "" {
		message += "; the approval that is there does not count: " + objection
	}
	report.Of(in.Run).Progressing(v1alpha1.ReasonAwaitingApproval, message)
}

// approve notes who has approved a run. From here on it goes on as any other.
func approve(run *v1alpha1.ExportRun, now time.Time) {
	run.Status.Approval.ApprovedBy = named(run, v1alpha1.ApprovedByAnnotation)
	run.Status.Approval.ApprovedAt = &metav1.Time{Time: now}
}

// expire lets a run give its claims back that nobody has approved.
func expire(run *v1alpha1.ExportRun, now time.Time) {
	status := &run.Status
	report.Of(run).Progressing(v1alpha1.ReasonApprovalExpired, fmt.Sprintf("nobody has approved the run until %s; its claims go to the next run",
		status.Approval.Until.UTC().Format(time.RFC3339)))
	status.Phase, status.ReleaseReason, status.NextAttemptAt = v1alpha1.RunReleasing, v1alpha1.ReasonApprovalExpired, &metav1.Time{Time: now}
}

// describe puts what a run exports into its status.
func describe(run *v1alpha1.ExportRun, state executor.State) {
	status := &run.Status
	status.RunResult = state.Outcome.Result
	status.FirstVoucher, status.LastVoucher = state.Outcome.FirstVoucher, state.Outcome.LastVoucher
	status.HeldClaims = state.Outcome.Held
	status.Files, status.FileCount = state.Outcome.Files, state.Outcome.FileCount
}

// undescribe takes it out again.
func undescribe(run *v1alpha1.ExportRun) { describe(run, executor.State{}) }
