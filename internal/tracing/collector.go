package tracing

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/status"
)

const (
	// queued is how many spans wait for a collector; further ones are dropped, whatever it does: no run waits for it.
	queued = 4096
	// exporting bounds how long a collector may take for some hundreds of them.
	exporting = 10 * time.Second
	// complaints is how often the log reports that spans were not taken.
	complaints = time.Minute
)

// Options say where traces go.
type Options struct {
	// Endpoint is the URL of a collector that speaks OTLP over gRPC: https, or http without TLS. Empty is that of the environment
	// (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT); if neither is set there are no traces.
	Endpoint string
	// Ratio is the part of all runs that are traced.
	Ratio float64
	// Version of the program.
	Version string
	// Log is told if the collector does not take what it is sent.
	Log logr.Logger
}

// ToCollector makes traces that a collector is sent; nil if there is none. What else there is to say of the collector, such as headers and
// certificates, is said by the variables that OpenTelemetry defines: OTEL_EXPORTER_OTLP_….
func ToCollector(ctx context.Context, options Options) (*Traces, error) {
	endpoint, from := options.Endpoint, "--otlp-endpoint"
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		if endpoint == "" {
			endpoint, from = os.Getenv(variable), variable
		}
	}
	if options.Ratio < 0 || options.Ratio > 1 {
		return nil, fmt.Errorf("--trace-ratio is %g; write a number from 0 to 1", options.Ratio)
	}
	if endpoint == "" || options.Ratio == 0 {
		return nil, nil //nolint:nilnil // a nil *Traces makes none
	}
	if to, err := url.Parse(endpoint); err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "" || to.User != nil {
		return nil, fmt.Errorf("%s is not the URL of a collector; write one such as https://collector.monitoring:4317, or http:// for one without TLS. Credentials go into OTEL_EXPORTER_OTLP_HEADERS", from)
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint), otlptracegrpc.WithTimeout(exporting))
	if err != nil {
		return nil, fmt.Errorf("%s: the settings for the collector are wrong; look at the variables OTEL_EXPORTER_OTLP_… (%T)", from, err)
	}
	of, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "ledgerport"), attribute.String("service.version", options.Version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("the variable OTEL_RESOURCE_ATTRIBUTES is not a list of pairs such as deployment.environment.name=test: %w", err)
	}
	otel.SetErrorHandler(&complaint{log: options.Log})
	return New(sdktrace.NewBatchSpanProcessor(exporter, sdktrace.WithMaxQueueSize(queued), sdktrace.WithExportTimeout(exporting)), options.Ratio, of), nil
}

// complaint logs what goes wrong with sending traces, now and then, and none of the words of a collector.
type complaint struct {
	log  logr.Logger
	last atomic.Int64
}

// Handle implements otel.ErrorHandler.
func (c *complaint) Handle(err error) {
	now := time.Now()
	last := c.last.Load()
	if now.Sub(time.Unix(0, last)) < complaints || !c.last.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	c.log.Info("the collector does not take traces, which are dropped; runs do not wait for it", "code", status.Code(err).String(), "type", fmt.Sprintf("%T", err))
}
