package pipeline_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/tracing"
	bc "github.com/ledgerport/ledgerport/test/businesscentral"
	"github.com/ledgerport/ledgerport/test/leaks"
)

// recorded returns traces, and what takes their spans.
func recorded() (*tracing.Traces, *tracetest.InMemoryExporter) {
	spans := tracetest.NewInMemoryExporter()
	return tracing.New(sdktrace.NewSimpleSpanProcessor(spans), 1, resource.Empty()), spans
}

// told are the only things that a span may say beside its name and its times.
var told = []string{
	"ledgerport.namespace", "ledgerport.export", "ledgerport.run", "ledgerport.run.uid", "ledgerport.attempt", "ledgerport.work", "ledgerport.claims",
	"ledgerport.rows", "ledgerport.bytes", "http.response.status_code", "error.type", "db.response.status_code",
}

func TestAnAttemptIsTracedWithItsStagesStatementsCallsAndRequests(t *testing.T) {
	t.Parallel()
	o := newOffice(t, bc.Settings{}, map[string]any{})
	o.claims(12)
	traces, spans := recorded()
	o.books.Traces = traces
	var progress pipeline.Progress
	if outcome, err := o.books.Run(t.Context(), run(1), &progress); err != nil || outcome.Result.Claims != 12 {
		t.Fatalf("the run ended with %+v (%v)", outcome, err)
	}
	all := spans.GetSpans()
	names := map[string]int{}
	for _, span := range all {
		names[span.Name]++
		if span.SpanContext.TraceID().String() != progress.TraceID() || progress.TraceID() != tracing.TraceOf(run(1).RunID) {
			t.Errorf("%s is in another trace than that of the run", span.Name)
		}
		if root := !span.Parent.IsValid(); root != (span.Name == "attempt") {
			t.Errorf("%s has the parent %s", span.Name, span.Parent.SpanID())
		}
		if span.Status.Code == codes.Error {
			t.Errorf("%s says %s", span.Name, span.Status.Description)
		}
	}
	for _, name := range []string{
		"attempt", "stage preflight", "stage render", "stage deliver", "stage commit", "sql connect", "sql BEGIN", "sql COMMIT", "sql SELECT claims",
		"sql SELECT sums of claims", "sql COPY exported_claims", "sql INSERT run_vouchers", "destination check", "destination put", "destination stat", "request POST",
	} {
		if names[name] == 0 {
			t.Errorf("no span is called %q; there are %v", name, names)
		}
	}
	nothingIsToldOf(t, o.stage, all, o.server.BaseURL())
}

// nothingIsToldOf looks for claims, secrets and hosts in spans.
func nothingIsToldOf(t *testing.T, s *stage, all tracetest.SpanStubs, servers ...string) {
	t.Helper()
	scan := leaks.New()
	s.must(scan.PlantPassword("the database", s.database))
	forbidden := []string{organization, s.exports, "127.0.0.1", "localhost", "postgres:", bc.Tenant, bc.Company, "Journey", "Employee", "SELECT c.", "public."}
	for _, server := range append(servers, s.database) {
		at, err := url.Parse(server)
		s.must(err)
		forbidden = append(forbidden, at.Host, server)
	}
	forbidden = append(forbidden, strings.Split(s.text(`select coalesce(string_agg(id::text, ','), 'none') from claims`), ",")...)
	for _, span := range all {
		text, err := json.Marshal([]any{span.Name, span.Attributes, span.Events, span.Links, span.Status})
		s.must(err)
		scan.Text("span", span.Name, text, leaks.BankAccount, leaks.Name)
		for _, word := range forbidden {
			if strings.Contains(string(text), word) {
				t.Errorf("the span %s has %q in it: %s", span.Name, word, text)
			}
		}
		for _, attribute := range span.Attributes {
			if !slices.Contains(told, string(attribute.Key)) {
				t.Errorf("the span %s tells %s", span.Name, attribute.Key)
			}
		}
		if len(span.Events) > 0 {
			t.Errorf("the span %s has events, in which there may be texts of errors: %s", span.Name, text)
		}
	}
	if found := scan.Found(); len(found) > 0 || scan.Looked("span") < 20 {
		t.Errorf("of %d spans, these tell what nobody is to see: %q", scan.Looked("span"), found)
	}
}

func TestAllAttemptsOfARunAreOneTrace(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	traces, spans := recorded()
	var attempts []string
	for number := int32(1); number <= 2; number++ {
		p := newPipeline(s.database, s.exports, fmt.Sprintf("process-%d", number), func(point failpoint.Point) {
			if number == 1 && point == failpoint.Put.Before() {
				s.must(s.breakDestination())
			}
		})
		p.Traces = traces
		var said strings.Builder
		log := funcr.New(func(_, line string) { said.WriteString(line + "\n") }, funcr.Options{})
		_, err := p.Run(logr.NewContext(t.Context(), log), task(number), &pipeline.Progress{})
		if failed := err != nil; failed != (number == 1) {
			t.Fatalf("attempt %d ended with %v", number, err)
		}
		s.must(s.repairDestination())
		if want := `"traceID"="` + tracing.TraceOf(task(1).RunID) + `"`; !strings.Contains(said.String(), want) {
			t.Errorf("the log of attempt %d does not name its trace:\n%s", number, said.String())
		}
	}
	for _, span := range spans.GetSpans() {
		if span.SpanContext.TraceID().String() != tracing.TraceOf(task(1).RunID) {
			t.Errorf("%s is in another trace", span.Name)
		}
		if span.Name == "attempt" {
			attempts = append(attempts, span.Status.Code.String()+" "+span.Status.Description)
		}
	}
	if want := []string{"Error NotWritable", "Unset "}; !slices.Equal(attempts, want) {
		t.Errorf("the attempts are %q, want %q", attempts, want)
	}
	nothingIsToldOf(t, s, spans.GetSpans())
}

// breakDestination puts a file in the place of the directory of the run.
func (s *stage) breakDestination() error {
	return errors.Join(os.MkdirAll(filepath.Dir(s.runDirectory()), 0o750), os.WriteFile(s.runDirectory(), []byte("in the way"), 0o600))
}

// repairDestination takes it away.
func (s *stage) repairDestination() error {
	if info, err := os.Stat(s.runDirectory()); err == nil && !info.IsDir() {
		return os.Remove(s.runDirectory())
	}
	return nil
}

func (s *stage) runDirectory() string {
	return filepath.Join(s.exports, "acme", "books", "acme", "monthly", "monthly-1")
}
