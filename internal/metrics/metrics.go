// Package metrics counts what runs do and tells in what state exports are, for Prometheus. Counters have labels of a few
// known values only. What is told of each resource is read from the resources at every scrape, so that what is deleted is
// told of no more.
package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

// Metrics is a prometheus.Collector. It is safe for concurrent use.
type Metrics struct {
	resources client.Reader
	exporters *exporters.Registry
	now       func() time.Time

	runs              *prometheus.CounterVec
	stages            *prometheus.HistogramVec
	claims            *prometheus.CounterVec
	amounts           *prometheus.CounterVec
	databaseErrors    *prometheus.CounterVec
	destinationErrors *prometheus.CounterVec
	lost              prometheus.Counter
	notifications     *prometheus.CounterVec

	mu           sync.Mutex
	deadlineUsed map[types.NamespacedName]float64 // by export, of its newest attempt
}

// New makes metrics of the resources that a reader finds; a cache will do.
func New(resources client.Reader, registry *exporters.Registry, now func() time.Time) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ledgerport_" + name, Help: help}, labels)
	}
	return &Metrics{
		resources: resources, exporters: registry, now: now,
		runs: counter("runs_total", "Runs that have ended.", "exporter", "result", "reason"),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ledgerport_stage_duration_seconds", Help: "How long the stages of attempts took.",
			Buckets: []float64{.01, .05, .1, .5, 1, 2.5, 5, 10, 30, 60, 150, 600, 3600},
		}, []string{"exporter", "stage"}),
		claims:            counter("claims_exported_total", "Claims that were exported.", "exporter"),
		amounts:           counter("amount_exported_minor_units_total", "Debit of the exported vouchers, in the smallest unit of the books' currency.", "exporter", "currency"),
		databaseErrors:    counter("database_errors_total", "Looks at databases and attempts that failed because of the database.", "reason"),
		destinationErrors: counter("destination_errors_total", "Looks at destinations and attempts that failed because of the destination.", "reason"),
		lost:              prometheus.NewCounter(prometheus.CounterOpts{Name: "ledgerport_attempts_lost_total", Help: "Attempts that ended with the process that executed them."}),
		notifications:     counter("notifications_total", "Events that were sent to a target, that a target did not take, to be sent again, and that were given up.", "result"),
		deadlineUsed:      map[types.NamespacedName]float64{},
	}
}

// RunEnded counts a run that has ended. What a run exported is counted where it took claims for good.
func (m *Metrics) RunEnded(exporter string, phase v1alpha1.RunPhase, reason v1alpha1.Reason, exported v1alpha1.RunResult) {
	exporter = m.known(exporter)
	m.runs.WithLabelValues(exporter, string(phase), reason).Inc()
	if !phase.Exported() || exported.Claims == 0 {
		return
	}
	m.claims.WithLabelValues(exporter).Add(float64(exported.Claims))
	currency, err := ledger.ParseCurrency(exported.Currency)
	if err != nil {
		return // a status that somebody else wrote
	}
	if debit, err := ledger.ParseAmount(exported.Debit, currency); err == nil && debit > 0 {
		m.amounts.WithLabelValues(exporter, currency.Code()).Add(float64(debit))
	}
}

// AttemptEnded keeps how long the stages of an attempt of an export took, and which part of its deadline all of them.
func (m *Metrics) AttemptEnded(export types.NamespacedName, exporter string, stages map[v1alpha1.RunStage]float64, deadline time.Duration) {
	exporter = m.known(exporter)
	var sum float64
	for stage, seconds := range stages {
		m.stages.WithLabelValues(exporter, string(stage)).Observe(seconds)
		sum += seconds
	}
	if len(stages) > 0 && deadline > 0 {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.makeRoom(export)
		m.deadlineUsed[export] = sum / deadline.Seconds()
	}
}

// mostDeadlines bounds the exports whose newest attempts are kept in mind. A scrape forgets those that are gone, and there may be none.
const mostDeadlines = 10_000

// makeRoom forgets any of the exports if another one would be too many.
func (m *Metrics) makeRoom(export types.NamespacedName) {
	if _, known := m.deadlineUsed[export]; known {
		return
	}
	for other := range m.deadlineUsed {
		if len(m.deadlineUsed) < mostDeadlines {
			return
		}
		delete(m.deadlineUsed, other)
	}
}

// AttemptLost counts an attempt that ended with its process.
func (m *Metrics) AttemptLost() { m.lost.Inc() }

// Notified counts what became of an event for a target: sent, failed, dropped.
func (m *Metrics) Notified(result string) { m.notifications.WithLabelValues(result).Inc() }

// Failed counts a failure that a database or a destination is to blame for.
func (m *Metrics) Failed(failed *failure.Error) {
	switch failed.Condition {
	case v1alpha1.ConditionSourceReady:
		m.databaseErrors.WithLabelValues(failed.Reason).Inc()
	case v1alpha1.ConditionDestinationReady:
		m.destinationErrors.WithLabelValues(failed.Reason).Inc()
	}
}

// known keeps types of exporters that nobody built in from becoming labels.
func (m *Metrics) known(exporter string) string {
	if _, known := m.exporters.Get(exporter); known {
		return exporter
	}
	return "unknown"
}
