package observability_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/ledgerport/ledgerport/internal/tracing"
	"github.com/ledgerport/ledgerport/test/leaks"
)

// collector is the receiver of an OpenTelemetry collector, in this process.
type collector struct {
	endpoint string
	sink     consumertest.TracesSink
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	address := freeAddress(t)
	c := &collector{endpoint: "http://" + address}
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	must(t, confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{"grpc": map[string]any{"endpoint": address}}}).Unmarshal(config))
	receiver, err := factory.CreateTraces(t.Context(), receivertest.NewNopSettings(factory.Type()), config, &c.sink)
	must(t, err)
	must(t, receiver.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { must(t, receiver.Shutdown(context.WithoutCancel(t.Context()))) })
	return c
}

// spans returns all spans that came so far.
func (c *collector) spans() (all []ptrace.Span) {
	for _, traces := range c.sink.AllTraces() {
		for _, of := range traces.ResourceSpans().All() {
			for _, scope := range of.ScopeSpans().All() {
				for _, span := range scope.Spans().All() {
					all = append(all, span)
				}
			}
		}
	}
	return all
}

// expectTraces waits until each run has its trace with stages, statements and calls of the destination, and looks for what must not be there.
func (c *collector) expectTraces(t *testing.T, i *installation, runs []string) {
	for _, run := range runs {
		until(t, func(context.Context) string {
			var names []string
			for _, span := range c.spans() {
				if span.TraceID().String() == tracing.TraceOf(run) {
					names = append(names, span.Name())
				}
			}
			for _, want := range []string{"attempt", "stage preflight", "stage render", "stage deliver", "stage commit", "sql SELECT claims", "sql COPY exported_claims", "destination put"} {
				if !slices.Contains(names, want) {
					return fmt.Sprintf("the trace of run %s has no %q; it has %q", run, want, names)
				}
			}
			return ""
		})
		said, err := os.ReadFile(i.log)
		must(t, err)
		if named := strings.Count(string(said), `"traceID":"`+tracing.TraceOf(run)+`"`); named < 2 {
			t.Errorf("%d log lines name the trace of run %s:\n%s", named, run, said)
		}
	}
	for _, traces := range c.sink.AllTraces() {
		text, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
		must(t, err)
		i.scan.Text("batch of spans", "", text, leaks.BankAccount, leaks.Name)
		for _, export := range i.exports {
			if strings.Contains(string(text), export.Spec.OrganizationID) {
				t.Error("a span names an organisation")
			}
		}
		if !strings.Contains(string(text), `"service.name"`) {
			t.Error("spans do not say of which service they are")
		}
	}
	if found := i.scan.Found(); len(found) > 0 || i.scan.Looked("batch of spans") == 0 {
		t.Errorf("of %d batches of spans, some tell what nobody is to see: %q", i.scan.Looked("batch of spans"), found)
	}
}
