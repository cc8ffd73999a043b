// Package tracing makes OpenTelemetry traces of runs: one trace of a run, in it a span for each attempt, and below it stages, SQL statements,
// calls of destinations, and requests to accounting systems. A span has names, counts and times. It never has what a claim, a Secret, a
// connection URL or the answer of a server holds, nor a host.
//
// Each maker of a span gets its parent from the context. Without one that is recorded, Start returns nil, of which every method does
// nothing: an operator that sends no traces pays for a look into the context.
package tracing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/ledgerport/ledgerport/internal/failure"
)

const (
	scope = "github.com/ledgerport/ledgerport"
	// mostSpans is how many spans an attempt has besides itself and its stages: a run of a million claims sends thousands of statements.
	mostSpans = 2000
	// closing is how long an operator that ends waits for the collector to take what is left.
	closing = 3 * time.Second
)

// Traces makes traces of attempts. A nil *Traces makes none. It is safe for concurrent use.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// New makes traces that a processor gets: those of a part of all runs, from 0 to 1, and either all attempts of a run or none.
func New(processor sdktrace.SpanProcessor, ratio float64, of *resource.Resource) *Traces {
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(processor), sdktrace.WithResource(of),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))),
		sdktrace.WithIDGenerator(identifiers{}),
	)
	return &Traces{provider: provider, tracer: provider.Tracer(scope)}
}

// Close sends what is left, for a few seconds at most, and makes no more traces.
func (t *Traces) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // of spans that nobody took, nobody needs to hear at the end
	return nil
}

// Attempt says whose trace it is.
type Attempt struct {
	// RunID is the UID of the ExportRun; it alone decides the id of the trace.
	RunID string
	// Namespace, Run and Export are names of resources; Work is what the attempt does.
	Namespace, Run, Export, Work string
	// Number of the attempt.
	Number int32
}

// Attempt begins the span of an attempt, which the caller ends. It is nil if the run is not among those that are traced.
func (t *Traces) Attempt(ctx context.Context, of Attempt) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	started, span := t.tracer.Start(context.WithValue(ctx, runKey{}, of.RunID), "attempt", trace.WithNewRoot(), trace.WithAttributes(
		attribute.String("ledgerport.namespace", of.Namespace), attribute.String("ledgerport.export", of.Export), attribute.String("ledgerport.run", of.Run),
		attribute.String("ledgerport.run.uid", of.RunID), attribute.Int("ledgerport.attempt", int(of.Number)), attribute.String("ledgerport.work", of.Work),
	))
	if !span.IsRecording() {
		return ctx, nil
	}
	s := &Span{span: span, attempt: &attempt{tracer: t.tracer}}
	return context.WithValue(started, spanKey{}, s), s
}

// attempt is what the spans of an attempt share.
type attempt struct {
	tracer trace.Tracer
	spans  atomic.Int64 // that Start was asked for
}

// Span is a step of an attempt. A nil *Span is one that nobody records.
type Span struct {
	span    trace.Span
	attempt *attempt
}

type (
	spanKey struct{}
	runKey  struct{}
)

// Stage begins the span of a stage.
func Stage(ctx context.Context, name string) (context.Context, *Span) {
	if parent := above(ctx); parent != nil {
		return parent.start(ctx, name, trace.SpanKindInternal)
	}
	return ctx, nil
}

// Start begins a span of a call to something outside of the process, if an attempt is traced and does not have too many of them already.
func Start(ctx context.Context, name string) (context.Context, *Span) {
	parent := above(ctx)
	if parent == nil || parent.attempt.spans.Add(1) > mostSpans {
		return ctx, nil
	}
	return parent.start(ctx, name, trace.SpanKindClient)
}

// Traced reports whether Start would begin a span.
func Traced(ctx context.Context) bool { return above(ctx) != nil }

func above(ctx context.Context) *Span {
	span, _ := ctx.Value(spanKey{}).(*Span)
	return span
}

func (s *Span) start(ctx context.Context, name string, kind trace.SpanKind) (context.Context, *Span) {
	ctx, span := s.attempt.tracer.Start(ctx, name, trace.WithSpanKind(kind))
	below := &Span{span: span, attempt: s.attempt}
	return context.WithValue(ctx, spanKey{}, below), below
}

// TraceID is the id of the span's trace, empty if there is none.
func (s *Span) TraceID() string {
	if s == nil {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// Count notes a number.
func (s *Span) Count(name string, n int64) {
	if s != nil {
		s.span.SetAttributes(attribute.Int64(name, n))
	}
}

// Note notes a word of the program's own.
func (s *Span) Note(name, word string) {
	if s != nil {
		s.span.SetAttributes(attribute.String(name, word))
	}
}

// End ends the span. Of an error it tells the reason alone: the text may quote what others have said.
func (s *Span) End(err error) {
	if s == nil {
		return
	}
	if left := s.attempt.spans.Load() - mostSpans; left > 0 {
		s.span.SetAttributes(attribute.Int64("ledgerport.spans_left_out", left))
	}
	if err != nil {
		s.fail(reasonOf(err))
	}
	s.span.End()
}

func (s *Span) fail(reason string) {
	s.span.SetAttributes(attribute.String("error.type", reason))
	s.span.SetStatus(codes.Error, reason)
}

func reasonOf(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "Canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "DeadlineExceeded"
	}
	return failure.From(err).Reason
}

// identifiers gives all attempts of a run, in whichever process, the same trace.
type identifiers struct{}

// NewIDs implements sdktrace.IDGenerator. The id is a hash because a sampler decides by the bits of its second half, and those of a UID are
// not all random.
func (i identifiers) NewIDs(ctx context.Context) (id trace.TraceID, span trace.SpanID) {
	run, _ := ctx.Value(runKey{}).(string)
	hash := sha256.Sum256([]byte("ledgerport run " + run))
	copy(id[:], hash[:])
	return id, i.NewSpanID(ctx, id)
}

// NewSpanID implements sdktrace.IDGenerator.
func (identifiers) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	_, _ = rand.Read(id[:]) // it never fails
	return id
}

// TraceOf is the id of the trace of a run.
func TraceOf(runID string) string {
	id, _ := identifiers{}.NewIDs(context.WithValue(context.Background(), runKey{}, runID))
	return id.String()
}
