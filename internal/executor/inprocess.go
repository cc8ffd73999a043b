package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// progressInterval bounds how often an attempt under way is told about.
const progressInterval = 5 * time.Second

// ErrCancelled is the cause with which Cancel ends an attempt.
var ErrCancelled = errors.New("the run was cancelled")

// InProcess executes attempts in goroutines of this process.
type InProcess struct {
	run    func(context.Context, pipeline.Task, *pipeline.Progress) (pipeline.Outcome, error)
	holder string
	places chan struct{}
	tick   time.Duration
	events chan event.TypedGenericEvent[types.NamespacedName]

	mu       sync.Mutex
	stopping bool
	attempts map[string]*attempt
	under    sync.WaitGroup
}

type attempt struct {
	task     pipeline.Task
	progress pipeline.Progress
	cancel   context.CancelCauseFunc
	running  bool
	ended    bool
	outcome  pipeline.Outcome
	err      error
}

// NewInProcess makes an executor that runs at most a number of attempts at a time; more of them wait.
func NewInProcess(p *pipeline.Pipeline, maxConcurrent int) *InProcess {
	return &InProcess{
		run:      p.Run,
		holder:   p.Holder,
		places:   make(chan struct{}, maxConcurrent),
		tick:     progressInterval,
		events:   make(chan event.TypedGenericEvent[types.NamespacedName], 1024),
		attempts: map[string]*attempt{},
	}
}

// Events implements Executor.
func (e *InProcess) Events() <-chan event.TypedGenericEvent[types.NamespacedName] { return e.events }

// Holder implements Executor.
func (e *InProcess) Holder() string { return e.holder }

// Start implements manager.Runnable: it waits for the process to be asked to stop, then cancels all attempts and waits
// for them. They leave nothing half done, and whoever reconciles next goes on with them.
func (e *InProcess) Start(ctx context.Context) error {
	<-ctx.Done()
	e.mu.Lock()
	e.stopping = true
	for _, a := range e.attempts {
		a.cancel(failure.Transient(v1alpha1.ReasonInterrupted, nil, "the operator was stopped; the run is resumed by the next one"))
	}
	e.mu.Unlock()
	e.under.Wait()
	return nil
}

// Ensure implements Executor.
func (e *InProcess) Ensure(task pipeline.Task) State {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.attempts[task.RunID] == nil && !e.stopping {
		ctx, cancel := context.WithCancelCause(context.Background())
		a := &attempt{task: task, cancel: cancel}
		select {
		case e.places <- struct{}{}:
			a.running = true
		default: // execute waits for a place
		}
		e.attempts[task.RunID] = a
		e.under.Go(func() { e.execute(ctx, a) })
	}
	return e.state(task.RunID)
}

// Observe implements Executor.
func (e *InProcess) Observe(runID string) State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state(runID)
}

// Cancel implements Executor.
func (e *InProcess) Cancel(runID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.attempts[runID]; a != nil {
		a.cancel(failure.Stalled(v1alpha1.ReasonCancelled, ErrCancelled, "the run was cancelled"))
	}
}

// Forget implements Executor.
func (e *InProcess) Forget(runID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.attempts[runID]; a != nil && a.ended {
		delete(e.attempts, runID)
	}
}

func (e *InProcess) state(runID string) State {
	a := e.attempts[runID]
	switch {
	case a == nil:
		return State{}
	case a.ended:
		return State{Phase: Ended, Task: a.task, Stage: a.outcome.Stage, Claims: a.progress.Claims(), Outcome: a.outcome, Err: a.err}
	case a.running:
		return State{Phase: Running, Task: a.task, Stage: a.progress.Stage(), Claims: a.progress.Claims(), Total: a.progress.Total()}
	}
	return State{Phase: Queued, Task: a.task, Stage: v1alpha1.StagePreflight}
}

// execute runs the attempt as soon as there is a place for it, and tells about it.
func (e *InProcess) execute(ctx context.Context, a *attempt) {
	defer a.cancel(nil)
	if !e.waitForPlace(ctx, a) {
		e.end(ctx, a, pipeline.Outcome{Stage: v1alpha1.StagePreflight}, ctx.Err())
		return
	}
	defer func() { <-e.places }()
	stop := e.tellProgress(a)
	outcome, err := e.attempt(ctx, a)
	stop()
	e.end(ctx, a, outcome, err)
}

// waitForPlace waits until the attempt may run, or says that it was cancelled before.
func (e *InProcess) waitForPlace(ctx context.Context, a *attempt) bool {
	e.mu.Lock()
	running := a.running
	e.mu.Unlock()
	if running {
		return true
	}
	select {
	case e.places <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	e.mu.Lock()
	a.running = true
	e.mu.Unlock()
	e.tell(a)
	return true
}

// attempt turns a panic of an exporter into the failure of its run.
func (e *InProcess) attempt(ctx context.Context, a *attempt) (outcome pipeline.Outcome, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			outcome.Stage = a.progress.Stage()
			err = fmt.Errorf("panic in stage %s: %T", outcome.Stage, panicked)
		}
	}()
	return e.run(ctx, a.task, &a.progress)
}

// end keeps how the attempt ended. The reason for which it was cancelled says more than that it was.
func (e *InProcess) end(ctx context.Context, a *attempt, outcome pipeline.Outcome, err error) {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	e.mu.Lock()
	a.outcome, a.err, a.ended = outcome, err, true
	e.mu.Unlock()
	e.tell(a)
}

func (e *InProcess) tellProgress(a *attempt) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	e.under.Go(func() {
		ticker := time.NewTicker(e.tick)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				e.tell(a)
			case <-ctx.Done():
				return
			}
		}
	})
	return cancel
}

// tell never waits: where the queue of events is full, as after the reconcilers have stopped, the reconcile that every
// run gets at its deadline finds the state.
func (e *InProcess) tell(a *attempt) {
	run := types.NamespacedName{Namespace: a.task.Namespace, Name: a.task.Name}
	select {
	case e.events <- event.TypedGenericEvent[types.NamespacedName]{Object: run}:
	default:
	}
}
