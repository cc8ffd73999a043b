package executor

import (
	"context"
	"time"

	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// RunOne makes one attempt in this process, and returns how it ended. It is cancelled with the context, and has a while then.
func RunOne(ctx context.Context, p *pipeline.Pipeline, task pipeline.Task, grace time.Duration) State {
	e := NewInProcess(p, Limits{Runs: 1, RunsPerNamespace: 1})
	go func() { _ = e.Start(ctx) }() // it returns no error
	e.Ensure(task)
	var late <-chan time.Time
	done := ctx.Done()
	for {
		if state := e.Observe(task.RunID); state.Phase == Ended {
			return state
		}
		select {
		case <-e.Events():
		case <-done:
			done, late = nil, time.After(grace)
		case <-late:
			return State{Phase: Ended, Task: task, Outcome: pipeline.Outcome{Stage: e.Observe(task.RunID).Stage}, Err: context.Cause(ctx)}
		}
	}
}
