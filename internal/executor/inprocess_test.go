package executor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// attempts lets a test decide when attempts begin and end.
type attempts struct {
	began chan string
	end   chan error
}

func newExecutor(places int) (*InProcess, attempts) {
	under := attempts{began: make(chan string, 10), end: make(chan error)}
	e := NewInProcess(&pipeline.Pipeline{Holder: "test"}, places)
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
	if next := <-under.began; next != "b" {
		t.Errorf("%s began, want b", next)
	}
	under.end <- nil
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
	e.run = func(context.Context, pipeline.Task, *pipeline.Progress) (pipeline.Outcome, error) {
		panic("an exporter with a bug, and with an IBAN in its message")
	}
	e.Ensure(pipeline.Task{RunID: "a"})
	ended := waitForEnd(t, e, "a")
	if failed := failure.From(ended.Err); failed.Reason != v1alpha1.ReasonInternal {
		t.Errorf("ended with %+v, want an internal error", failed)
	}
}

func TestProgressIsToldAtABoundedRate(t *testing.T) {
	t.Parallel()
	e, under := newExecutor(1)
	e.tick = 20 * time.Millisecond
	began := time.Now()
	e.Ensure(pipeline.Task{Name: "a", RunID: "a"})
	<-under.began
	for told := 1; told <= 5; told++ {
		select {
		case <-e.Events():
		case <-time.After(10 * time.Second):
			t.Fatal("the attempt is under way, and nothing is told of it")
		}
		if passed := time.Since(began); passed < time.Duration(told)*e.tick {
			t.Fatalf("%d events in %s, which is more than one in %s", told, passed, e.tick)
		}
	}
	under.end <- nil
	waitForEnd(t, e, "a")
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
