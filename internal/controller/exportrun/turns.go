package exportrun

import (
	"cmp"
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/texts"
)

// turn is where a run stands among the runs of its export.
type turn struct {
	// next is the unfinished run that is to end first, before this one; nil if it is this one's turn.
	next *v1alpha1.ExportRun
	// before is how many unfinished runs are to end before this one, and unfinished how many there are before it that have not,
	// those that it does not wait for among them.
	before, unfinished int
	// lost is how many of the runs that ended last have failed for AttemptLost, one after another, and newest the last of them.
	newest *v1alpha1.ExportRun
	lost   int
}

// turnOf finds the turn of a run among the runs of its export, in one pass. Runs of an export take turns; a preview and a redelivery
// hold nothing, so that they neither wait nor keep others waiting. A run that waits for the voucher series may wait for this one,
// which has it recorded and was applied again.
func turnOf(run *v1alpha1.ExportRun, runs []v1alpha1.ExportRun) (t turn) {
	var sound *v1alpha1.ExportRun // the newest that ended otherwise
	var lost []*v1alpha1.ExportRun
	for i := range runs {
		other := current(&runs[i])
		if lostForGood(other) {
			lost = append(lost, other)
		}
		aside := !other.Spec.Type.TakesTurns()
		switch {
		case other.UID == run.UID, NeverBegins(other):
		case other.Status.Phase.Finished():
			if !aside && !other.Status.Recovered && !lostForGood(other) && (sound == nil || OlderFirst(*sound, *other) < 0) {
				sound = other
			}
		case OlderFirst(*other, *run) < 0:
			t.unfinished++
			if aside || !run.Spec.Type.TakesTurns() || other.Status.WaitsForSeries {
				continue
			}
			t.before++
			if t.next == nil || OlderFirst(*other, *t.next) < 0 {
				t.next = other
			}
		}
	}
	for _, other := range lost {
		if sound != nil && OlderFirst(*sound, *other) > 0 {
			continue
		}
		t.lost++
		if t.newest == nil || OlderFirst(*t.newest, *other) < 0 {
			t.newest = other
		}
	}
	return t
}

// lostForGood reports whether a run has ended the operator's process. What a database says of a run that was applied again does
// not count, here or there: a tenant's may claim that of any run, to have the next one run alone, for which all others wait.
func lostForGood(run *v1alpha1.ExportRun) bool {
	status := &run.Status
	return status.Phase.Finished() && status.Phase != v1alpha1.RunSucceeded && !status.Recovered && status.ReleaseReason == v1alpha1.ReasonAttemptLost
}

func (r *Reconciler) turn(ctx context.Context, run *v1alpha1.ExportRun) (turn, error) {
	var runs v1alpha1.ExportRunList
	err := r.Client.List(ctx, &runs, client.InNamespace(run.Namespace), client.MatchingFields{watch.ExportIndex: run.Spec.ExportRef.Name})
	return turnOf(run, runs.Items), err
}

// awaitTurn lets a run wait for its turn.
func awaitTurn(run *v1alpha1.ExportRun, turn turn) {
	run.Status.Phase = v1alpha1.RunPending
	report.Of(run).Progressing(v1alpha1.ReasonQueued, fmt.Sprintf("waits for ExportRun %s to end; %s before it", turn.next.Name, runsAre(turn.before)))
}

// endSeriesWait lets the runs after a run wait for it again, as soon as it does anything else than to wait for the voucher series.
func endSeriesWait(run *v1alpha1.ExportRun, step Step) {
	if step != AwaitBackoff && step != Keep {
		run.Status.WaitsForSeries = false
	}
}

// untilToldAgain is how long a run that waits goes on telling the same number of runs before it: the longer, the more there are.
// Its turn comes as an event.
func untilToldAgain(before int) time.Duration {
	return min(time.Duration(max(before, 1))*10*time.Second, longestBackoff)
}

// runsAre is a number of runs as the subject of a sentence.
func runsAre(n int) string {
	return texts.Count(n, "run is", "runs are")
}

// keepsWaiting reports whether runs of the export that come after a run wait for it.
func keepsWaiting(run *v1alpha1.ExportRun) bool {
	run = current(run)
	return !run.Status.Phase.Finished() && run.Spec.Type.TakesTurns() && !run.Status.WaitsForSeries && !NeverBegins(run)
}

// nextOf is the run whose turn it is.
func nextOf(runs []v1alpha1.ExportRun) (next *v1alpha1.ExportRun) {
	for i := range runs {
		if keepsWaiting(&runs[i]) && (next == nil || OlderFirst(runs[i], *next) < 0) {
			next = &runs[i]
		}
	}
	return next
}

// OlderFirst orders the runs of an export as they took their turns: those that have ended by their end, then the others.
// Times have only seconds, but for the one of the start.
func OlderFirst(a, b v1alpha1.ExportRun) int {
	if byEnd := knownFirst(a.Status.CompletedAt, b.Status.CompletedAt, func(a, b *metav1.Time) int { return a.Compare(b.Time) }); byEnd != 0 {
		return byEnd
	}
	if a.Status.CompletedAt == nil {
		if byCreation := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); byCreation != 0 {
			return byCreation
		}
	}
	byStart := knownFirst(a.Status.StartedAt, b.Status.StartedAt, func(a, b *metav1.MicroTime) int { return a.Compare(b.Time) })
	return cmp.Or(byStart, cmp.Compare(a.Name, b.Name))
}

// knownFirst orders by a time that not all have: those that have it come first.
func knownFirst[T any](a, b *T, compare func(a, b *T) int) int {
	switch {
	case a != nil && b != nil:
		return compare(a, b)
	case a != nil:
		return -1
	case b != nil:
		return 1
	}
	return 0
}
