package exportrun

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

const (
	// suspectAfter is how many attempts in a row end with their process before the next one runs alone.
	suspectAfter = 2
	// aloneDeadline bounds an attempt that runs alone, because everybody else waits for it.
	aloneDeadline = 5 * time.Minute
)

// lost reports whether the newest attempt ended with its process: another one than this began it, and has not recorded how it
// ended. A process that is stopped cleanly takes its name out of the status, and an attempt that waited for a place did nothing.
func lost(run *v1alpha1.ExportRun, holder string) bool {
	attempt := run.Status.Attempt
	return attempt.UnderWay() && attempt.Holder != "" && attempt.Holder != holder && !queued(run)
}

// queued reports whether the newest attempt waits for a place, and has not begun.
func queued(run *v1alpha1.ExportRun) bool {
	return run.Status.Attempt != nil && run.Status.Attempt.Queued
}

// lose counts an attempt that ended with its process. After the first one the next begins at once: a node may fail. The second
// one in a row is a failure, and the next attempt runs alone; if that is lost too, it is the run that ends the process.
func lose(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, now time.Time) {
	status := &run.Status
	status.LostAttempts++
	status.Attempt.EndedAt = &metav1.Time{Time: now}
	suspectClaims(run)
	if status.LostAttempts < suspectAfter || ending(run) && status.Phase == v1alpha1.RunRunning {
		return
	}
	cause := failure.Transient(v1alpha1.ReasonAttemptLost, nil,
		"%d attempts in a row ended with the operator's process, which was killed, ran out of memory or crashed; the next one runs alone", status.LostAttempts)
	if status.LostAttempts > suspectAfter {
		cause = failure.Stalled(v1alpha1.ReasonAttemptLost, nil,
			"%d attempts in a row ended with the operator's process, the last one while no other run was under way: the run itself ends it. "+
				"See the last state of the operator's pod and its log, and what is unusual about the claims, or raise the pod's memory limit", status.LostAttempts)
	}
	failed(run, export, executor.State{Outcome: pipeline.Outcome{Record: pipeline.RecordOpen}, Err: cause}, now)
}

// suspect reports whether an attempt runs alone.
func suspect(run *v1alpha1.ExportRun) bool { return run.Status.LostAttempts >= suspectAfter }

// awaitSuspect lets a run wait that is as suspect as the one before it, which ended the operator's process: it takes the same claims.
func awaitSuspect(run *v1alpha1.ExportRun, turn turn, until time.Time) {
	run.Status.Phase = v1alpha1.RunPending
	report.Of(run).Progressing(v1alpha1.ReasonAttemptLost, fmt.Sprintf(
		"ExportRun %s before it ended the operator's process; this one begins at %s, and runs alone", turn.newest.Name, until.UTC().Format(time.RFC3339)))
}

// heldBy reports whether the newest attempt is a process's, and has not ended.
func heldBy(run *v1alpha1.ExportRun, holder string) bool {
	attempt := run.Status.Attempt
	return attempt.UnderWay() && attempt.Holder == holder
}

// leave takes the name of a process that was stopped cleanly out of the status of a run that it leaves to the next one, and
// reports whether there was anything to do.
func leave(run *v1alpha1.ExportRun, holder string) bool {
	if !heldBy(run, holder) {
		return false
	}
	run.Status.Attempt.Holder, run.Status.Holder = "", ""
	if run.Status.Phase == v1alpha1.RunRunning { // else Ready keeps saying what ended the run
		report.Of(run).Set(v1alpha1.ConditionReady, metav1.ConditionFalse,
			v1alpha1.ReasonInterrupted, "the operator was stopped; the run is resumed by the next one")
	}
	return true
}
