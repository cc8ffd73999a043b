package executor

import (
	"context"
	"errors"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/panics"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

const (
	// progressInterval bounds how often an attempt under way is told about.
	progressInterval = 5 * time.Second
	// patience is how long after the end of its context an attempt may go on before nobody waits for it any more.
	patience = time.Minute
	// unusedFor is how long a place is kept for an attempt that nobody begins.
	unusedFor = 30 * time.Second
)

// ErrCancelled is the cause with which Cancel ends an attempt.
var ErrCancelled = errors.New("the run was cancelled")

// errAbandoned is the cause with which Abandon ends an attempt.
var errAbandoned = errors.New("the run does not exist any more")

// errLeft is the cause with which a process that is stopped leaves an attempt that others make: it goes on, and the next process follows it.
var errLeft = errors.New("the process is stopped, and the attempt goes on")

// InProcess executes attempts in goroutines of this process.
type InProcess struct {
	run    func(context.Context, pipeline.Task, *pipeline.Progress) (pipeline.Outcome, error)
	holder string
	limits Limits
	log    logr.Logger
	events chan event.TypedGenericEvent[types.NamespacedName]

	mu       sync.Mutex
	stopping bool
	attempts map[string]*attempt
	named    map[types.NamespacedName][]*attempt // the same by their runs: of one name there may be one more, if a run was made again
	byseat   map[*seat]*attempt                  // those that wait for a place
	places   *places
	passing  *time.Timer // looks whether a place passes on; nil while none is to
	stuck    int
	overdue  atomic.Int64
	// elsewhere: attempts are made by other processes, and live on without this one. None of them can end it, so that none has to be alone,
	// and how long each may take is for that process to see to.
	elsewhere bool
	under     sync.WaitGroup
	stopped   chan struct{}
}

type attempt struct {
	seat
	// task is without the claims that the run names: attempts that wait or have ended are many.
	task      pipeline.Task
	log       logr.Logger
	progress  pipeline.Progress
	ctx       context.Context //nolint:containedctx // it is the attempt's own
	cancel    context.CancelCauseFunc
	phase     Phase
	abandoned bool
	asked     time.Time   // since when it waits for a place
	began     time.Time   // when it had a place; zero of one that never had
	unused    *time.Timer // of a place that nobody has begun yet; nil without one
	outcome   pipeline.Outcome
	err       error
}

// result is what an attempt comes back with.
type result struct {
	outcome pipeline.Outcome
	err     error
}

// NewInProcess makes an executor that runs attempts within limits; more of them wait.
func NewInProcess(p *pipeline.Pipeline, limits Limits) *InProcess {
	e := newInProcess(p.Holder, limits)
	e.run = p.Run
	return e
}

func newInProcess(holder string, limits Limits) *InProcess {
	return &InProcess{
		holder:   holder,
		limits:   limits,
		log:      log.Log.WithName("attempt"),
		events:   make(chan event.TypedGenericEvent[types.NamespacedName], 1024),
		attempts: map[string]*attempt{},
		named:    map[types.NamespacedName][]*attempt{},
		byseat:   map[*seat]*attempt{},
		places:   newPlaces(limits),
		stopped:  make(chan struct{}),
	}
}

// Events implements Executor.
func (e *InProcess) Events() <-chan event.TypedGenericEvent[types.NamespacedName] { return e.events }

// Holder implements Executor.
func (e *InProcess) Holder() string { return e.holder }

// Stuck implements Executor.
func (e *InProcess) Stuck() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stuck
}

// Overdue implements Executor.
func (e *InProcess) Overdue() int { return int(e.overdue.Load()) }

// Start implements manager.Runnable: it waits for the process to be asked to stop, then cancels all attempts and waits
// for them. They leave nothing half done, and the next reconcile goes on with them.
func (e *InProcess) Start(ctx context.Context) error {
	<-ctx.Done()
	e.mu.Lock()
	e.stopping = true
	if e.elsewhere {
		for _, a := range e.attempts {
			a.cancel(errLeft)
		}
		e.mu.Unlock()
		close(e.stopped)
		return nil
	}
	for _, a := range e.attempts {
		e.cancelAttempt(a, failure.Transient(v1alpha1.ReasonInterrupted, nil, "the operator was stopped; the run is resumed by the next one"))
	}
	e.mu.Unlock()
	e.under.Wait()
	close(e.stopped)
	return nil
}

// Stopped implements Executor.
func (e *InProcess) Stopped() <-chan struct{} { return e.stopped }

// Ensure implements Executor.
func (e *InProcess) Ensure(task pipeline.Task) State {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ask(task)
	if a := e.attempts[task.RunID]; a != nil && a.phase == Admitted {
		a.phase = Running
		a.unused.Stop()
		e.under.Go(func() { e.execute(a, task) })
	}
	return e.state(task.RunID)
}

// ask has an attempt wait for a place, unless there is one of this run.
func (e *InProcess) ask(task pipeline.Task) {
	if e.attempts[task.RunID] != nil || e.stopping {
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	a := &attempt{
		task: task.WithoutClaims(), log: about(e.log, task), ctx: ctx, cancel: cancel, phase: Queued, asked: time.Now(),
		seat: seat{namespace: task.Namespace, longest: task.Longest(), alone: task.Alone && !e.elsewhere},
	}
	e.attempts[task.RunID] = a
	e.named[a.run()] = append(e.named[a.run()], a)
	e.byseat[&a.seat] = a
	e.places.add(&a.seat, a.asked)
	e.fill(a)
}

// Reserve implements Executor. An attempt that was asked for before it changed has to wait again.
func (e *InProcess) Reserve(task pipeline.Task) State {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.attempts[task.RunID]; a != nil && (a.task.Number != task.Number || a.task.Release != task.Release || a.task.Alone != task.Alone) {
		e.withdraw(a)
	}
	e.ask(task)
	return e.state(task.RunID)
}

// Withdraw implements Executor.
func (e *InProcess) Withdraw(runID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.attempts[runID]; a != nil {
		e.withdraw(a)
	}
}

// withdraw forgets an attempt that has not begun.
func (e *InProcess) withdraw(a *attempt) {
	switch a.phase {
	case Queued:
		e.places.withdraw(&a.seat)
		delete(e.byseat, &a.seat)
	case Admitted:
		a.unused.Stop()
		e.places.release(&a.seat)
	default:
		return
	}
	a.cancel(nil)
	e.drop(a)
	e.fill(nil)
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
		e.cancelAttempt(a, failure.Stalled(v1alpha1.ReasonCancelled, ErrCancelled, "the run was cancelled"))
	}
}

// Forget implements Executor.
func (e *InProcess) Forget(runID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.attempts[runID]; a != nil && a.phase == Ended {
		e.drop(a)
	}
}

// Abandon implements Executor.
func (e *InProcess) Abandon(run types.NamespacedName, but string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range slices.Clone(e.named[run]) {
		if a.task.RunID == but {
			continue
		}
		a.abandoned = true
		e.cancelAttempt(a, errAbandoned)
		if a.phase == Ended {
			e.drop(a)
		}
	}
}

// drop forgets an attempt. It is not told of any more.
func (e *InProcess) drop(a *attempt) {
	if e.attempts[a.task.RunID] != a {
		return
	}
	delete(e.attempts, a.task.RunID)
	others := slices.DeleteFunc(e.named[a.run()], func(other *attempt) bool { return other == a })
	if e.named[a.run()] = others; len(others) == 0 {
		delete(e.named, a.run())
	}
}

func (e *InProcess) state(runID string) State {
	a := e.attempts[runID]
	if a == nil {
		return State{}
	}
	s := State{Phase: a.phase, Task: a.task}
	switch a.phase {
	case Ended:
		s.Stage, s.Claims, s.Outcome, s.Err = a.outcome.Stage, a.progress.Claims(), a.outcome, a.err
	case Queued:
		s.Stage, s.Before, s.Waited = v1alpha1.StagePreflight, e.places.before(&a.seat), time.Since(a.asked)
	default:
		s.Stage, s.Claims, s.Total, s.Waits = a.progress.Stage(), a.progress.Claims(), a.progress.Total(), a.progress.Waits()
	}
	return s
}

// cancelAttempt ends an attempt; one that has not begun ends at once.
func (e *InProcess) cancelAttempt(a *attempt, cause error) {
	a.cancel(cause)
	switch a.phase {
	case Queued:
		e.places.withdraw(&a.seat)
		delete(e.byseat, &a.seat)
	case Admitted:
		e.places.release(&a.seat)
	default:
		return
	}
	e.end(a, result{pipeline.Outcome{Stage: v1alpha1.StagePreflight}, a.ctx.Err()})
	e.fill(nil)
}

// fill gives free places to those whose turn it is, and tells them, but for one that is asked for just now.
func (e *InProcess) fill(asked *attempt) {
	for !e.stopping {
		next := e.places.next(time.Now())
		if next == nil {
			e.passOn()
			return
		}
		a := e.byseat[next]
		delete(e.byseat, next)
		a.phase = Admitted
		a.unused = time.AfterFunc(unusedFor, func() { e.takeBack(a) })
		if a != asked {
			e.under.Go(func() { e.tellAdmitted(a) })
		}
	}
}

// takeBack gives the place of an attempt that nobody has begun to others, whatever keeps its run from being looked at. It is asked for again
// when the run is.
func (e *InProcess) takeBack(a *attempt) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.attempts[a.task.RunID] == a && a.phase == Admitted {
		a.log.Info("the attempt has not used its place, which goes to others", "seconds", unusedFor.Seconds())
		e.withdraw(a)
	}
}

// tellAdmitted tells of an attempt that has a place, and waits until somebody listens: nothing else would begin it.
func (e *InProcess) tellAdmitted(a *attempt) {
	select {
	case e.events <- a.event():
	case <-a.ctx.Done():
	}
}

// execute runs an attempt that has a place, tells about it, and gives the place back.
func (e *InProcess) execute(a *attempt, task pipeline.Task) {
	defer a.cancel(nil)
	a.logBegin()
	ctx, cancel := context.WithCancel(logr.NewContext(a.ctx, a.log))
	if !e.elsewhere {
		ctx, cancel = context.WithTimeout(ctx, a.longest)
	}
	defer cancel()
	done, returned := make(chan result, 1), make(chan struct{})
	go pprof.Do(ctx, pprof.Labels(attemptLabel, a.label()), func(ctx context.Context) {
		defer close(returned)
		done <- e.attempt(ctx, a, task)
	})
	go e.watch(ctx, a, returned)
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	over := ctx.Done()
	var overdue <-chan time.Time
	for {
		select {
		case r := <-done:
			if !errors.Is(context.Cause(ctx), errLeft) {
				e.finish(a, r)
			}
			return
		case <-ticker.C:
			e.tell(a)
		case <-over:
			over, overdue = nil, time.After(patience)
		case <-overdue:
			if e.giveUp(a, done) {
				return
			}
		}
	}
}

// giveUp waits no longer for an attempt that goes on after its end. Its place goes to others, once for each place that there
// is: more of such attempts would use up the process.
func (e *InProcess) giveUp(a *attempt, done <-chan result) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	logger := a.log.WithValues("stage", a.progress.Stage(), "stuck", e.stuck)
	if e.stuck >= e.limits.Runs {
		logger.Info("an attempt goes on after its deadline, and keeps its place, because there are too many of them; restart the operator")
		return false
	}
	logger.Info("an attempt goes on after its deadline; its place goes to others")
	e.stuck++
	go func() {
		<-done
		e.mu.Lock()
		defer e.mu.Unlock()
		e.stuck--
	}()
	e.places.release(&a.seat)
	outcome := pipeline.Outcome{Stage: a.progress.Stage(), Record: pipeline.RecordOpen} // it may record the run yet
	e.end(a, result{outcome, failure.Transient(v1alpha1.ReasonAttemptStuck, nil,
		"the attempt went on for longer than %s after its deadline in stage %s, because the operating system or a library does not return; the next attempt takes the run over", patience, a.progress.Stage())})
	e.fill(nil)
	return true
}

// attempt runs an attempt; what panics ends no more than that.
func (e *InProcess) attempt(ctx context.Context, a *attempt, task pipeline.Task) (r result) {
	r.outcome, r.err = e.caught(ctx, a, task)
	var fault *panics.Error
	if errors.As(r.err, &fault) {
		r.outcome.Stage = a.progress.Stage()
		a.log.Error(fault, "the attempt panicked", "stage", r.outcome.Stage, "stack", string(fault.Stack))
		r.err = failure.Transient(v1alpha1.ReasonPanicked, fault, "a fault in the program ended the attempt in stage %s (%s); the operator's log has the stack", r.outcome.Stage, fault.Kind)
	}
	return r
}

func (e *InProcess) caught(ctx context.Context, a *attempt, task pipeline.Task) (outcome pipeline.Outcome, err error) {
	defer panics.Catch(&err)
	return e.run(ctx, task, &a.progress)
}

// finish gives the place of an attempt that came back to others.
func (e *InProcess) finish(a *attempt, r result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.places.release(&a.seat)
	e.end(a, r)
	e.fill(nil)
}

// end keeps how an attempt ended. The reason for which it was cancelled says more than that it was.
func (e *InProcess) end(a *attempt, r result) {
	if cause := context.Cause(a.ctx); r.err != nil && cause != nil {
		r.err = cause
	}
	a.outcome, a.err, a.phase = r.outcome, r.err, Ended
	a.logEnd()
	a.err = kept(r.err)
	if a.abandoned && e.attempts[a.task.RunID] == a {
		e.drop(a)
	}
	e.tell(a)
}

// kept returns of an error what a reconcile asks for: its failure, and whether the run was cancelled. What it came of may be megabytes
// that a server said, and is of no use once it is logged: hundreds of attempts that have ended wait for the next ones of their runs.
func kept(err error) error {
	if err == nil {
		return nil
	}
	failed := *failure.From(err)
	failed.Cause = nil
	if errors.Is(err, ErrCancelled) {
		failed.Cause = ErrCancelled
	}
	return &failed
}

// tell never waits: where the queue of events is full, as after the reconcilers have stopped, the reconcile that every
// run gets at its deadline finds the state.
func (e *InProcess) tell(a *attempt) {
	select {
	case e.events <- a.event():
	default:
	}
}

func (a *attempt) event() event.TypedGenericEvent[types.NamespacedName] {
	return event.TypedGenericEvent[types.NamespacedName]{Object: a.run()}
}

// run is the name of its ExportRun.
func (a *attempt) run() types.NamespacedName {
	return types.NamespacedName{Namespace: a.task.Namespace, Name: a.task.Name}
}
