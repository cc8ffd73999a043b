package exportrun

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Inputs are all that decides what a run does next.
type Inputs struct {
	// Run with its status, which adoptStatus has seen.
	Run *v1alpha1.ExportRun
	// Export of the run; nil if it does not exist.
	Export *v1alpha1.AccountingExport
	// Told is the status with which this reconcile began.
	Told v1alpha1.ExportRunStatus
	// Kept is true if this reconcile has written what keeps export and run already.
	Kept bool
	// Turn of the run among those of its export; looked for only if the run mayWait.
	Turn turn
	// Attempt of the run that this process knows of, and Holder, which is this process.
	Attempt executor.State
	Holder  string
	Limits  Limits
	Now     time.Time
	// Unenforced says why an approval is not believed; nil if the API server refuses what is forged, or was not Asked, because that does not
	// matter yet.
	Unenforced *failure.Error
	Asked      bool
}

// Action is what a run does next.
type Action struct {
	Step Step
	// Wait is how long it takes at least until there is something else to do; zero of a step that is not for waiting.
	Wait time.Duration
}

// Step is one branch of Decide.
type Step string

// Steps, in the order in which Decide asks for them. docs/states.md shows them.
const (
	// Retire sees to a run that has finished: its artifact may have to go with it.
	Retire Step = "Retire"
	// AwaitCorrection of a spec that does not decode.
	AwaitCorrection Step = "AwaitCorrection"
	// LetGo of a run that is being deleted, and whose export does not exist: nothing can give its claims back.
	LetGo Step = "LetGo"
	// AwaitExport that does not exist.
	AwaitExport Step = "AwaitExport"
	// AwaitExportCorrection of an export whose spec does not decode.
	AwaitExportCorrection Step = "AwaitExportCorrection"
	// RefuseForeign ends a run that something else than its export controls.
	RefuseForeign Step = "RefuseForeign"
	// RefuseLate ends a run that has not begun when its export is being deleted: nothing would keep the export until the run has
	// given its claims back.
	RefuseLate Step = "RefuseLate"
	// Keep writes what keeps the export until its runs are finished, and the run until it has given its claims back.
	Keep Step = "Keep"
	// RefuseTooMany ends a run that has not begun, and has too many unfinished ones before it.
	RefuseTooMany Step = "RefuseTooMany"
	// RefuseUnapprovable ends a run that has not begun and needs an approval, which would be worth nothing.
	RefuseUnapprovable Step = "RefuseUnapprovable"
	// AwaitTurn until the runs before this one have ended.
	AwaitTurn Step = "AwaitTurn"
	// Suspect a run whose predecessor ended the operator's process: it takes the same claims, and runs alone.
	Suspect Step = "Suspect"
	// AwaitSuspect until a suspect run may begin.
	AwaitSuspect Step = "AwaitSuspect"
	// Cancel the attempt under way here, because a person wants the run to end.
	Cancel Step = "Cancel"
	// Leave an attempt that has ended because this process is being stopped: the next one goes on.
	Leave Step = "Leave"
	// Conclude records how the attempt here has ended: the run ends, or another attempt follows.
	Conclude Step = "Conclude"
	// Follow the attempt that is under way here, or waits for a place.
	Follow Step = "Follow"
	// Lose counts an attempt that has ended with its process.
	Lose Step = "Lose"
	// Execute the attempt that this process has announced. It is recorded; only now may it touch anything.
	Execute Step = "Execute"
	// Approve a run that waits for it: somebody else than who asked for it has approved what it has rendered.
	Approve Step = "Approve"
	// Expire a run that nobody has approved in time: it gives its claims back.
	Expire Step = "Expire"
	// AwaitApproval of what the run has rendered. No attempt is under way meanwhile.
	AwaitApproval Step = "AwaitApproval"
	// AwaitReadiness of what the export refers to. That counts as no failure.
	AwaitReadiness Step = "AwaitReadiness"
	// AwaitBackoff until the next attempt is due.
	AwaitBackoff Step = "AwaitBackoff"
	// AwaitPlace among those that the executor has. Nothing is announced before there is one.
	AwaitPlace Step = "AwaitPlace"
	// Begin announces the next attempt, which gives the claims back if the run is to end.
	Begin Step = "Begin"
)

// Steps are all steps, in their order.
var Steps = []Step{
	Retire, AwaitCorrection, LetGo, AwaitExport, AwaitExportCorrection, RefuseForeign, RefuseLate, Keep, RefuseTooMany, RefuseUnapprovable, AwaitTurn, Suspect,
	AwaitSuspect, Cancel, Leave, Conclude, Follow, Lose, Execute, Approve, Expire, AwaitApproval, AwaitReadiness, AwaitBackoff, AwaitPlace, Begin,
}

// Decide returns what a run does next. The first case that holds decides. It reads no condition of the run and no stage: these are for
// people. Whether what the export refers to is ready, it reads in the export's conditions.
func Decide(in Inputs) Action {
	run, export, status, here := in.Run, in.Export, &in.Run.Status, in.Attempt
	if status.Phase.Finished() {
		return Action{Step: Retire}
	}
	switch {
	case run.Undecoded.Spec != "" && !ending(run): // of one that is to end nothing more is needed than its name
		return Action{Step: AwaitCorrection}
	case export == nil && !run.DeletionTimestamp.IsZero():
		return Action{Step: LetGo}
	case export == nil:
		return Action{Step: AwaitExport}
	case export.Undecoded.Spec != "":
		return Action{Step: AwaitExportCorrection}
	case foreignController(run, export) != nil:
		return Action{Step: RefuseForeign}
	case !export.DeletionTimestamp.IsZero() && status.Attempts == 0 && !belongs(run, export):
		return Action{Step: RefuseLate}
	case !in.Kept && !kept(run, export, !in.tooMany()):
		return Action{Step: Keep}
	case in.tooMany():
		return Action{Step: RefuseTooMany}
	case in.unapprovable() != nil:
		return Action{Step: RefuseUnapprovable}
	}
	if action, waits := in.ofTurn(); waits {
		return action
	}
	switch wait := untilAttempt(run, export, in.Now); {
	case ending(run) && here.Phase.UnderWay() && !here.Task.Release:
		return Action{Step: Cancel}
	case in.endedHere() && interrupted(here):
		return Action{Step: Leave}
	case in.endedHere():
		return Action{Step: Conclude}
	case here.Phase.UnderWay() && !in.reserved() && (here.Phase != executor.Admitted || queued(run)): // that it has a place is recorded before it begins
		return Action{Step: Follow}
	case lost(run, in.Holder):
		return Action{Step: Lose}
	case begun(run, in.Holder):
		return Action{Step: Execute}
	case awaitsApproval(run):
		return in.ofApproval()
	case missing(run, export) != nil && status.Phase == v1alpha1.RunRetrying && !ending(run):
		return Action{AwaitReadiness, longestBackoff}
	case wait > 0:
		return Action{AwaitBackoff, wait}
	case in.reserved() && here.Phase == executor.Queued:
		return Action{Step: AwaitPlace}
	}
	return Action{Step: Begin}
}

// ofTurn returns what a run does that waits for others, and whether it does.
func (in *Inputs) ofTurn() (action Action, waits bool) {
	if !mayWait(in.Run) {
		return Action{}, false
	}
	until := in.suspectUntil()
	switch wait := until.Sub(in.Now); {
	case in.Turn.next != nil:
		return Action{AwaitTurn, untilToldAgain(in.Turn.before)}, true
	case !until.IsZero() && !suspect(in.Run):
		return Action{Step: Suspect}, true
	case !until.IsZero() && wait > 0:
		return Action{AwaitSuspect, wait}, true
	}
	return Action{}, false
}

// mayWait reports whether a run waits for its turn if others are before it. One whose attempt is under way, or that gives its
// claims back, goes on: a run that waited for the voucher series and asks for it again is before it once more.
func mayWait(run *v1alpha1.ExportRun) bool {
	switch run.Status.Phase {
	case v1alpha1.RunRunning, v1alpha1.RunAwaitingApproval, v1alpha1.RunReleasing:
		return false
	default:
		return !ending(run)
	}
}

// tooMany reports whether more runs of the export wait before one that has not begun than an administrator allows.
func (in *Inputs) tooMany() bool {
	most := in.Limits.UnfinishedRunsPerExport
	return mayWait(in.Run) && in.Run.Status.Attempts == 0 && most > 0 && in.Turn.unfinished >= most
}

// suspectUntil is when a run that has not begun may do so, if the one before it ended the operator's process; zero if that did not.
// The more such runs there are, the longer it takes, up to longestBackoff.
func (in *Inputs) suspectUntil() time.Time {
	if in.Run.Status.Attempts > 0 || in.Turn.lost == 0 || in.Turn.newest.Status.CompletedAt == nil {
		return time.Time{}
	}
	return nextAttempt(in.Export, int32(in.Turn.lost+3), in.Turn.newest.Status.CompletedAt.Time).Time
}

// endedHere reports whether this process knows how the newest attempt has ended, and has not recorded it.
func (in *Inputs) endedHere() bool {
	attempt := in.Run.Status.Attempt
	return in.Attempt.Phase == executor.Ended && attempt.UnderWay() && in.Attempt.Task.Number == attempt.Number
}

// waiting reports whether an attempt waits for a place here, or has one and has not begun.
func (in *Inputs) waiting() bool {
	return in.Attempt.Phase == executor.Queued || in.Attempt.Phase == executor.Admitted
}

// reserved reports whether the next attempt is waiting, and is not announced.
func (in *Inputs) reserved() bool {
	announced := in.Run.Status.Attempt
	return in.waiting() && (!announced.UnderWay() || announced.Number != in.Attempt.Task.Number)
}

// foreignController returns what controls a run that has not begun, if that is not its export: such a run does not begin. One that
// has begun was the export's, whatever became of its owner, and may hold claims.
func foreignController(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) *metav1.OwnerReference {
	if owner := metav1.GetControllerOf(run); owner != nil && owner.UID != export.UID && run.Status.Attempts == 0 && run.DeletionTimestamp.IsZero() {
		return owner
	}
	return nil
}

// belongs reports whether a run belongs to its export and stays until it has given its claims back.
func belongs(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) bool {
	return metav1.IsControlledBy(run, export) && controllerutil.ContainsFinalizer(run, v1alpha1.RunFinalizer)
}

// kept reports whether export and run stay for as long as they are needed, as far as that can still be seen to.
func kept(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, begins bool) bool {
	return !export.DeletionTimestamp.IsZero() || controllerutil.ContainsFinalizer(export, v1alpha1.ExportFinalizer) && owned(run, export, begins)
}

// owned reports whether there is nothing to write to a run for its export. One that begins stays until it has given its claims back.
func owned(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, begins bool) bool {
	return belongs(run, export) || !begins && metav1.IsControlledBy(run, export) || !run.DeletionTimestamp.IsZero()
}
