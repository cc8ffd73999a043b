package accountingexport

import (
	"cmp"
	"slices"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/exportrun"
	"github.com/ledgerport/ledgerport/internal/notify"
)

const (
	// shortestHistory is how long every finished run is kept: somebody has just been given its name.
	shortestHistory = time.Hour
	// mostRecent bounds how many runs of an export beyond the limits are kept for that.
	mostRecent = 500
	// mostUntold bounds how many runs of an export are kept beyond the limits because targets are still to be told of them.
	mostUntold = 100
	// emptyKept is how many runs of each type that exported nothing are kept.
	emptyKept = 3
)

// superfluous returns the finished runs of an export that are to be deleted, given all of its runs, oldest first, and how long
// it is until there may be more of them. Limits count for each type of run: for those that exported something, those that
// found nothing to export, and those that failed. Those that were applied again go before all others. A run whose artifact would go with
// it stays until that is old enough.
func superfluous(limits v1alpha1.HistoryLimits, runs []v1alpha1.ExportRun, keptUntil func(*v1alpha1.ExportRun) time.Time, now time.Time) (excess []v1alpha1.ExportRun, wait time.Duration) {
	for _, kind := range []v1alpha1.RunType{v1alpha1.RunExport, v1alpha1.RunReversal, v1alpha1.RunPreview, v1alpha1.RunRedeliver} {
		var exported, empty, failed []v1alpha1.ExportRun
		for _, run := range recoveredFirst(runs) {
			switch {
			case cmp.Or(run.Spec.Type, v1alpha1.RunExport) != kind, !run.Status.Phase.Finished(), !run.DeletionTimestamp.IsZero():
			case !run.Status.Phase.Exported():
				failed = append(failed, run)
			case run.Status.Claims == 0 && run.Status.Location == "":
				empty = append(empty, run)
			default:
				exported = append(exported, run)
			}
		}
		excess = append(excess, beyond(exported, limits.Succeeded, 12)...)
		excess = append(excess, beyond(empty, nil, emptyKept)...)
		excess = append(excess, beyond(failed, limits.Failed, 5)...)
	}
	slices.SortStableFunc(excess, exportrun.OlderFirst)
	excess, untilArtifact := withoutYoungArtifacts(excess, keptUntil, now)
	excess = withoutUntold(excess, now)
	excess, wait = oldEnough(excess, now)
	return excess, min(wait, untilArtifact)
}

// withoutYoungArtifacts leaves out the runs that are kept for their artifacts, however many there are.
func withoutYoungArtifacts(excess []v1alpha1.ExportRun, keptUntil func(*v1alpha1.ExportRun) time.Time, now time.Time) (_ []v1alpha1.ExportRun, wait time.Duration) {
	wait = longestWait
	return slices.DeleteFunc(excess, func(run v1alpha1.ExportRun) bool {
		left := keptUntil(&run).Sub(now)
		if left > 0 {
			wait = min(wait, left)
		}
		return left > 0
	}), wait
}

// withoutUntold leaves out the newest runs that targets are still to be told of, up to mostUntold of them.
func withoutUntold(excess []v1alpha1.ExportRun, now time.Time) (rest []v1alpha1.ExportRun) {
	kept := 0
	for i := len(excess) - 1; i >= 0; i-- {
		if kept < mostUntold && notify.KeptUntil(&excess[i]).After(now) {
			kept++
			continue
		}
		rest = append(rest, excess[i])
	}
	slices.Reverse(rest)
	return rest
}

// recoveredFirst puts the runs first that were applied again.
func recoveredFirst(runs []v1alpha1.ExportRun) []v1alpha1.ExportRun {
	sorted := slices.Clone(runs)
	slices.SortStableFunc(sorted, func(a, b v1alpha1.ExportRun) int {
		switch {
		case a.Status.Recovered == b.Status.Recovered:
			return 0
		case a.Status.Recovered:
			return -1
		}
		return 1
	})
	return sorted
}

// oldEnough leaves out the newest runs that have ended within shortestHistory, up to mostRecent of them.
func oldEnough(excess []v1alpha1.ExportRun, now time.Time) (_ []v1alpha1.ExportRun, wait time.Duration) {
	for i := max(0, len(excess)-mostRecent); i < len(excess); i++ {
		ended := excess[i].Status.CompletedAt
		if ended == nil {
			continue
		}
		if wait := shortestHistory - now.Sub(ended.Time); wait > 0 {
			return excess[:i], wait
		}
	}
	return excess, longestWait
}

func beyond(runs []v1alpha1.ExportRun, limit *int32, byDefault int) []v1alpha1.ExportRun {
	keep := byDefault
	if limit != nil {
		keep = int(*limit)
	}
	return runs[:max(0, len(runs)-keep)]
}
