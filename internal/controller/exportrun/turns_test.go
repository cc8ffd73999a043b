package exportrun

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// TestTheEndOfARunWakesTheNextAlone: to wake all that wait each time would take a time that grows with the square of their number.
func TestTheEndOfARunWakesTheNextAlone(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	of := func(name string, phase v1alpha1.RunPhase, i int) *v1alpha1.ExportRun {
		return &v1alpha1.ExportRun{
			ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: name, UID: types.UID(name), CreationTimestamp: metav1.Time{Time: noon.Add(time.Duration(i) * time.Second)}},
			Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: "monthly"}}, Status: v1alpha1.ExportRunStatus{Phase: phase},
		}
	}
	running := of("run-0", v1alpha1.RunRunning, 0)
	ended := of("run-0", v1alpha1.RunSucceeded, 0)
	objects := []client.Object{ended}
	for i := range 20 {
		objects = append(objects, of(fmt.Sprintf("run-%d", i+1), v1alpha1.RunPending, i+1))
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithIndex(&v1alpha1.ExportRun{}, watch.ExportIndex, func(run client.Object) []string {
		return []string{run.(*v1alpha1.ExportRun).Spec.ExportRef.Name}
	}).Build()
	preview := of("run-0", v1alpha1.RunRunning, 0)
	preview.Spec.Type = v1alpha1.RunPreview
	for name, test := range map[string]struct {
		happen func(context.Context, handler.EventHandler, workqueue.TypedRateLimitingInterface[reconcile.Request])
		wakes  int
	}{
		"when it has ended": {func(ctx context.Context, to handler.EventHandler, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			to.Update(ctx, event.UpdateEvent{ObjectOld: running, ObjectNew: ended}, q)
		}, 1},
		"when it is deleted": {func(ctx context.Context, to handler.EventHandler, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			to.Delete(ctx, event.DeleteEvent{Object: running}, q)
		}, 1},
		"and nothing is woken while it goes on": {func(ctx context.Context, to handler.EventHandler, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			to.Update(ctx, event.UpdateEvent{ObjectOld: running, ObjectNew: running}, q)
		}, 0},
		"and nothing by a preview, for which none waits": {func(ctx context.Context, to handler.EventHandler, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			to.Delete(ctx, event.DeleteEvent{Object: preview}, q)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
				defer q.ShutDown()
				finder := enqueueNextRun(c)
				if err := finder.Start(t.Context(), q); err != nil {
					t.Fatal(err)
				}
				test.happen(t.Context(), finder, q)
				synctest.Wait()
				if q.Len() != test.wakes {
					t.Fatalf("%d runs are woken, want %d", q.Len(), test.wakes)
				}
				if test.wakes == 0 {
					return
				}
				if next, _ := q.Get(); next.Name != "run-1" {
					t.Errorf("%s is woken, want the first that waits", next.Name)
				}
			})
		})
	}
}

// TestARunThatWaitsForItsTurnAgainIsNotOvertaken: it had waited for the voucher series, where newer runs do not wait for it.
func TestARunThatWaitsForItsTurnAgainIsNotOvertaken(t *testing.T) {
	t.Parallel()
	older := v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Name: "older", UID: "older", CreationTimestamp: metav1.Time{Time: noon}}}
	older.Status = v1alpha1.ExportRunStatus{Phase: v1alpha1.RunRetrying, Attempts: 1, Attempt: &v1alpha1.RunAttempt{Number: 1, EndedAt: &metav1.Time{Time: noon}}, WaitsForSeries: true}
	newer := v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Name: "newer", UID: "newer", CreationTimestamp: metav1.Time{Time: noon.Add(time.Hour)}}}
	if waits := turnOf(&newer, []v1alpha1.ExportRun{older, newer}); waits.next != nil {
		t.Errorf("it waits for %s, which waits for the series", waits.next.Name)
	}
	endSeriesWait(&older, AwaitBackoff)
	if !older.Status.WaitsForSeries {
		t.Error("while it backs off it does not wait for the series")
	}
	endSeriesWait(&older, AwaitTurn)
	if waits := turnOf(&newer, []v1alpha1.ExportRun{older, newer}); waits.next == nil || waits.next.Name != "older" {
		t.Errorf("it does not wait for the older one: %+v", waits)
	}
}

// TestAnAttemptOfAnotherProcessIsNotDescribed has the attempt before it still under way here, as when another operator leads by now.
func TestAnAttemptOfAnotherProcessIsNotDescribed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		number int32
		queued bool
	}{{1, false}, {2, true}} {
		run := &v1alpha1.ExportRun{Status: v1alpha1.ExportRunStatus{Phase: v1alpha1.RunRunning, Attempts: 2, Attempt: &v1alpha1.RunAttempt{Number: 2}}}
		(&Reconciler{}).follow(run, &v1alpha1.AccountingExport{}, executor.State{Phase: executor.Queued, Task: pipeline.Task{Number: test.number}})
		if run.Status.Attempt.Queued != test.queued {
			t.Errorf("while attempt %d waits here, the status says of attempt 2 that it is queued: %t", test.number, run.Status.Attempt.Queued)
		}
	}
}

// TestARunTooManyIsToldByItsStatusAlone: there may be thousands.
func TestARunTooManyIsToldByItsStatusAlone(t *testing.T) {
	t.Parallel()
	for reason, want := range map[v1alpha1.Reason]int{v1alpha1.ReasonTooManyRuns: 0, v1alpha1.ReasonExportNotFound: 1} {
		recorder := events.NewFakeRecorder(2)
		run := &v1alpha1.ExportRun{}
		finish(run, v1alpha1.RunFailed, reason, "it does not begin", noon)
		(&Reconciler{Recorder: &report.Recorder{Events: recorder}}).tell(&v1alpha1.ExportRun{}, run)
		if got := len(recorder.Events); got != want {
			t.Errorf("for %s there are %d events, want %d", reason, got, want)
		}
	}
}

// TestOfARunThatWaitsForAPlaceNothingIsWrittenForAWhile: a thousand may be due in the same second.
func TestOfARunThatWaitsForAPlaceNothingIsWrittenForAWhile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		slot   *metav1.Time
		waited time.Duration
		told   bool
	}{
		"of a schedule, for less than a minute": {&metav1.Time{Time: noon}, ToldAfter - time.Second, false},
		"of a schedule, for a minute":           {&metav1.Time{Time: noon}, ToldAfter, true},
		"of a person, for less than a second":   {nil, time.Second / 2, false},
		"of a person, for a second":             {nil, time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := decisionInputs(here(executor.Queued, nil))
			in.Run.Generation, in.Run.Annotations, in.Run.Spec.Slot = 1, map[string]string{v1alpha1.RequestedByAnnotation: "jane"}, test.slot
			in.Attempt.Waited = test.waited
			before := in.Run.DeepCopy()
			if _, err := (&Reconciler{}).pursue(t.Context(), in, &report.Afterwards{}); err != nil {
				t.Fatal(err)
			}
			if told := !equality.Semantic.DeepEqual(before.Status, in.Run.Status); told != test.told {
				t.Errorf("written is %t, want %t: %+v", told, test.told, in.Run.Status)
			}
		})
	}
}

func TestARunThatWaitsForSomethingElseIsToldOnce(t *testing.T) {
	t.Parallel()
	recorder := events.NewFakeRecorder(3)
	r := &Reconciler{Recorder: &report.Recorder{Events: recorder}}
	run := &v1alpha1.ExportRun{Status: v1alpha1.ExportRunStatus{Phase: v1alpha1.RunRetrying}}
	for _, reason := range []v1alpha1.Reason{v1alpha1.ReasonMigrating, v1alpha1.ReasonLedgerIncomplete, v1alpha1.ReasonLedgerIncomplete} {
		before := run.DeepCopy()
		awaitReadiness(run, &metav1.Condition{Reason: reason, Message: "not yet"}, noon)
		r.tell(before, run)
	}
	if got := len(recorder.Events); got != 2 {
		t.Errorf("there are %d events, want one for each reason", got)
	}
}

func TestWhatIsLookedAtWhenAnAttemptFails(t *testing.T) {
	t.Parallel()
	on := func(condition string, reason v1alpha1.Reason) error {
		return failure.On(condition, failure.Transient(reason, nil, "why"))
	}
	for name, test := range map[string]struct {
		err                 error
		source, destination bool
	}{
		"nothing when it does not":                          {nil, false, false},
		"nothing for what neither is to blame for":          {errors.New("why"), false, false},
		"the source for what it is to blame for":            {on(v1alpha1.ConditionSourceReady, v1alpha1.ReasonDatabaseUnreachable), true, false},
		"the destination for what it is to blame for":       {on(v1alpha1.ConditionDestinationReady, v1alpha1.ReasonNotWritable), false, true},
		"neither for credentials of the export itself":      {on(v1alpha1.ConditionCredentialsReady, v1alpha1.ReasonSecretNotFound), false, false},
		"not a source that does not admit the namespace":    {on(v1alpha1.ConditionSourceReady, v1alpha1.ReasonAccessDenied), false, false},
		"not a destination that does not admit it, neither": {on(v1alpha1.ConditionDestinationReady, v1alpha1.ReasonAccessDenied), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if source, destination := concerned(test.err); source != test.source || destination != test.destination {
				t.Errorf("the source: %t, the destination: %t", source, destination)
			}
		})
	}
}
