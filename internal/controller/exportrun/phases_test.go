package exportrun

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestEndOfAnAttemptDecidesWhatFollows(t *testing.T) {
	t.Parallel()
	healing := failure.Transient(v1alpha1.ReasonDatabaseUnreachable, nil, "no answer")
	hopeless := failure.Stalled(v1alpha1.ReasonInvalidOptions, nil, "no such option")
	passedOn := failure.Transient(v1alpha1.ReasonPlacePassedOn, nil, "made room")
	cancelled := failure.Stalled(v1alpha1.ReasonCancelled, executor.ErrCancelled, "cancelled")
	nameTaken := failure.Stalled(v1alpha1.ReasonRunNameTaken, nil, "a run of this name is recorded")
	otherCluster := failure.Stalled(v1alpha1.ReasonOtherCluster, nil, "another cluster has recorded it")
	empty, open := pipeline.Outcome{Record: pipeline.RecordEmpty}, pipeline.Outcome{Record: pipeline.RecordOpen}
	committed := pipeline.Outcome{Committed: true, Result: v1alpha1.RunResult{Claims: 3, Total: "12.00 EUR"}}
	tests := []struct {
		name   string
		before v1alpha1.ExportRunStatus
		state  executor.State
		phase  v1alpha1.RunPhase
		reason string
		wait   time.Duration // until the next attempt; negative if there is none
	}{
		{"claims were exported", running(1, 0, v1alpha1.StagePreflight), ended(v1alpha1.StageCommit, committed, nil),
			v1alpha1.RunSucceeded, v1alpha1.ReasonSucceeded, -1},
		{"there was nothing to export", running(1, 0, ""), ended(v1alpha1.StageCommit, pipeline.Outcome{Committed: true}, nil),
			v1alpha1.RunSucceeded, v1alpha1.ReasonNoClaims, -1},
		{"all claims were held", running(1, 0, ""), ended(v1alpha1.StageCommit, pipeline.Outcome{Committed: true, Result: v1alpha1.RunResult{Held: 2}}, nil),
			v1alpha1.RunSucceeded, v1alpha1.ReasonAllHeld, -1},
		{"a first failure that may heal", running(1, 0, ""), ended(v1alpha1.StagePreflight, pipeline.Outcome{}, healing),
			v1alpha1.RunRetrying, v1alpha1.ReasonDatabaseUnreachable, 10 * time.Second},
		{"the backoff doubles", running(3, 2, ""), ended(v1alpha1.StagePreflight, pipeline.Outcome{}, healing),
			v1alpha1.RunRetrying, v1alpha1.ReasonDatabaseUnreachable, 40 * time.Second},
		{"retries spent, and the database knows of nothing to give back", running(4, 3, v1alpha1.StagePreflight), ended(v1alpha1.StagePreflight, empty, healing),
			v1alpha1.RunFailed, v1alpha1.ReasonDatabaseUnreachable, -1},
		{"retries spent, and the database was never asked: it is asked once", running(4, 3, v1alpha1.StagePreflight), ended(v1alpha1.StagePreflight, pipeline.Outcome{}, healing),
			v1alpha1.RunReleasing, v1alpha1.ReasonDatabaseUnreachable, 0},
		{"retries spent in preflight, with a record of an earlier ExportRun of the name", running(4, 3, v1alpha1.StagePreflight), ended(v1alpha1.StagePreflight, open, healing),
			v1alpha1.RunReleasing, v1alpha1.ReasonDatabaseUnreachable, 0},
		{"whether there is anything to give back could not be asked", releasingNothing(v1alpha1.ReasonDatabaseUnreachable, 4), endedRelease(pipeline.Outcome{}, healing),
			v1alpha1.RunFailed, v1alpha1.ReasonDatabaseUnreachable, -1},
		{"cancelled before it had any claims, and the database does not answer: asked again, it may have a record of the name", releasingNothing(v1alpha1.ReasonCancelled, 0), endedRelease(pipeline.Outcome{}, healing),
			v1alpha1.RunReleasing, v1alpha1.ReasonCancelled, 10 * time.Second},
		{"cancelled before it had any claims, and the database never answers", releasingNothing(v1alpha1.ReasonCancelled, 3), endedRelease(pipeline.Outcome{}, healing),
			v1alpha1.RunCancelled, v1alpha1.ReasonCancelled, -1},
		{"cancelled before it had any claims, and the database cannot be opened as things stand", releasingNothing(v1alpha1.ReasonCancelled, 0), endedRelease(pipeline.Outcome{}, hopeless),
			v1alpha1.RunCancelled, v1alpha1.ReasonCancelled, -1},
		{"claims of an earlier ExportRun of the name could not be given back: tried again", releasingNothing(v1alpha1.ReasonCancelled, 0), endedRelease(open, healing),
			v1alpha1.RunReleasing, v1alpha1.ReasonCancelled, 10 * time.Second},
		{"retries spent after reserving: claims are given back at once", running(4, 3, v1alpha1.StageRender), ended(v1alpha1.StagePreflight, pipeline.Outcome{}, healing),
			v1alpha1.RunReleasing, v1alpha1.ReasonDatabaseUnreachable, 0},
		{"a failure that cannot heal is not retried", running(1, 0, ""), ended(v1alpha1.StagePreflight, empty, hopeless),
			v1alpha1.RunFailed, v1alpha1.ReasonInvalidOptions, -1},
		{"a failure that cannot heal, after reserving", running(1, 0, ""), ended(v1alpha1.StageDeliver, pipeline.Outcome{}, hopeless),
			v1alpha1.RunReleasing, v1alpha1.ReasonInvalidOptions, 0},
		{"the operator was stopped: no failure", running(1, 0, ""), ended(v1alpha1.StageRender, pipeline.Outcome{}, failure.Transient(v1alpha1.ReasonInterrupted, nil, "stopped")),
			v1alpha1.RunRunning, v1alpha1.ReasonInterrupted, -1},
		{"another run has the voucher series: waiting is no failure", running(9, 3, ""), ended(v1alpha1.StagePreflight, pipeline.Outcome{}, failure.Transient(v1alpha1.ReasonSeriesBusy, nil, "busy")),
			v1alpha1.RunRetrying, v1alpha1.ReasonSeriesBusy, 40 * time.Second},
		{"it made room for others: no failure, and it waits for its turn at once", running(9, 3, ""), ended(v1alpha1.StageDeliver, open, passedOn),
			v1alpha1.RunRetrying, v1alpha1.ReasonPlacePassedOn, 0},
		{"it made room while it gave its claims back", releasing(v1alpha1.ReasonNotWritable, 4), endedRelease(open, passedOn),
			v1alpha1.RunReleasing, v1alpha1.ReasonNotWritable, 0},
		{"it made room while it asked whether there was anything to give back", releasingNothing(v1alpha1.ReasonCancelled, 3), endedRelease(pipeline.Outcome{}, passedOn),
			v1alpha1.RunReleasing, v1alpha1.ReasonCancelled, 0},
		{"cancelled by a person", running(1, 0, ""), ended(v1alpha1.StageRender, pipeline.Outcome{}, cancelled),
			v1alpha1.RunReleasing, v1alpha1.ReasonCancelled, 0},
		{"an unknown error says nothing of itself", running(1, 0, ""), ended(v1alpha1.StagePreflight, pipeline.Outcome{}, errors.New("pq: password=hunter2")),
			v1alpha1.RunRetrying, v1alpha1.ReasonInternal, 10 * time.Second},
		{"claims given back after a failure", releasing(v1alpha1.ReasonNotWritable, 4), endedRelease(pipeline.Outcome{}, nil),
			v1alpha1.RunFailed, v1alpha1.ReasonNotWritable, -1},
		{"claims given back after a cancellation", releasing(v1alpha1.ReasonCancelled, 0), endedRelease(pipeline.Outcome{}, nil),
			v1alpha1.RunCancelled, v1alpha1.ReasonCancelled, -1},
		{"the artifact had arrived before the claims could be given back", releasing(v1alpha1.ReasonNotWritable, 4), endedRelease(committed, nil),
			v1alpha1.RunSucceeded, v1alpha1.ReasonSucceeded, -1},
		{"vouchers were sent, and all accepted", running(1, 0, ""), ended(v1alpha1.StageCommit, submission(3, pipeline.Submitted{Accepted: 3}), nil),
			v1alpha1.RunSucceeded, v1alpha1.ReasonSucceeded, -1},
		{"some were rejected, and the others completed", running(1, 0, ""), ended(v1alpha1.StageCommit, submission(2, pipeline.Submitted{Accepted: 2, Rejected: 1}), nil),
			v1alpha1.RunSucceeded, v1alpha1.ReasonVouchersRejected, -1},
		{"all were rejected", running(1, 0, ""), ended(v1alpha1.StageCommit, submission(0, pipeline.Submitted{Rejected: 3}), nil),
			v1alpha1.RunFailed, v1alpha1.ReasonVouchersRejected, -1},
		{"a rejection stopped the run", running(1, 0, ""), ended(v1alpha1.StageCommit, submission(1, pipeline.Submitted{Accepted: 1, Rejected: 1, Returned: 1, Unfinished: v1alpha1.ReasonVouchersRejected}), nil),
			v1alpha1.RunIncomplete, v1alpha1.ReasonVouchersRejected, -1},
		{"the first was rejected, and stopped the run", running(1, 0, ""), ended(v1alpha1.StageCommit, submission(0, pipeline.Submitted{Rejected: 1, Returned: 2, Unfinished: v1alpha1.ReasonVouchersRejected}), nil),
			v1alpha1.RunFailed, v1alpha1.ReasonVouchersRejected, -1},
		{"retries spent, and the system has all vouchers, not posted", releasing(v1alpha1.ReasonSystemRefused, 4), endedRelease(submission(3, pipeline.Submitted{Accepted: 3, Unfinished: v1alpha1.ReasonSystemRefused}), nil),
			v1alpha1.RunIncomplete, v1alpha1.ReasonSystemRefused, -1},
		{"cancelled, and the system has some", releasing(v1alpha1.ReasonCancelled, 0), endedRelease(submission(1, pipeline.Submitted{Accepted: 1, Returned: 2, Unfinished: v1alpha1.ReasonCancelled}), nil),
			v1alpha1.RunIncomplete, v1alpha1.ReasonCancelled, -1},
		{"cancelled, and the system has rejected some and has none", releasing(v1alpha1.ReasonCancelled, 0), endedRelease(submission(0, pipeline.Submitted{Rejected: 1, Returned: 2, Unfinished: v1alpha1.ReasonCancelled}), nil),
			v1alpha1.RunCancelled, v1alpha1.ReasonCancelled, -1},
		{"a database says that it ended the process of the operator", running(1, 0, ""), ended(v1alpha1.StageCommit, submission(0, pipeline.Submitted{Returned: 1, Unfinished: v1alpha1.ReasonAttemptLost}), nil),
			v1alpha1.RunFailed, v1alpha1.ReasonReleased, -1},
		{"a database says that it ended for what nobody knows", running(1, 0, ""), ended(v1alpha1.StageCommit, submission(1, pipeline.Submitted{Accepted: 1, Returned: 1, Unfinished: "Word4711"}), nil),
			v1alpha1.RunIncomplete, v1alpha1.ReasonReleased, -1},
		{"an attempt was lost, and the database has a run of another type by the name: nothing of this one is recorded", releasing(v1alpha1.ReasonAttemptLost, 2), endedRelease(empty, nameTaken),
			v1alpha1.RunFailed, v1alpha1.ReasonRunNameTaken, -1},
		{"an attempt was lost, and the database has the run of another cluster by the name", releasing(v1alpha1.ReasonAttemptLost, 2), endedRelease(empty, otherCluster),
			v1alpha1.RunFailed, v1alpha1.ReasonOtherCluster, -1},
		{"claims could not be given back: tried again, however often", releasing(v1alpha1.ReasonNotWritable, 40), endedRelease(pipeline.Outcome{}, healing),
			v1alpha1.RunReleasing, v1alpha1.ReasonNotWritable, longestBackoff},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run := &v1alpha1.ExportRun{Status: test.before}
			conclude(run, exportWithRetries(3), test.state, noon)
			if run.Status.Phase != test.phase || ReadyReason(run) != test.reason {
				t.Errorf("phase %s, reason %q; want %s, %q", run.Status.Phase, ReadyReason(run), test.phase, test.reason)
			}
			if got := waitOf(run); got != test.wait {
				t.Errorf("the next attempt is in %s, want %s", got, test.wait)
			}
			if interrupted(test.state) != run.Status.Attempt.UnderWay() {
				t.Errorf("it is recorded that the attempt has ended: %t", !run.Status.Attempt.UnderWay())
			}
			if run.Status.Phase.Finished() != (run.Status.CompletedAt != nil) {
				t.Errorf("phase %s with completedAt %v", run.Status.Phase, run.Status.CompletedAt)
			}
		})
	}
}

func TestAnAttemptThatEndedWithItsProcessMayHoldClaims(t *testing.T) {
	t.Parallel()
	run := &v1alpha1.ExportRun{Status: running(1, 0, v1alpha1.StagePreflight)}
	begin(run, "this process", origin{}, noon)
	if !mayHoldClaims(run) || run.Status.Attempts != 2 || run.Status.Failures != 0 {
		t.Errorf("stage %s, attempts %d, failures %d; want a stage beyond Preflight, 2, 0", run.Status.Stage, run.Status.Attempts, run.Status.Failures)
	}
}

func TestRunStaysWithTheSourceAndTheDestinationThatMayHaveItsClaimsAndFiles(t *testing.T) {
	t.Parallel()
	failing := func(stage v1alpha1.RunStage) v1alpha1.ExportRunStatus {
		status := running(1, 1, stage)
		status.Phase = v1alpha1.RunRetrying
		return status
	}
	tests := []struct {
		name   string
		before v1alpha1.ExportRunStatus
		was    string
		want   string
	}{
		{"the first attempt", v1alpha1.ExportRunStatus{}, "", "new"},
		{"preflight failed", failing(v1alpha1.StagePreflight), "old", "new"},
		{"claims may be reserved", failing(v1alpha1.StageReserve), "old", "old"},
		{"an attempt ended with its process", running(1, 0, v1alpha1.StagePreflight), "old", "old"},
		{"claims are to be given back", releasing(v1alpha1.ReasonCancelled, 0), "old", "old"},
		{"there is nothing to give back", releasingNothing(v1alpha1.ReasonCancelled, 0), "old", "new"},
		{"the operator before this one did not note it", failing(v1alpha1.StageReserve), "", "new"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run := &v1alpha1.ExportRun{Status: test.before}
			if test.was != "" {
				run.Status.SourceRef = &v1alpha1.NamespacedReference{Name: test.was}
				run.Status.DestinationRef = &v1alpha1.NamespacedReference{Name: test.was + " files"}
			}
			run.Status.Ledger = &v1alpha1.RunLedger{ID: "what " + test.was + " said"}
			begin(run, "this process", origin{v1alpha1.NamespacedReference{Name: "new"}, v1alpha1.NamespacedReference{Name: "new files"}}, noon)
			if got := run.Status.SourceRef; got == nil || got.Name != test.want {
				t.Errorf("the source is %v, want %s", got, test.want)
			}
			if got := run.Status.DestinationRef; got == nil || got.Name != test.want+" files" {
				t.Errorf("the destination is %v, want that of %s", got, test.want)
			}
			if left := test.was != "" && test.was != test.want; left != (run.Status.Ledger == nil) {
				t.Errorf("the ledger is %+v; want one unless the source that reported it was left", run.Status.Ledger)
			}
		})
	}
}

func TestProgressIsThatOfTheAttemptUnderWay(t *testing.T) {
	t.Parallel()
	run := &v1alpha1.ExportRun{Status: running(1, 0, v1alpha1.StagePreflight)}
	for _, told := range []struct {
		state executor.State
		stage v1alpha1.RunStage
		want  v1alpha1.RunProgress
	}{
		{executor.State{Phase: executor.Running, Stage: v1alpha1.StageRender, Claims: 7}, v1alpha1.StageRender, v1alpha1.RunProgress{Claims: 7}},
		{executor.State{Phase: executor.Running, Stage: v1alpha1.StageDeliver, Claims: 9, Total: 20}, v1alpha1.StageDeliver, v1alpha1.RunProgress{Claims: 9, Total: ptr.To[int64](20)}},
	} {
		describeProgress(run, told.state)
		if run.Status.Stage != told.stage || !equality.Semantic.DeepEqual(run.Status.Progress, &told.want) {
			t.Errorf("stage %s, progress %+v; want %s, %+v", run.Status.Stage, run.Status.Progress, told.stage, told.want)
		}
	}
	begin(run, "another process", origin{}, noon)
	if run.Status.Progress != nil {
		t.Errorf("an attempt begins with the progress of the one before: %+v", run.Status.Progress)
	}
	describeProgress(run, executor.State{Phase: executor.Running, Stage: v1alpha1.StageRender, Claims: 3})
	conclude(run, exportWithRetries(3), ended(v1alpha1.StageRender, pipeline.Outcome{}, failure.Transient(v1alpha1.ReasonInternal, nil, "")), noon)
	if run.Status.Progress != nil {
		t.Errorf("an attempt that has ended has progress: %+v", run.Status.Progress)
	}
}

func TestHeldClaimsAreNamedAsFarAsAnEventHasRoom(t *testing.T) {
	t.Parallel()
	status := &v1alpha1.ExportRunStatus{RunResult: v1alpha1.RunResult{Held: 500}}
	for range 20 {
		status.HeldClaims = append(status.HeldClaims, v1alpha1.HeldClaim{ID: "3f2c9a1e-0000-4000-8000-000000000001", Reason: "AmountTooPrecise"})
	}
	if note := heldNote(status); len(note) > 1024 {
		t.Errorf("the note has %d bytes, more than an event holds", len(note))
	}
	few := &v1alpha1.ExportRunStatus{RunResult: v1alpha1.RunResult{Held: 1}, HeldClaims: []v1alpha1.HeldClaim{{ID: "c1", Reason: "Unmapped"}}}
	if note, want := heldNote(few), "1 claim is held and waits for a later run: c1 (Unmapped)"; note != want {
		t.Errorf("note %q, want %q", note, want)
	}
}

func TestRejectedVouchersAreNamedWithTheWordsOfTheSystem(t *testing.T) {
	t.Parallel()
	run := &v1alpha1.ExportRun{Status: releasing(v1alpha1.ReasonSystemRefused, 4)}
	outcome := submission(2, pipeline.Submitted{Accepted: 2, Rejected: 1, Returned: 1, Unfinished: v1alpha1.ReasonSystemRefused})
	outcome.Held = []v1alpha1.HeldClaim{{ID: "c7", Reason: "Rejected", Message: "The account 4680 is blocked."}}
	conclude(run, exportWithRetries(3), endedRelease(outcome, nil), noon)
	const want = "why; 2 claims were exported, 8.00 EUR in total; look in the accounting system whether they have to be completed there, because the run did not; " +
		"1 voucher was not sent, and its claim goes to the next run; 1 claim is held and waits for a later run: c7 (Rejected: The account 4680 is blocked.)"
	if got := readyCondition(run).Message; got != want {
		t.Errorf("the run says\n%s, want\n%s", got, want)
	}
}

func submission(claims int64, what pipeline.Submitted) pipeline.Outcome {
	return pipeline.Outcome{Committed: true, Submitted: &what, Result: v1alpha1.RunResult{Claims: claims, Held: what.Rejected, Total: "8.00 EUR"}}
}

func running(attempts, failures int32, stage v1alpha1.RunStage) v1alpha1.ExportRunStatus {
	return v1alpha1.ExportRunStatus{
		Phase: v1alpha1.RunRunning, Attempts: attempts, Failures: failures, Stage: stage, StartedAt: &metav1.MicroTime{Time: noon.Add(-time.Minute)},
		Attempt: &v1alpha1.RunAttempt{Number: attempts, MayHoldClaims: stage.Beyond(v1alpha1.StagePreflight)},
	}
}

func releasing(reason string, failures int32) v1alpha1.ExportRunStatus {
	run := &v1alpha1.ExportRun{Status: running(failures+1, failures, v1alpha1.StageDeliver)}
	run.Status.Phase, run.Status.ReleaseReason = v1alpha1.RunReleasing, reason
	report.Of(run).Progressing(reason, "why")
	return run.Status
}

// releasingNothing is of a run that came no further than preflight.
func releasingNothing(reason string, failures int32) v1alpha1.ExportRunStatus {
	status := releasing(reason, failures)
	status.Stage, status.Attempt.MayHoldClaims = v1alpha1.StagePreflight, false
	return status
}

func ended(stage v1alpha1.RunStage, outcome pipeline.Outcome, err error) executor.State {
	return executor.State{Phase: executor.Ended, Stage: stage, Outcome: outcome, Err: err}
}

func endedRelease(outcome pipeline.Outcome, err error) executor.State {
	return executor.State{Phase: executor.Ended, Task: pipeline.Task{Release: true}, Outcome: outcome, Err: err}
}

func exportWithRetries(limit int32) *v1alpha1.AccountingExport {
	return &v1alpha1.AccountingExport{Spec: v1alpha1.AccountingExportSpec{Retry: v1alpha1.RetryPolicy{Limit: ptr.To(limit)}}}
}

func waitOf(run *v1alpha1.ExportRun) time.Duration {
	if run.Status.NextAttemptAt == nil {
		return -1
	}
	return run.Status.NextAttemptAt.Sub(noon)
}

func TestRunsThatWaitAreToldOfWhatChangesForThem(t *testing.T) {
	t.Parallel()
	export := func(status metav1.ConditionStatus, reason v1alpha1.Reason, message, handled string) *v1alpha1.AccountingExport {
		return &v1alpha1.AccountingExport{Status: v1alpha1.AccountingExportStatus{LastHandledRequest: handled, Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionSourceReady, Status: status, Reason: reason, Message: message},
		}}}
	}
	ready := export(metav1.ConditionTrue, v1alpha1.ReasonReady, "", "")
	checking := export(metav1.ConditionFalse, v1alpha1.ReasonChecking, "was not checked yet", "")
	denied := export(metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, "does not admit the namespace", "")
	for name, test := range map[string]struct {
		before, after *v1alpha1.AccountingExport
		told          bool
	}{
		"something is missing now":           {ready, checking, true},
		"nothing is missing any more":        {denied, ready, true},
		"it is missing for another reason":   {checking, denied, true},
		"the same is missing as before":      {denied, export(metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, "does not admit the namespace", "another request"), false},
		"nothing is missing, nor was before": {ready, export(metav1.ConditionTrue, v1alpha1.ReasonReady, "", "another request"), false},
	} {
		if told := readinessChanged.Update(event.UpdateEvent{ObjectOld: test.before, ObjectNew: test.after}); told != test.told {
			t.Errorf("%s: runs are told: %t, want %t", name, told, test.told)
		}
	}
}

func TestAttemptDoesNotWaitForTheClockOfAnotherOperator(t *testing.T) {
	t.Parallel()
	for ahead, want := range map[time.Duration]time.Duration{-20 * time.Minute: -20*time.Minute + 10*time.Second, 0: 10 * time.Second, 20 * time.Minute: 0} {
		run := v1alpha1.ExportRun{Status: v1alpha1.ExportRunStatus{Phase: v1alpha1.RunRetrying}}
		run.Status.NextAttemptAt = nextAttempt(&v1alpha1.AccountingExport{}, 1, noon.Add(ahead))
		if got := untilAttempt(&run, &v1alpha1.AccountingExport{}, noon); got != want {
			t.Errorf("after an operator that is %s ahead the next attempt waits %s, want %s", ahead, got, want)
		}
	}
}
