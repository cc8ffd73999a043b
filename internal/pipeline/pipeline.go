// Package pipeline takes one run from approved claims to a delivered artifact: preflight, reserve, render, deliver,
// commit. Every step is idempotent and guarded by the attempt number, so that an attempt may be cut off anywhere and
// another process goes on where the database says it stopped.
//
// It flows down: pipeline.go chooses a walk (reversal.go, redelivery.go, forward.go, preview.go, release.go, removal.go; learn.go and reading.go only read), a walk calls stages
// (begin.go, approval.go, conclude.go, deliver.go, receipts.go, original.go, submit.go, attach.go, render.go, lacking.go), and stages use what an attempt knows (record.go, resolve.go,
// books.go, attempt.go, task.go). No file calls one above it.
package pipeline

import (
	"context"
	"errors"

	"github.com/go-logr/logr"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/internal/tracing"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// Pipeline executes attempts. It is safe for concurrent use; attempts share nothing.
type Pipeline struct {
	// Resolver finds what the export of a run refers to.
	Resolver *references.Resolver
	// Holder names this process: it is recorded with every attempt.
	Holder string
	// Cluster that runs belong to: the UID of its namespace kube-system. It is recorded with every run.
	Cluster string
	// SpoolDirectory takes artifacts while they are rendered; empty is the system's directory for temporary files.
	SpoolDirectory string
	// SpoolSpace bounds what artifacts take there; nil has no bounds.
	SpoolSpace *artifact.Space
	// Program and ProgramVersion name this software in artifacts.
	Program, ProgramVersion string
	// Candid tells everything of sources and destinations in other namespaces: the user of this process may read them.
	Candid bool
	// Witness is told what is made of claims; nil where nobody asks.
	Witness Witness
	// Traces gets spans of attempts; nil makes none.
	Traces *tracing.Traces
	// Failpoints lets tests end or stop the process around every step; nil in production.
	Failpoints failpoint.Hook
}

// Witness is told what is made of each claim, in the order of the claims. What it is given is valid until it returns.
type Witness interface {
	// Voucher of a claim, which may have several, one after another.
	Voucher(voucher *ledger.Voucher)
	// Held is a claim of which nothing is made.
	Held(hold *ledger.Hold)
}

// largestAnswer bounds one answer of an accounting system, in bytes: an exporter may keep all of it.
const largestAnswer = 8 << 20

// Run makes one attempt. The error, if any, is a *failure.Error or wraps the context's.
func (p *Pipeline) Run(ctx context.Context, task Task, progress *Progress) (outcome Outcome, err error) {
	ctx, span := p.traced(ctx, task, progress)
	defer func() {
		span.Count("ledgerport.claims", progress.Claims())
		span.End(err)
	}()
	if task.Release {
		task.Deadline = max(task.Deadline, releaseDeadline)
	}
	ctx, cancel := context.WithTimeout(ctx, task.Deadline)
	defer cancel()
	client := p.Resolver.Outbound.HTTPClient()
	client.Transport = tracing.Requests(outbound.Bounded(client.Transport, largestAnswer))
	a := &attempt{Pipeline: p, task: task, progress: progress, client: client, spool: artifact.NewSpool(p.SpoolDirectory, p.SpoolSpace, task.Namespace, ctx.Err)}
	a.outcome.StageSeconds = map[v1alpha1.RunStage]float64{}
	defer a.close()
	err = a.walk()(ctx)
	if err == nil {
		err = a.refresh(ctx)
	}
	if err == nil && a.database != nil {
		a.database.Keep()
	}
	a.note()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
		err = failure.Transient(v1alpha1.ReasonDeadlineExceeded, err,
			"the attempt did not end within its deadline (%s, which is spec.deadline of the export, or less where the operator allows no more, and at least %s to give claims back): it was in stage %s with %s rendered",
			task.Deadline, releaseDeadline, a.outcome.Stage, texts.Count(progress.Claims(), "claim", "claims"))
	}
	return a.outcome, a.discreet(err)
}

// traced begins the span of an attempt, if there are traces of it, and has its log lines name the trace.
func (p *Pipeline) traced(ctx context.Context, task Task, progress *Progress) (context.Context, *tracing.Span) {
	ctx, span := p.Traces.Attempt(ctx, tracing.Attempt{
		RunID: task.RunID, Namespace: task.Namespace, Run: task.Name, Export: task.Export, Work: task.Work(), Number: task.Number,
	})
	if span == nil {
		return ctx, nil
	}
	id := span.TraceID()
	progress.trace.Store(&id)
	return logr.NewContext(ctx, logr.FromContextOrDiscard(ctx).WithValues("traceID", id)), span
}

// walk chooses what the attempt does.
func (a *attempt) walk() func(context.Context) error {
	switch {
	case a.task.RemoveArtifact:
		return a.removeArtifact
	case a.task.Release:
		return a.release
	case a.task.Type == v1alpha1.RunPreview:
		return a.preview
	case a.task.Type == v1alpha1.RunReversal:
		return a.reverse
	case a.task.Type == v1alpha1.RunRedeliver:
		return a.redeliver
	}
	return a.export
}
