package exportrun

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// TestStatusOfAnEarlierOperator is for an upgrade in the middle of a run.
func TestStatusOfAnEarlierOperator(t *testing.T) {
	t.Parallel()
	written := func(phase v1alpha1.RunPhase, stage v1alpha1.RunStage, reason v1alpha1.Reason, change func(*v1alpha1.ExportRunStatus)) v1alpha1.ExportRunStatus {
		run := &v1alpha1.ExportRun{Status: v1alpha1.ExportRunStatus{Phase: phase, Stage: stage, Attempts: 3, Holder: "old"}}
		report.Of(run).Progressing(reason, "why")
		change(&run.Status)
		return run.Status
	}
	as := func(*v1alpha1.ExportRunStatus) {}
	now, due := &metav1.Time{Time: noon}, func(status *v1alpha1.ExportRunStatus) { status.NextAttemptAt = &metav1.Time{Time: noon} }
	for name, test := range map[string]struct {
		status v1alpha1.ExportRunStatus
		want   v1alpha1.RunAttempt
		series bool
		reason v1alpha1.Reason
	}{
		"an attempt is under way": {written(v1alpha1.RunRunning, v1alpha1.StagePreflight, v1alpha1.ReasonRunning, as), v1alpha1.RunAttempt{Number: 3, Holder: "old"}, false, ""},
		"one waits for a place":   {written(v1alpha1.RunRunning, v1alpha1.StagePreflight, v1alpha1.ReasonQueued, as), v1alpha1.RunAttempt{Number: 3, Holder: "old", Queued: true}, false, ""},
		"one has claims":          {written(v1alpha1.RunRunning, v1alpha1.StageRender, v1alpha1.ReasonRunning, as), v1alpha1.RunAttempt{Number: 3, Holder: "old", MayHoldClaims: true}, false, ""},
		"one has failed": {written(v1alpha1.RunRetrying, v1alpha1.StageDeliver, v1alpha1.ReasonNotWritable, due),
			v1alpha1.RunAttempt{Number: 3, Holder: "old", EndedAt: now, MayHoldClaims: true}, false, ""},
		"the run waits for its turn again": {written(v1alpha1.RunPending, v1alpha1.StagePreflight, v1alpha1.ReasonQueued, due), v1alpha1.RunAttempt{Number: 3, Holder: "old", EndedAt: now}, false, ""},
		"it waits for the series":          {written(v1alpha1.RunRetrying, v1alpha1.StagePreflight, v1alpha1.ReasonSeriesBusy, due), v1alpha1.RunAttempt{Number: 3, Holder: "old", EndedAt: now}, true, ""},
		"it gives its claims back": {written(v1alpha1.RunReleasing, v1alpha1.StageRender, v1alpha1.ReasonCancelled, as),
			v1alpha1.RunAttempt{Number: 3, Holder: "old", MayHoldClaims: true}, false, v1alpha1.ReasonCancelled},
		"it is to give its claims back": {written(v1alpha1.RunReleasing, v1alpha1.StageReserve, v1alpha1.ReasonNotWritable, due),
			v1alpha1.RunAttempt{Number: 3, Holder: "old", EndedAt: now, MayHoldClaims: true}, false, v1alpha1.ReasonNotWritable},
		"it ended the process": {written(v1alpha1.RunFailed, v1alpha1.StageReserve, v1alpha1.ReasonAttemptLost, func(status *v1alpha1.ExportRunStatus) { status.CompletedAt = now }),
			v1alpha1.RunAttempt{Number: 3, Holder: "old", EndedAt: now, MayHoldClaims: true}, false, v1alpha1.ReasonAttemptLost},
		"another has begun since an upgrade was taken back": {written(v1alpha1.RunRunning, v1alpha1.StagePreflight, v1alpha1.ReasonRunning, func(status *v1alpha1.ExportRunStatus) {
			status.Attempt = &v1alpha1.RunAttempt{Number: 2, Holder: "new", EndedAt: now, MayHoldClaims: true}
		}), v1alpha1.RunAttempt{Number: 3, Holder: "old", MayHoldClaims: true}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := &v1alpha1.ExportRun{Status: test.status}
			before := run.DeepCopy()
			seen := current(run)
			if !equality.Semantic.DeepEqual(run, before) {
				t.Error("what the cache has is changed")
			}
			adoptStatus(&run.Status, noon)
			status := run.Status
			if !equality.Semantic.DeepEqual(*status.Attempt, test.want) || status.WaitsForSeries != test.series || status.ReleaseReason != test.reason {
				t.Errorf("%+v, waits for the series: %t, gives back for %q", *status.Attempt, status.WaitsForSeries, status.ReleaseReason)
			}
			if seen.Status.WaitsForSeries != test.series || lostForGood(seen) != lostForGood(run) || lostForGood(run) != (name == "it ended the process") {
				t.Error("other runs see another status")
			}
			again := run.DeepCopy()
			adoptStatus(&run.Status, noon.AddDate(0, 0, 1))
			if !equality.Semantic.DeepEqual(run, again) {
				t.Error("a status of today is read like an old one")
			}
		})
	}
	t.Run("a run that never began has nothing to adopt", func(t *testing.T) {
		t.Parallel()
		status := v1alpha1.ExportRunStatus{Phase: v1alpha1.RunPending}
		adoptStatus(&status, noon)
		if status.Attempt != nil {
			t.Errorf("it has %+v", status.Attempt)
		}
	})
}

// TestAnAPIServerThatDropsTheAttempt: its definition of runs may be older than the operator for a while.
func TestAnAPIServerThatDropsTheAttempt(t *testing.T) {
	t.Parallel()
	in := decisionInputs()
	run := in.Run
	for _, step := range []struct {
		does func()
		want Step
	}{
		{func() { begin(run, in.Holder, origin{}, noon) }, Execute},
		{func() {
			here(executor.Ended, failure.Transient(v1alpha1.ReasonSeriesBusy, nil, "busy"))(&in)
			conclude(run, in.Export, in.Attempt, noon)
		}, AwaitBackoff},
		{func() { cancelling(run); begin(run, in.Holder, origin{}, noon) }, Execute},
		{func() { leave(run, in.Holder) }, Begin},
		{func() { begin(run, "killed", origin{}, noon) }, Lose},
	} {
		step.does()
		run.Status.Attempt, run.Status.WaitsForSeries, run.Status.ReleaseReason = nil, false, ""
		adoptStatus(&run.Status, noon)
		if got := Decide(in); got.Step != step.want {
			t.Fatalf("%s, want %s: %+v", got.Step, step.want, run.Status.Attempt)
		}
	}
	if run.Status.ReleaseReason != v1alpha1.ReasonCancelled {
		t.Errorf("it gives back for %q", run.Status.ReleaseReason)
	}
}

func TestAProcessLeavesARunWhoseAttemptTheAPIServerDropped(t *testing.T) {
	t.Parallel()
	run := &v1alpha1.ExportRun{Status: v1alpha1.ExportRunStatus{Phase: v1alpha1.RunRunning, Attempts: 1, Holder: "here"}}
	if left := leftBy("here", run); left == nil || left.Status.Holder != "" || left.Status.Attempt.Holder != "" {
		t.Errorf("it is left as %+v", left)
	}
	if run.Status.Attempt != nil || leftBy("elsewhere", run) != nil {
		t.Error("the run itself was changed, or is left by a process that did not hold it")
	}
}

// TestALossThatAnOlderOperatorCounted: the operator was rolled back, and forward again.
func TestALossThatAnOlderOperatorCounted(t *testing.T) {
	t.Parallel()
	run := &v1alpha1.ExportRun{Status: v1alpha1.ExportRunStatus{
		Phase: v1alpha1.RunRetrying, Attempts: 2, LostAttempts: 2, NextAttemptAt: &metav1.Time{Time: noon.Add(time.Minute)},
		Attempt: &v1alpha1.RunAttempt{Number: 2, Holder: "killed", MayHoldClaims: true},
	}}
	adoptStatus(&run.Status, noon)
	if attempt := run.Status.Attempt; attempt.UnderWay() || !attempt.MayHoldClaims || lost(run, "here") {
		t.Errorf("it is counted once more: %+v", attempt)
	}
}

// TestNoDatabaseSaysThatARunEndedTheProcess: what a tenant has recorded of a run that sent vouchers changes nothing for the next one.
func TestNoDatabaseSaysThatARunEndedTheProcess(t *testing.T) {
	t.Parallel()
	run := &v1alpha1.ExportRun{Status: releasing(v1alpha1.ReasonCancelled, 0)}
	outcome := submission(0, pipeline.Submitted{Returned: 3, Unfinished: v1alpha1.ReasonAttemptLost})
	conclude(run, exportWithRetries(3), endedRelease(outcome, nil), noon)
	if ReadyReason(run) != v1alpha1.ReasonReleased || lostForGood(run) {
		t.Errorf("it ended for %s, and ended the process: %t", ReadyReason(run), lostForGood(run))
	}
}
