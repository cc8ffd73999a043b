package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/footprint"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/texts"
)

// attempts lets a test decide when attempts begin and end.
type attempts struct {
	began chan string
	end   chan error
}

func newExecutor(places int) (*InProcess, attempts) {
	under := attempts{began: make(chan string, 10), end: make(chan error)}
	e := NewInProcess(&pipeline.Pipeline{Holder: "test"}, Limits{Runs: places, RunsPerNamespace: places})
	e.run = func(ctx context.Context, task pipeline.Task, _ *pipeline.Progress) (pipeline.Outcome, error) {
		under.began <- task.RunID
		select {
		case err := <-under.end:
			return pipeline.Outcome{Stage: v1alpha1.StageCommit, Committed: err == nil}, err
		case <-ctx.Done():
			return pipeline.Outcome{Stage: v1alpha1.StageRender}, ctx.Err()
		}
	}
	return e, under
}

// TestToLookWhetherARunIsAnotherTakesNoLongerTheMoreWait: it is done for each run that is new, of everybody, while no other attempt can begin or end.
func TestToLookWhetherARunIsAnotherTakesNoLongerTheMoreWait(t *testing.T) {
	t.Parallel()
	look := func(many int) time.Duration {
		e, _ := newExecutor(1)
		for i := range many {
			e.Reserve(pipeline.Task{RunID: fmt.Sprint("uid-", i), Namespace: "hog", Name: fmt.Sprint("run-", i), Number: 1})
		}
		began := time.Now()
		for i := range 2000 {
			e.Abandon(types.NamespacedName{Namespace: "other", Name: fmt.Sprint("run-", i)}, "new")
		}
		took := time.Since(began)
		e.Abandon(types.NamespacedName{Namespace: "hog", Name: "run-7"}, "uid-7")
		if state := e.Observe("uid-7"); state.Phase != Queued {
			t.Errorf("the attempt of the run itself is %+v", state)
		}
		e.Abandon(types.NamespacedName{Namespace: "hog", Name: "run-7"}, "new")
		if state := e.Observe("uid-7"); state.Phase.UnderWay() {
			t.Errorf("the attempt of a run that was made again is %+v", state)
		}
		return took
	}
	few := look(100)
	if many := look(20_000); many > 20*few+200*time.Millisecond {
		t.Errorf("2,000 looks take %s beside 20,000 attempts, and %s beside 100", many, few)
	}
}

func TestARunHasOneAttemptUntilItsEndIsForgotten(t *testing.T) {
	t.Parallel()
	e, under := newExecutor(2)
	first := e.Ensure(pipeline.Task{RunID: "a", Number: 1})
	if first.Phase != Running || e.Holder() != "test" {
		t.Fatalf("state %+v, want running at once", first)
	}
	<-under.began
	if again := e.Ensure(pipeline.Task{RunID: "a", Number: 2}); again.Task.Number != 1 {
		t.Errorf("a second attempt began: %+v", again)
	}
	under.end <- nil
	if ended := waitForEnd(t, e, "a"); ended.Phase != Ended || !ended.Outcome.Committed || ended.Err != nil {
		t.Errorf("state %+v, want ended and committed", ended)
	}
	if again := e.Ensure(pipeline.Task{RunID: "a", Number: 2}); again.Phase != Ended {
		t.Errorf("an attempt began before the end of the first was forgotten: %+v", again)
	}
	e.Forget("a")
	if again := e.Ensure(pipeline.Task{RunID: "a", Number: 2}); again.Task.Number != 2 {
		t.Errorf("no attempt began after the first was forgotten: %+v", again)
	}
	<-under.began
	under.end <- nil
}

func TestMoreAttemptsThanPlacesWait(t *testing.T) {
	t.Parallel()
	e, under := newExecutor(1)
	e.Ensure(pipeline.Task{RunID: "a"})
	<-under.began
	if waiting := e.Ensure(pipeline.Task{RunID: "b"}); waiting.Phase != Queued {
		t.Fatalf("state %+v, want queued", waiting)
	}
	under.end <- nil
	if early := e.Observe("b"); early.Phase == Running {
		t.Errorf("state %+v, want that it begins when it is asked for again", early)
	}
	admit(t, e, "b")
	if next := <-under.began; next != "b" {
		t.Errorf("%s began, want b", next)
	}
	under.end <- nil
}

// TestAPlaceThatNobodyUsesGoesToOthers has a run that is never looked at again.
func TestAPlaceThatNobodyUsesGoesToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, _ := newExecutor(1)
		if first := e.Reserve(pipeline.Task{RunID: "a"}); first.Phase != Admitted {
			t.Fatalf("the first is %+v", first)
		}
		e.Reserve(pipeline.Task{RunID: "b"})
		<-time.After(unusedFor - time.Second)
		synctest.Wait()
		if e.Observe("a").Phase != Admitted || e.Observe("b").Phase != Queued {
			t.Errorf("before that they are %+v and %+v", e.Observe("a"), e.Observe("b"))
		}
		<-time.After(time.Second)
		synctest.Wait()
		if e.Observe("a").Phase != Unknown || e.Observe("b").Phase != Admitted {
			t.Errorf("then they are %+v and %+v", e.Observe("a"), e.Observe("b"))
		}
		<-e.Events()
		e.Withdraw("b")
	})
}

func TestAPlaceIsReservedBeforeAnAttemptBegins(t *testing.T) {
	t.Parallel()
	e, under := newExecutor(1)
	task := func(run string, number int32) pipeline.Task { return pipeline.Task{RunID: run, Number: number} }
	if first := e.Reserve(task("a", 1)); first.Phase != Admitted {
		t.Fatalf("state %+v, want a place", first)
	}
	if second := e.Reserve(task("b", 1)); second.Phase != Queued || second.Before != 0 {
		t.Fatalf("state %+v, want queued", second)
	}
	if again := e.Reserve(task("a", 2)); again.Phase != Queued || again.Task.Number != 2 { // it is another attempt now
		t.Errorf("state %+v, want that the next attempt waits behind the other run", again)
	}
	if next := e.Observe("b"); next.Phase != Admitted {
		t.Errorf("state %+v, want the place that was given back", next)
	}
	e.Withdraw("b")
	e.Withdraw("nobody's")
	if next := e.Observe("b"); next.Phase != Unknown {
		t.Errorf("state %+v, want nothing", next)
	}
	if begun := e.Ensure(task("a", 2)); begun.Phase != Running {
		t.Errorf("state %+v, want that it runs", begun)
	}
	<-under.began
	e.Withdraw("a")
	if begun := e.Observe("a"); begun.Phase != Running {
		t.Errorf("state %+v, want that an attempt under way goes on", begun)
	}
	under.end <- nil
}

func TestTheClaimsThatARunNamesAreKeptWhileItIsExecutedAlone(t *testing.T) {
	t.Parallel()
	e, _ := newExecutor(1)
	given, end := make(chan []string, 2), make(chan error)
	e.run = func(_ context.Context, task pipeline.Task, _ *pipeline.Progress) (pipeline.Outcome, error) {
		given <- task.Claims
		return pipeline.Outcome{}, <-end
	}
	for _, id := range []string{"a", "b"} {
		task := pipeline.Task{RunID: id, Claims: []string{id}}
		if state := e.Ensure(task); state.Task.Claims != nil {
			t.Errorf("%s has %v in the state %v", id, state.Task.Claims, state.Phase)
		}
	}
	if claims := <-given; !slices.Equal(claims, []string{"a"}) {
		t.Errorf("a is executed with %v", claims)
	}
	end <- nil
	if ended := waitForEnd(t, e, "a"); ended.Task.Claims != nil {
		t.Errorf("a has ended, and has %v", ended.Task.Claims)
	}
	for e.Observe("b").Phase != Running {
		<-e.Events()
		e.Ensure(pipeline.Task{RunID: "b", Claims: []string{"b"}})
	}
	if claims := <-given; !slices.Equal(claims, []string{"b"}) {
		t.Errorf("b is executed with %v", claims)
	}
	end <- nil
}

func TestCancelEndsAnAttemptThatRunsAndOneThatWaits(t *testing.T) {
	t.Parallel()
	e, under := newExecutor(1)
	e.Ensure(pipeline.Task{RunID: "running"})
	<-under.began
	e.Ensure(pipeline.Task{RunID: "waiting"})
	for _, run := range []string{"waiting", "running"} {
		e.Cancel(run)
		ended := waitForEnd(t, e, run)
		if !errors.Is(ended.Err, ErrCancelled) || failure.From(ended.Err).Reason != v1alpha1.ReasonCancelled {
			t.Errorf("%s ended with %v, want that it was cancelled", run, ended.Err)
		}
	}
}

func TestStoppingInterruptsAttemptsAndBeginsNoMore(t *testing.T) {
	t.Parallel()
	e, under := newExecutor(1)
	e.Ensure(pipeline.Task{RunID: "a"})
	<-under.began
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Start(stopped); err != nil {
		t.Fatal(err)
	}
	if ended := e.Observe("a"); ended.Phase != Ended || failure.From(ended.Err).Reason != v1alpha1.ReasonInterrupted {
		t.Errorf("state %+v, want interrupted", ended)
	}
	if late := e.Ensure(pipeline.Task{RunID: "b"}); late.Phase != Unknown {
		t.Errorf("an attempt began after the stop: %+v", late)
	}
}

func TestAPanicIsAFailureOfItsRunAlone(t *testing.T) {
	t.Parallel()
	e, _ := newExecutor(1)
	var written bytes.Buffer // read after the end of the attempt, which is its last line
	e.log = logr.FromSlogHandler(slog.NewTextHandler(&written, nil))
	e.run = func(context.Context, pipeline.Task, *pipeline.Progress) (pipeline.Outcome, error) {
		panic("an exporter with a bug, and with an IBAN in its message")
	}
	e.Ensure(pipeline.Task{RunID: "a"})
	failed := failure.From(waitForEnd(t, e, "a").Err)
	if failed.Reason != v1alpha1.ReasonPanicked || failed.Stalled || strings.Contains(failed.Message, "IBAN") {
		t.Errorf("ended with %+v, want that it panicked, without what it said", failed)
	}
	if !bytes.Contains(written.Bytes(), []byte("inprocess_test.go")) || bytes.Contains(written.Bytes(), []byte("IBAN")) {
		t.Errorf("the log is %s, want the panic's stack in it", written.Bytes())
	}
}

// TestAnAttemptThatHasEndedKeepsNothingThatAServerSaid has errors as they come of servers, with megabytes in them.
func TestAnAttemptThatHasEndedKeepsNothingThatAServerSaid(t *testing.T) {
	t.Parallel()
	said := errors.New(strings.Repeat("x", 2<<20))
	for name, test := range map[string]struct {
		err       error
		reason    v1alpha1.Reason
		condition string
		stalled   bool
	}{
		"a failure":                 {failure.OnDestination.Stalled(v1alpha1.ReasonNotWritable, said, "it refuses"), v1alpha1.ReasonNotWritable, v1alpha1.ConditionDestinationReady, true},
		"a failure in another":      {failure.Transient(v1alpha1.ReasonInterrupted, failure.Transient(v1alpha1.ReasonNotWritable, said, "it refuses"), "again"), v1alpha1.ReasonInterrupted, "", false},
		"a failure beside an error": {errors.Join(said, failure.Transient(v1alpha1.ReasonNotWritable, nil, "it refuses")), v1alpha1.ReasonNotWritable, "", false},
		"an error of none":          {fmt.Errorf("in stage Deliver: %w", said), v1alpha1.ReasonInternal, "", false},
		"a cancellation": {
			failure.Stalled(v1alpha1.ReasonCancelled, errors.Join(said, ErrCancelled), "the run was cancelled"), v1alpha1.ReasonCancelled, "", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, _ := newExecutor(1)
			e.run = func(context.Context, pipeline.Task, *pipeline.Progress) (pipeline.Outcome, error) {
				return pipeline.Outcome{}, test.err
			}
			e.Ensure(pipeline.Task{RunID: "a"})
			ended := waitForEnd(t, e, "a")
			if kept := footprint.Of(ended, e.attempts["a"].err); kept > 2*texts.Message {
				t.Errorf("it keeps %d bytes", kept)
			}
			if failed := failure.From(ended.Err); failed.Reason != test.reason || failed.Condition != test.condition || failed.Stalled != test.stalled || failed.Message == "" {
				t.Errorf("it has ended with %+v", failed)
			}
			if errors.Is(ended.Err, ErrCancelled) != (test.reason == v1alpha1.ReasonCancelled) {
				t.Errorf("%v: it was cancelled: %t", ended.Err, errors.Is(ended.Err, ErrCancelled))
			}
		})
	}
}

func TestProgressIsToldAtABoundedRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, under := newExecutor(1)
		e.Ensure(pipeline.Task{Name: "a", RunID: "a", Deadline: time.Hour})
		<-under.began
		began := time.Now()
		for told := 1; told <= 5; told++ {
			<-e.Events()
			if passed := time.Since(began); passed != time.Duration(told)*progressInterval {
				t.Fatalf("event %d came after %s, want one each %s", told, passed, progressInterval)
			}
		}
		under.end <- nil
		waitForEnd(t, e, "a")
	})
}

func TestNamespacesTakeTurns(t *testing.T) {
	t.Parallel()
	e, under := newExecutor(1)
	for _, run := range []string{"hog/1", "hog/2", "hog/3", "other/1"} {
		namespace, _, _ := strings.Cut(run, "/")
		e.Ensure(pipeline.Task{RunID: run, Namespace: namespace})
	}
	for run, before := range map[string]int{"hog/2": 0, "other/1": 1, "hog/3": 2} {
		if state := e.Observe(run); state.Phase != Queued || state.Before != before {
			t.Errorf("%s is %+v, want that it waits for %d others", run, state, before)
		}
	}
	var order []string
	for range 3 {
		order = append(order, <-under.began)
		under.end <- nil
		admit(t, e, "hog/2", "hog/3", "other/1")
	}
	order = append(order, <-under.began)
	under.end <- nil
	if want := []string{"hog/1", "hog/2", "other/1", "hog/3"}; !slices.Equal(order, want) {
		t.Errorf("they ran in the order %v, want %v", order, want)
	}
}

func TestANamespaceLeavesPlacesToOthers(t *testing.T) {
	t.Parallel()
	e, under := newExecutor(4)
	e.places = newPlaces(Limits{Runs: 4})
	for _, run := range []string{"1", "2", "3", "4"} {
		e.Ensure(pipeline.Task{RunID: run, Namespace: "hog", Deadline: 24 * time.Hour})
	}
	if third := e.Observe("3"); third.Phase != Queued {
		t.Errorf("a third attempt of the namespace is %+v, want that it waits", third)
	}
	if other := e.Ensure(pipeline.Task{RunID: "other", Namespace: "other"}); other.Phase != Running {
		t.Errorf("the attempt of another namespace is %+v, want that it runs", other)
	}
	for range 3 { // two of the first, and the other
		<-under.began
	}
	for range 3 {
		under.end <- nil
	}
	for range 2 {
		admit(t, e, "3", "4")
		<-under.began
		under.end <- nil
	}
}

// TestNamespacesThatKeepAllPlacesMakeRoom has two of them do so, with attempts that hang.
func TestNamespacesThatKeepAllPlacesMakeRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, under := newExecutor(4)
		e.places = newPlaces(Limits{Runs: 4})
		for _, run := range []string{"a/1", "b/1", "a/2", "b/2", "a/3"} {
			namespace, _, _ := strings.Cut(run, "/")
			e.Ensure(pipeline.Task{RunID: run, Namespace: namespace, Deadline: time.Hour})
			<-time.After(time.Second)
		}
		<-time.After(10 * time.Minute)
		if state := e.Observe("b/2"); state.Phase != Running {
			t.Errorf("while nobody else waits the last one is %+v", state)
		}
		began := time.Now()
		e.Ensure(pipeline.Task{RunID: "other", Namespace: "other"})
		admit(t, e, "other")
		if waited := time.Since(began); waited != passesOnOfSeveral {
			t.Errorf("the other one waited for %s, want %s", waited, passesOnOfSeveral)
		}
		if last := e.Observe("b/2"); last.Phase != Ended || failure.From(last.Err).Reason != v1alpha1.ReasonPlacePassedOn {
			t.Errorf("the last one is %+v, want that it has made room", last)
		}
		for _, run := range []string{"a/1", "b/1", "a/2"} {
			if state := e.Observe(run); state.Phase != Running {
				t.Errorf("%s is %+v, want that it goes on", run, state)
			}
		}
		for range 5 {
			<-under.began
		}
		for range 4 {
			under.end <- nil
		}
		admit(t, e, "a/3")
		<-under.began
		under.end <- nil
	})
}

// TestAttemptsThatHangMakeRoomForOneThatRunsAlone has everybody wait for that no longer than it may take itself.
func TestAttemptsThatHangMakeRoomForOneThatRunsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, under := newExecutor(4)
		for _, run := range []string{"1", "2", "3"} {
			e.Ensure(pipeline.Task{RunID: run, Namespace: run, Deadline: time.Hour})
			<-under.began
		}
		began := time.Now()
		e.Ensure(pipeline.Task{RunID: "alone", Namespace: "suspect", Deadline: 5 * time.Minute, Alone: true})
		e.Ensure(pipeline.Task{RunID: "other", Namespace: "other", Deadline: 30 * time.Minute})
		admit(t, e, "alone")
		if waited := time.Since(began); waited != passesOn {
			t.Errorf("it waited for %s, want %s", waited, passesOn)
		}
		<-under.began
		for _, run := range []string{"1", "2", "3"} {
			if state := e.Observe(run); failure.From(state.Err).Reason != v1alpha1.ReasonPlacePassedOn {
				t.Errorf("%s is %+v, want that it has made room", run, state)
			}
		}
		if state := e.Observe("other"); state.Phase != Queued {
			t.Errorf("beside it the other one is %+v", state)
		}
		under.end <- nil
		admit(t, e, "other")
		<-under.began
		under.end <- nil
	})
}

func TestAnAttemptThatGoesOnAfterItsDeadlineKeepsNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, _ := newExecutor(1)
		hung := make(chan struct{})
		e.run = func(_ context.Context, task pipeline.Task, _ *pipeline.Progress) (pipeline.Outcome, error) {
			if task.Name == "hung" {
				<-hung
			}
			return pipeline.Outcome{Committed: true}, nil
		}
		e.Ensure(pipeline.Task{RunID: "a", Name: "hung", Deadline: time.Minute})
		e.Ensure(pipeline.Task{RunID: "b", Name: "next", Deadline: time.Minute})
		began := time.Now()
		if ended := untilEnd(e, "a"); failure.From(ended.Err).Reason != v1alpha1.ReasonAttemptStuck {
			t.Errorf("the attempt ended with %v, want that it is stuck", ended.Err)
		}
		if ended := e.Observe("a"); ended.Outcome.Record != pipeline.RecordOpen {
			t.Errorf("the record is %d, though the attempt may begin the run yet", ended.Outcome.Record)
		}
		if passed, most := time.Since(began), (pipeline.Task{Deadline: time.Minute}).Longest()+patience; passed != most {
			t.Errorf("it kept its place for %s, want %s", passed, most)
		}
		admit(t, e, "b")
		if next := untilEnd(e, "b"); next.Err != nil {
			t.Errorf("the next one ended with %v", next.Err)
		}
		if e.Stuck() != 1 {
			t.Errorf("%d attempts are stuck, want 1", e.Stuck())
		}
		e.Ensure(pipeline.Task{RunID: "c", Name: "hung", Deadline: time.Minute})
		e.Ensure(pipeline.Task{RunID: "d", Name: "next", Deadline: time.Minute})
		<-time.After(time.Hour)
		if last := e.Observe("d"); last.Phase != Queued {
			t.Errorf("with more stuck attempts than places the next one is %+v, want that it waits", last)
		}
		close(hung)
		admit(t, e, "d")
		if last := untilEnd(e, "d"); last.Err != nil {
			t.Errorf("it ended with %v", last.Err)
		}
		synctest.Wait()
		if e.Stuck() != 0 {
			t.Errorf("%d attempts are stuck after all came back", e.Stuck())
		}
	})
}

func TestARunThatIsGoneKeepsNoPlace(t *testing.T) {
	t.Parallel()
	e, under := newExecutor(1)
	name := types.NamespacedName{Namespace: "acme", Name: "monthly-1"}
	e.Ensure(pipeline.Task{RunID: "old", Namespace: name.Namespace, Name: name.Name})
	<-under.began
	e.Ensure(pipeline.Task{RunID: "waits", Namespace: "acme", Name: "monthly-2"})
	e.Ensure(pipeline.Task{RunID: "new", Namespace: name.Namespace, Name: name.Name})
	e.Abandon(name, "new")
	admit(t, e, "waits")
	if next := <-under.began; next != "waits" {
		t.Fatalf("%s began, want the one that waited for the place", next)
	}
	if gone := e.Observe("old"); gone.Phase != Unknown {
		t.Errorf("the attempt of the run that is gone is %+v, want that it is forgotten", gone)
	}
	if kept := e.Observe("new"); kept.Phase != Queued {
		t.Errorf("the attempt of the run that has the name now is %+v, want that it waits", kept)
	}
	e.Abandon(name, "")
	if gone := e.Observe("new"); gone.Phase != Unknown {
		t.Errorf("one that waited is %+v, want that it is forgotten", gone)
	}
	under.end <- nil
}

// admit waits until one of the runs has a place, and begins it, as a reconciler does.
func admit(t *testing.T, e *InProcess, runs ...string) {
	t.Helper()
	patience := time.After(time.Hour) // of a bubble
	for {
		for _, run := range runs {
			if state := e.Observe(run); state.Phase == Admitted {
				e.Ensure(state.Task)
				return
			}
		}
		select {
		case <-e.Events():
		case <-patience:
			t.Fatalf("none of %v has a place", runs)
		}
	}
}

func waitForEnd(t *testing.T, e *InProcess, run string) State {
	t.Helper()
	patience := time.After(10 * time.Second)
	for {
		if state := e.Observe(run); state.Phase == Ended {
			return state
		}
		select {
		case <-e.Events():
		case <-patience:
			t.Fatalf("%s did not end: %+v", run, e.Observe(run))
		}
	}
}

// untilEnd is waitForEnd in a bubble, whose clock moves while everything waits.
func untilEnd(e *InProcess, run string) State {
	for {
		if state := e.Observe(run); state.Phase == Ended {
			return state
		}
		<-e.Events()
	}
}
