package exportrun

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

func TestAttemptLost(t *testing.T) {
	t.Parallel()
	lostBefore := func(lost int32, status v1alpha1.ExportRunStatus) v1alpha1.ExportRunStatus {
		status.LostAttempts = lost
		return status
	}
	tests := []struct {
		name   string
		before v1alpha1.ExportRunStatus
		cancel bool
		phase  v1alpha1.RunPhase
		reason string
		fails  int32
		wait   time.Duration // until the next attempt; negative if it begins at once
		alone  bool
	}{
		{"the first is no failure", running(1, 0, ""), false, v1alpha1.RunRunning, "", 0, -1, false},
		{"the second in a row is one, and the next runs alone", lostBefore(1, running(2, 0, "")), false, v1alpha1.RunRetrying, v1alpha1.ReasonAttemptLost, 1, 10 * time.Second, true},
		{"the third, which ran alone, ends the run", lostBefore(2, running(3, 1, "")), false, v1alpha1.RunReleasing, v1alpha1.ReasonAttemptLost, 2, 0, true},
		{"the second ends the run if that was its last", lostBefore(1, running(2, 3, "")), false, v1alpha1.RunReleasing, v1alpha1.ReasonAttemptLost, 4, 0, true},
		{"the first of one that gives its claims back is no failure", releasing(v1alpha1.ReasonNotWritable, 1), false, v1alpha1.RunReleasing, v1alpha1.ReasonNotWritable, 1, -1, false},
		{"the second of one that gives its claims back waits", lostBefore(1, releasing(v1alpha1.ReasonNotWritable, 1)), false, v1alpha1.RunReleasing, v1alpha1.ReasonNotWritable, 2, 20 * time.Second, true},
		{"giving claims back is tried for ever, at intervals", lostBefore(9, releasing(v1alpha1.ReasonNotWritable, 20)), false, v1alpha1.RunReleasing, v1alpha1.ReasonNotWritable, 21, longestBackoff, true},
		{"one that was cancelled gives its claims back at once, alone", lostBefore(1, running(2, 0, "")), true, v1alpha1.RunRunning, "", 0, -1, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run := &v1alpha1.ExportRun{Spec: v1alpha1.ExportRunSpec{Cancel: test.cancel}, Status: test.before}
			run.Status.NextAttemptAt = nil
			lose(run, exportWithRetries(3), noon)
			if run.Status.Phase != test.phase || ReadyReason(run) != test.reason || run.Status.Failures != test.fails {
				t.Errorf("phase %s, reason %q, %d failures; want %s, %q, %d", run.Status.Phase, ReadyReason(run), run.Status.Failures, test.phase, test.reason, test.fails)
			}
			if got := waitOf(run); got != test.wait {
				t.Errorf("the next attempt is in %s, want %s", got, test.wait)
			}
			next := task(run, exportWithRetries(3), Limits{})
			if next.Alone != test.alone || next.Alone && next.Deadline > aloneDeadline {
				t.Errorf("the next attempt runs alone: %t, for %s", next.Alone, next.Deadline)
			}
			if !mayHoldClaims(run) {
				t.Error("a run whose attempt was lost may hold claims")
			}
		})
	}
}

func TestAttemptLostIsForgotten(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want int32
	}{
		"by one that ends":               {nil, 0},
		"by one that fails":              {failure.Transient(v1alpha1.ReasonDatabaseUnreachable, nil, "no answer"), 0},
		"but not by one that is stopped": {failure.Transient(v1alpha1.ReasonInterrupted, nil, "stopped"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := &v1alpha1.ExportRun{Status: running(3, 1, "")}
			run.Status.LostAttempts = 2
			conclude(run, exportWithRetries(3), ended(v1alpha1.StageRender, pipeline.Outcome{Committed: test.err == nil}, test.err), noon)
			if run.Status.LostAttempts != test.want {
				t.Errorf("%d lost attempts, want %d", run.Status.LostAttempts, test.want)
			}
		})
	}
}

func TestWhoseAttemptIsLost(t *testing.T) {
	t.Parallel()
	recorded, pending, finished := running(1, 0, ""), running(1, 0, ""), running(1, 0, "")
	recorded.Attempt.EndedAt = &metav1.Time{Time: noon}
	pending.Phase, pending.Attempt.EndedAt = v1alpha1.RunPending, &metav1.Time{Time: noon}
	finished.Phase, finished.Attempt.EndedAt = v1alpha1.RunSucceeded, &metav1.Time{Time: noon}
	for name, test := range map[string]struct {
		status v1alpha1.ExportRunStatus
		holder string
		want   bool
	}{
		"that of another process":                    {running(1, 0, ""), "another", true},
		"that of another that gave claims back":      {releasing(v1alpha1.ReasonNotWritable, 1), "another", true},
		"of somebody else":                           {running(1, 0, ""), "this", false},
		"not that of a process that said goodbye":    {running(1, 0, ""), "", false},
		"not one that waited for a place":            {waiting(), "another", false},
		"not one that has ended":                     {recorded, "another", false},
		"not that of a run that waits for its turn":  {pending, "another", false},
		"not that of a run that has ended otherwise": {finished, "another", false},
		"not that of a run that never began":         {v1alpha1.ExportRunStatus{}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := &v1alpha1.ExportRun{Status: test.status}
			if run.Status.Attempt != nil {
				run.Status.Attempt.Holder = test.holder
			}
			if got := lost(run, "this"); got != test.want {
				t.Errorf("lost: %t, want %t", got, test.want)
			}
			if left := leave(run, "this"); left != (test.holder == "this") || left && (run.Status.Attempt.Holder != "" || lost(run, "next")) {
				t.Errorf("left: %t, with %+v", left, run.Status.Attempt)
			}
		})
	}
}

// TestNextRunIsSuspectToo: claims that end the process are taken by the next run.
func TestNextRunIsSuspectToo(t *testing.T) {
	t.Parallel()
	failedFor := func(reason string, ago time.Duration) v1alpha1.ExportRun {
		run := v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{UID: types.UID(reason + ago.String())}}
		run.Status.ReleaseReason = reason
		finish(&run, v1alpha1.RunFailed, reason, "it failed", noon.Add(-ago))
		return run
	}
	lost, refused := v1alpha1.ReasonAttemptLost, v1alpha1.ReasonDatabaseError
	told := func(reason string, ago time.Duration) v1alpha1.ExportRun { // by the record in a tenant's own database
		run := failedFor(reason, ago)
		run.Status.Recovered = true
		return run
	}
	preview := failedFor(lost, time.Hour)
	preview.Spec.Type = v1alpha1.RunPreview
	for name, test := range map[string]struct {
		before []v1alpha1.ExportRun
		wait   time.Duration
		alone  bool
	}{
		"after one that was lost just now it waits":       {[]v1alpha1.ExportRun{failedFor(refused, time.Hour), failedFor(lost, 0)}, 80 * time.Second, true},
		"after two it waits longer":                       {[]v1alpha1.ExportRun{failedFor(lost, 2*time.Minute), failedFor(lost, time.Minute)}, 160*time.Second - time.Minute, true},
		"after one that was lost a while ago it begins":   {[]v1alpha1.ExportRun{failedFor(lost, time.Hour)}, 0, true},
		"after one that failed otherwise it begins":       {[]v1alpha1.ExportRun{failedFor(lost, time.Minute), failedFor(refused, 0)}, 0, false},
		"after one that a database says was lost":         {[]v1alpha1.ExportRun{told(lost, time.Hour)}, 0, false},
		"one that a database says failed changes nothing": {[]v1alpha1.ExportRun{failedFor(lost, time.Hour), told(refused, 0)}, 0, true},
		"after a preview that was lost":                   {[]v1alpha1.ExportRun{preview}, 0, true},
		"the first run begins":                            {nil, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := &v1alpha1.ExportRun{}
			in := Inputs{Run: run, Export: exportWithRetries(3), Turn: turnOf(run, test.before), Kept: true, Now: noon}
			if suspected := Decide(in).Step == Suspect; suspected != test.alone {
				t.Fatalf("it runs alone: %t; want %t", suspected, test.alone)
			}
			if !test.alone {
				return
			}
			run.Status.LostAttempts = suspectAfter
			if next := Decide(in); next.Wait != test.wait || (next.Step == AwaitSuspect) != (test.wait > 0) {
				t.Errorf("it waits for %s (%s), want %s", next.Wait, next.Step, test.wait)
			}
			begin(run, "a process that ends", origin{}, noon)
			lose(run, exportWithRetries(3), noon)
			if run.Status.Phase != v1alpha1.RunReleasing {
				t.Errorf("after it was lost once it is %s, want that it gives its claims back", run.Status.Phase)
			}
		})
	}
}

func TestTurnOfARun(t *testing.T) {
	t.Parallel()
	run := func(name string, phase v1alpha1.RunPhase, kind v1alpha1.RunType) v1alpha1.ExportRun {
		return v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Spec: v1alpha1.ExportRunSpec{Type: kind}, Status: v1alpha1.ExportRunStatus{Phase: phase}}
	}
	runs := []v1alpha1.ExportRun{
		run("e", "", v1alpha1.RunExport), run("c", v1alpha1.RunPending, v1alpha1.RunExport), run("b", v1alpha1.RunRunning, v1alpha1.RunExport),
		run("a", v1alpha1.RunRunning, v1alpha1.RunPreview), run("d", "", v1alpha1.RunReversal),
	}
	for name, want := range map[string]struct {
		next               string
		before, unfinished int
	}{"a": {"", 0, 0}, "b": {"", 0, 1}, "c": {"b", 1, 2}, "d": {"b", 2, 3}, "e": {"b", 3, 4}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			of := run(name, "", v1alpha1.RunExport)
			got := turnOf(&of, runs)
			next := ""
			if got.next != nil {
				next = got.next.Name
			}
			if next != want.next || got.before != want.before || got.unfinished != want.unfinished {
				t.Errorf("it waits for %q, %d are before it and %d unfinished; want %+v", next, got.before, got.unfinished, want)
			}
		})
	}
	if next := nextOf(runs); next == nil || next.Name != "b" {
		t.Errorf("it is the turn of %v, want b", next)
	}
}

// TestARunThatHasBegunDoesNotWaitForItsTurn: an older run that waited for the voucher series asks for it again, and is before the
// newer one then, whose attempt is under way.
func TestARunThatHasBegunDoesNotWaitForItsTurn(t *testing.T) {
	t.Parallel()
	older := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Name: "older"}, Status: running(2, 0, "")}
	for phase, waits := range map[v1alpha1.RunPhase]bool{
		"": true, v1alpha1.RunPending: true, v1alpha1.RunRetrying: true, v1alpha1.RunRunning: false, v1alpha1.RunReleasing: false,
	} {
		t.Run("one that is "+cmp.Or(string(phase), "new"), func(t *testing.T) {
			t.Parallel()
			run := &v1alpha1.ExportRun{Status: v1alpha1.ExportRunStatus{Phase: phase}}
			next := Decide(Inputs{Run: run, Export: exportWithRetries(3), Turn: turn{next: older, before: 1}, Kept: true, Now: noon})
			if (next.Step == AwaitTurn) != waits || (next.Wait > 0) != waits {
				t.Errorf("it waits for %s (%s)", next.Wait, next.Step)
			}
		})
	}
}

func waiting() v1alpha1.ExportRunStatus {
	run := &v1alpha1.ExportRun{Status: running(1, 0, "")}
	describeProgress(run, executor.State{Phase: executor.Queued})
	return run.Status
}

func TestQueuedRunTellsHowManyAreBeforeIt(t *testing.T) {
	t.Parallel()
	run := &v1alpha1.ExportRun{Status: running(1, 0, "")}
	describeProgress(run, executor.State{Phase: executor.Queued, Before: 12})
	if told := readyCondition(run); told.Reason != v1alpha1.ReasonQueued || told.Message != "waits for a free place among the operator's --max-concurrent-runs; 12 runs are before it" {
		t.Errorf("it says %s: %s", told.Reason, told.Message)
	}
}

// idle executes nothing any more.
type idle struct{ executor.Executor }

func (idle) Holder() string                { return "this" }
func (idle) Observe(string) executor.State { return executor.State{} }
func (idle) Stopped() <-chan struct{} {
	stopped := make(chan struct{})
	close(stopped)
	return stopped
}

// TestAProcessThatIsStoppedHasTimeForTheRunsThatItExecutes has runs beside one that is executed which wait for a place: of those a
// tenant may have hundreds, and the process has a few seconds.
func TestAProcessThatIsStoppedHasTimeForTheRunsThatItExecutes(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	run := func(name string, status v1alpha1.ExportRunStatus) *v1alpha1.ExportRun {
		status.Attempt.Holder = "this"
		return &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: types.UID(name)}, Status: status}
	}
	executed := run("z", running(1, 0, ""))
	c := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(executed).WithObjects(run("a", waiting()), run("b", waiting()), executed).Build()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&farewell{objects: c, api: c, writer: c, executor: idle{}, patience: time.Minute}).Start(over); err != nil {
		t.Fatal(err)
	}
	for name, holder := range map[string]string{"a": "this", "b": "this", "z": ""} {
		var left v1alpha1.ExportRun
		if err := c.Get(t.Context(), types.NamespacedName{Namespace: "n", Name: name}, &left); err != nil || left.Status.Attempt.Holder != holder || lost(&left, "next") {
			t.Errorf("run %s is left by %q and lost: %t (%v), want %q, false", name, left.Status.Attempt.Holder, lost(&left, "next"), err, holder)
		}
	}
}

// TestAProcessThatIsStoppedReportsARunThatIsEditedAllTheTime has somebody edit a run before each write of it but the fortieth, and another
// run beside it.
func TestAProcessThatIsStoppedReportsARunThatIsEditedAllTheTime(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	run := func(name string) *v1alpha1.ExportRun {
		status := running(1, 0, "")
		status.Attempt.Holder = "this"
		return &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: types.UID(name)}, Status: status}
	}
	conflicts := 0
	c := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(run("")).WithObjects(run("edited"), run("other")).WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, resource string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if object.GetName() == "edited" && conflicts < 40 {
				conflicts++
				return apierrors.NewConflict(schema.GroupResource{Resource: "exportruns"}, object.GetName(), errors.New("edited"))
			}
			return c.SubResource(resource).Patch(ctx, object, patch, options...)
		},
	}).Build()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&farewell{objects: c, api: c, writer: c, executor: idle{}, patience: time.Minute}).Start(over); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"edited", "other"} {
		var left v1alpha1.ExportRun
		if err := c.Get(t.Context(), types.NamespacedName{Namespace: "n", Name: name}, &left); err != nil || lost(&left, "next") {
			t.Errorf("run %s is lost (%v)", name, err)
		}
	}
}

// removing has the artifact of a run wait for the place in which it is removed.
type removing struct {
	idle
	withdrawn bool
}

func (*removing) Observe(string) executor.State {
	return executor.State{Phase: executor.Queued, Task: pipeline.Task{RemoveArtifact: true}}
}
func (r *removing) Withdraw(string)                    { r.withdrawn = true }
func (*removing) Abandon(types.NamespacedName, string) {}

// TestARemovalKeepsItsPlaceInTheQueue has a run that has ended looked at while its artifact waits to be removed: with a new place each
// time it would never have its turn where many runs wait.
func TestARemovalKeepsItsPlaceInTheQueue(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "ended", UID: "ended"}, Status: running(1, 0, "")}
	run.Status.Phase = v1alpha1.RunSucceeded
	under := &removing{}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(run).WithIndex(run, watch.ReversesIndex, func(client.Object) []string { return nil }).Build()
	r := &Reconciler{Recorder: &report.Recorder{Client: c}, Executor: under, Clock: clock.RealClock{}}
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(run)})
	if err != nil || result.RequeueAfter == 0 || under.withdrawn {
		t.Errorf("it is withdrawn: %t (%+v, %v)", under.withdrawn, result, err)
	}
}

// TestOfRunsThatHaveEndedNothingIsCopiedAtTheEndOfAProcess, which has three seconds for those that it leaves: of those that have ended a tenant has as many
// as they like.
func TestOfRunsThatHaveEndedNothingIsCopiedAtTheEndOfAProcess(t *testing.T) { //nolint:paralleltest // it counts what is allocated
	run := &v1alpha1.ExportRun{Status: v1alpha1.ExportRunStatus{
		Phase: v1alpha1.RunSucceeded, Attempts: 1, Attempt: &v1alpha1.RunAttempt{Number: 1, Holder: "this", EndedAt: &metav1.Time{Time: noon}},
	}}
	if n := testing.AllocsPerRun(100, func() { leftBy("this", run) }); n > 0 {
		t.Errorf("a run that has ended is copied: %v allocations", n)
	}
}
