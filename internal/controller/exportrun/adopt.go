package exportrun

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// adoptStatus fills in what operators that did not know status.attempt left to be read from other fields, and what an API server
// drops whose definition of runs is that old. It alone concludes anything from a stage or from the reason of a condition.
func adoptStatus(status *v1alpha1.ExportRunStatus, now time.Time) {
	if !isOld(status) {
		return
	}
	underWay := status.Phase == v1alpha1.RunRunning || status.Phase == v1alpha1.RunReleasing
	attempt := &v1alpha1.RunAttempt{
		Number: status.Attempts, Holder: status.Holder, MayHoldClaims: status.Stage.Beyond(v1alpha1.StagePreflight) || status.Attempt != nil && status.Attempt.MayHoldClaims,
		Queued: underWay && reasonOf(status, v1alpha1.ConditionReconciling) == v1alpha1.ReasonQueued,
	}
	switch {
	case status.CompletedAt != nil:
		attempt.EndedAt = status.CompletedAt
	case !underWay || status.NextAttemptAt != nil:
		attempt.EndedAt = &metav1.Time{Time: now}
	}
	status.Attempt = attempt
	ready := reasonOf(status, v1alpha1.ConditionReady)
	status.WaitsForSeries = status.Phase == v1alpha1.RunRetrying && ready == v1alpha1.ReasonSeriesBusy
	if status.Phase == v1alpha1.RunReleasing || status.Phase.Finished() && ready == v1alpha1.ReasonAttemptLost {
		status.ReleaseReason = ready
	}
}

// isOld reports whether an operator that did not know status.attempt has begun the newest attempt, or has recorded its end: then a next
// one is due, though this one has no end.
func isOld(status *v1alpha1.ExportRunStatus) bool {
	return status.Attempts > 0 && (status.Attempt == nil || status.Attempt.Number != status.Attempts || status.Attempt.UnderWay() && status.NextAttemptAt != nil)
}

// current returns a run with the status that an operator of today would have written. The run itself stays as it is: it may be the
// cache's own.
func current(run *v1alpha1.ExportRun) *v1alpha1.ExportRun {
	if !isOld(&run.Status) {
		return run
	}
	run = run.DeepCopy()
	adoptStatus(&run.Status, run.CreationTimestamp.Time)
	return run
}

func reasonOf(status *v1alpha1.ExportRunStatus, kind string) v1alpha1.Reason {
	i := slices.IndexFunc(status.Conditions, func(condition metav1.Condition) bool { return condition.Type == kind })
	if i < 0 {
		return ""
	}
	return status.Conditions[i].Reason
}
