package tracing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

func recorded(ratio float64) (*Traces, *tracetest.InMemoryExporter) {
	spans := tracetest.NewInMemoryExporter()
	return New(sdktrace.NewSimpleSpanProcessor(spans), ratio, resource.Empty()), spans
}

func TestNothingIsRecordedWithoutTraces(t *testing.T) {
	t.Parallel()
	var traces *Traces
	ctx, attempt := traces.Attempt(t.Context(), Attempt{RunID: "1"})
	stage, span := Stage(ctx, "stage")
	call, inner := Start(stage, "call")
	if attempt != nil || span != nil || inner != nil || call != t.Context() || Traced(call) || attempt.TraceID() != "" {
		t.Error("there is a span")
	}
	inner.Count("n", 1)
	inner.Note("word", "word")
	inner.End(errors.New("failed"))
	if err := traces.Close(); err != nil {
		t.Error(err)
	}
}

func TestOfAnErrorItsReasonIsToldAndNotItsText(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"InternalError":    errors.New("claim 4711 of Erika Musterfrau"),
		"DatabaseError":    fmt.Errorf("more: %w", failure.Transient(v1alpha1.ReasonDatabaseError, nil, "claim 4711")),
		"Canceled":         fmt.Errorf("claim 4711: %w", context.Canceled),
		"DeadlineExceeded": fmt.Errorf("claim 4711: %w", context.DeadlineExceeded),
	} {
		traces, spans := recorded(1)
		_, attempt := traces.Attempt(t.Context(), Attempt{RunID: "1"})
		attempt.End(err)
		said := spans.GetSpans()[0]
		if said.Status.Description != want || strings.Contains(fmt.Sprint(said), "4711") {
			t.Errorf("%q is told as %+v", err, said)
		}
	}
}

func TestAllAttemptsOfARunAreTracedOrNone(t *testing.T) {
	t.Parallel()
	traced := 0
	for i := range 1000 {
		traces, spans := recorded(0.25)
		for number := range 3 {
			_, attempt := traces.Attempt(t.Context(), Attempt{RunID: fmt.Sprintf("3f2c9a1e-0000-4000-8000-%012d", i), Number: int32(number)})
			attempt.End(nil)
		}
		switch n := len(spans.GetSpans()); n {
		case 0:
		case 3:
			traced++
		default:
			t.Fatalf("%d of 3 attempts are traced", n)
		}
	}
	if traced < 200 || traced > 300 {
		t.Errorf("%d of 1000 runs are traced, with a ratio of 0.25", traced)
	}
}

func TestAnAttemptHasABoundedNumberOfSpans(t *testing.T) {
	t.Parallel()
	traces, spans := recorded(1)
	ctx, attempt := traces.Attempt(t.Context(), Attempt{RunID: "1"})
	for range mostSpans + 50 {
		_, span := Start(ctx, "call")
		span.End(nil)
	}
	_, stage := Stage(ctx, "stage commit") // which is there whatever was left out before
	stage.End(nil)
	attempt.End(nil)
	all := spans.GetSpans()
	if len(all) != mostSpans+2 {
		t.Errorf("there are %d spans", len(all))
	}
	if root := all[len(all)-1]; !strings.Contains(fmt.Sprint(root.Attributes), "spans_left_out") {
		t.Errorf("the attempt does not say how many were left out: %v", root.Attributes)
	}
}

func TestAServerIsNotToldOfTheTrace(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		for name := range request.Header {
			if name != "User-Agent" && name != "Accept-Encoding" {
				t.Errorf("it is sent %s", name)
			}
		}
		answer.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(server.Close)
	traces, spans := recorded(1)
	ctx, attempt := traces.Attempt(t.Context(), Attempt{RunID: "1"})
	client := http.Client{Transport: Requests(http.DefaultTransport)}
	request, err := http.NewRequestWithContext(ctx, "VERY-SPECIAL", server.URL+"/claims/4711?name=Erika", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	attempt.End(nil)
	said := spans.GetSpans()[0]
	if said.Name != "request other" || said.Status.Description != "418" || strings.Contains(fmt.Sprint(said.Attributes, said.Name), "127.0.0.1") {
		t.Errorf("the request is told as %s %+v %v", said.Name, said.Status, said.Attributes)
	}
}

// TestACollectorThatNeverAnswersDelaysNobody sends it more than it could ever take.
func TestACollectorThatNeverAnswersDelaysNobody(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	for name, address := range map[string]string{"silent": silent.Addr().String(), "gone": gone.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			traces, err := ToCollector(t.Context(), Options{Endpoint: "http://" + address, Ratio: 1, Log: logr.Discard()})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for i := range 20 {
				ctx, attempt := traces.Attempt(t.Context(), Attempt{RunID: fmt.Sprint(i)})
				for range mostSpans {
					_, span := Start(ctx, "call")
					span.End(nil)
				}
				attempt.End(nil)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%d spans took %s", 20*mostSpans, took)
			}
			began = time.Now()
			if err := traces.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > closing+2*time.Second {
				t.Errorf("the end took %s", took)
			}
		})
	}
}

func TestAComplaintHasNoneOfTheCollectorsWordsAndComesNowAndThen(t *testing.T) {
	t.Parallel()
	var said []string
	c := &complaint{log: funcr.New(func(_, line string) { said = append(said, line) }, funcr.Options{})}
	for range 1000 {
		c.Handle(status.Error(grpccodes.PermissionDenied, "say friend and enter"))
	}
	if len(said) != 1 || strings.Contains(said[0], "friend") || !strings.Contains(said[0], "PermissionDenied") {
		t.Errorf("it says %q", said)
	}
}

func TestSettingsThatCanNotWorkAreRefused(t *testing.T) {
	for endpoint, ratio := range map[string]float64{
		"collector:4317": 1, "https://": 1, "ftp://collector:4317": 1, "https://user:hunter2@collector:4317": 1, "http://collector:4317": 2, "http://collector.test:4317": -1,
	} {
		if traces, err := ToCollector(t.Context(), Options{Endpoint: endpoint, Ratio: ratio}); err == nil || traces != nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s, %g: %v", endpoint, ratio, err)
		}
	}
	for _, options := range []Options{{Ratio: 1}, {Endpoint: "http://collector:4317"}} {
		if traces, err := ToCollector(t.Context(), options); err != nil || traces != nil {
			t.Errorf("%+v: %v, %v", options, traces, err)
		}
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	traces, err := ToCollector(t.Context(), Options{Ratio: 1})
	if err != nil || traces == nil {
		t.Fatalf("with an endpoint of the environment: %v, %v", traces, err)
	}
	_ = traces.Close()
}

// BenchmarkOff is what a step costs where nothing is traced, with a context as deep as those of attempts.
func BenchmarkOff(b *testing.B) {
	ctx := b.Context()
	for i := range 10 {
		ctx = context.WithValue(ctx, struct{ int }{i}, i)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, span := Start(ctx, "call")
		span.Count("n", 1)
		span.End(nil)
	}
}

// BenchmarkOn is what it costs with a queue that is full.
func BenchmarkOn(b *testing.B) {
	traces, err := ToCollector(b.Context(), Options{Endpoint: "http://127.0.0.1:1", Ratio: 1, Log: logr.Discard()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = traces.Close() })
	ctx, attempt := traces.Attempt(b.Context(), Attempt{RunID: "1"})
	b.ReportAllocs()
	for b.Loop() {
		attempt.attempt.spans.Store(0)
		_, span := Start(ctx, "call")
		span.Count("n", 1)
		span.End(nil)
	}
}
