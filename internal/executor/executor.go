// Package executor runs the attempts that reconcilers ask for, outside of the reconcile loop.
package executor

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// Executor executes attempts of runs, each run at most once at a time. Reconcilers ask it for the state of a run; they
// never wait for it. It forgets everything when its process ends: what counts is in the database.
type Executor interface {
	// Holder names the process that executes attempts.
	Holder() string
	// Ensure begins an attempt, unless one of this run is under way or its end was not yet forgotten. One that had to wait for a
	// place is Admitted when it has one, and begins when Ensure is called again: what tells of it must be recorded before.
	Ensure(task pipeline.Task) State
	// Reserve has an attempt wait for a place, as Ensure does, and does not begin it: it is Queued, or Admitted and waits for Ensure.
	Reserve(task pipeline.Task) State
	// Withdraw gives back the place of an attempt that has not begun, or has it wait for none any more.
	Withdraw(runID string)
	// Observe returns the state of a run's attempt.
	Observe(runID string) State
	// Cancel ends an attempt that is under way; its end is observed like any other.
	Cancel(runID string)
	// Forget drops the end of an attempt, so that Ensure can begin another.
	Forget(runID string)
	// Abandon cancels and forgets every attempt of a run of this name, but that of one id: the others do not exist any more,
	// and nobody will ask how they ended.
	Abandon(run types.NamespacedName, but string)
	// Stopped is closed when the process was asked to stop and no attempt is under way any more.
	Stopped() <-chan struct{}
	// Stuck is the number of attempts that go on though nobody waits for them any more.
	Stuck() int
	// Overdue is the number of attempts that have not returned though their context ended a while ago, the stuck ones included.
	Overdue() int
	// Events tells which run's state changed: admitted, progressed, ended.
	Events() <-chan event.TypedGenericEvent[types.NamespacedName]
}

// Phase is where an attempt is.
type Phase int

const (
	// Unknown: there is no attempt of this run here.
	Unknown Phase = iota
	// Queued: the attempt waits for a free place.
	Queued
	// Admitted: the attempt has a place, and waits for Ensure.
	Admitted
	// Running: the attempt is under way.
	Running
	// Ended: the attempt is over; Outcome and Err say how.
	Ended
)

// UnderWay reports whether an attempt has not ended.
func (p Phase) UnderWay() bool { return p == Queued || p == Admitted || p == Running }

// State is what an executor knows of a run's attempt.
type State struct {
	Phase Phase
	// Task of the attempt.
	Task pipeline.Task
	// Stage and Claims tell the progress; Total is what Claims will come to, or 0 where nobody knows yet.
	Stage         v1alpha1.RunStage
	Claims, Total int64
	// Before is how many other attempts get a place before this one, while it is queued.
	Before int
	// Waits says what an attempt under way waits for that has not begun; empty if it has.
	Waits string
	// Waited is how long the attempt has been waiting for a place, while it is queued.
	Waited time.Duration
	// Outcome and Err are set once the attempt has ended.
	Outcome pipeline.Outcome
	Err     error
}
