package command

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/ledgerport/ledgerport/internal/tracing"
)

// collectorOf makes traces that go to the collector of the flags or of the environment; nil if there is none.
func collectorOf(ctx context.Context, options managerOptions) (*tracing.Traces, error) {
	settings := options.traces
	settings.Version, settings.Log = buildVersion(), ctrl.Log.WithName("traces")
	return tracing.ToCollector(ctx, settings)
}

// sendingTraces sends what is left once no attempt is under way any more.
func sendingTraces(traces *tracing.Traces, stopped <-chan struct{}) manager.Runnable {
	return manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		<-stopped
		return traces.Close() //nolint:contextcheck // its own has ended
	})
}
