package executor

import (
	"time"

	"github.com/go-logr/logr"

	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// about is a logger of everything that an attempt does.
func about(log logr.Logger, task pipeline.Task) logr.Logger {
	return log.WithValues("namespace", task.Namespace, "exportRun", task.Name, "uid", task.RunID,
		"accountingExport", task.Export, "attempt", task.Number, "work", task.Work())
}

// logBegin says that an attempt has a place and begins.
func (a *attempt) logBegin() {
	a.began = time.Now()
	a.log.Info("the attempt begins", "deadline", a.task.Deadline.String(), "alone", a.task.Alone)
}

// logEnd says how an attempt ended: what a person may read, and of what it came by types, which no status shows.
func (a *attempt) logEnd() {
	values := []any{"stage", a.outcome.Stage, "claims", a.progress.Claims(), "seconds", 0.0}
	if !a.began.IsZero() {
		values[len(values)-1] = time.Since(a.began).Seconds()
	}
	if id := a.progress.TraceID(); id != "" {
		values = append(values, "traceID", id)
	}
	if a.err == nil {
		a.log.Info("the attempt has ended", append(values, "committed", a.outcome.Committed, "recovered", a.outcome.Recovered, "released", a.outcome.ReleaseReason)...)
		return
	}
	failed := failure.From(a.err)
	a.log.Info("the attempt has failed", append(values, "reason", failed.Reason, "message", failed.Message, "causes", failure.Causes(a.err))...)
}
