package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/metrics"
	"github.com/ledgerport/ledgerport/internal/references"
)

// Parts are what the reconcilers need beside a manager.
type Parts struct {
	Resolver *references.Resolver
	Executor executor.Executor
	Clock    clock.PassiveClock
	// RecheckInterval is how often databases, destinations and credentials are looked at though nothing tells of a change.
	RecheckInterval time.Duration
	// Limits of the administrator.
	Limits Limits
	// GracePeriod is how long the process may take to end when it is stopped.
	GracePeriod time.Duration
	// WatchNamespaces lets changes of a namespace's labels be noticed at once; else they are within the interval.
	WatchNamespaces bool
	// Metrics takes the metrics of runs and exports.
	Metrics prometheus.Registerer
	// Failpoints lets tests end or stop the process around what it writes; nil in production.
	Failpoints failpoint.Hook
}

// Setup registers all reconcilers with a manager.
func Setup(mgr ctrl.Manager, parts Parts) error {
	if err := indexReferences(context.Background(), mgr); err != nil {
		return fmt.Errorf("indexing references: %w", err)
	}
	if err := indexExternalSecrets(context.Background(), mgr); err != nil {
		return fmt.Errorf("indexing ExternalSecrets: %w", err)
	}
	counted := metrics.New(mgr.GetCache(), parts.Resolver.Exporters, parts.Clock.Now)
	stuck := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ledgerport_attempts_stuck", Help: "Attempts that go on after their deadline, and that nobody waits for any more."},
		func() float64 { return float64(parts.Executor.Stuck()) })
	if err := errors.Join(parts.Metrics.Register(counted), parts.Metrics.Register(stuck)); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	last := &farewell{objects: mgr.GetCache(), api: mgr.GetAPIReader(), writer: mgr.GetClient(), executor: parts.Executor, patience: parts.GracePeriod * 3 / 4}
	if err := mgr.Add(last); err != nil {
		return err
	}
	c, recorder := mgr.GetClient(), mgr.GetEventRecorder("ledgerport")
	sources, destinations, exports := NewRecheck(parts.RecheckInterval), NewRecheck(parts.RecheckInterval), NewRecheck(parts.RecheckInterval)
	reconcilers := map[string]interface{ SetupWithManager(ctrl.Manager) error }{
		"ChartOfAccounts":   &ChartOfAccountsReconciler{Client: c, Recorder: recorder},
		"ClaimSource":       &ClaimSourceReconciler{Client: c, Recorder: recorder, Resolver: parts.Resolver, Metrics: counted, Recheck: sources},
		"ExportDestination": &ExportDestinationReconciler{Client: c, Recorder: recorder, Resolver: parts.Resolver, Metrics: counted, Recheck: destinations},
		"AccountingExport":  &AccountingExportReconciler{Client: c, Recorder: recorder, Resolver: parts.Resolver, Clock: parts.Clock, Limits: parts.Limits, Recheck: exports, WatchNamespaces: parts.WatchNamespaces, Failpoints: parts.Failpoints},
		"ExportRun":         &ExportRunReconciler{Client: c, Recorder: recorder, Executor: parts.Executor, Metrics: counted, Clock: parts.Clock, Failpoints: parts.Failpoints, Limits: parts.Limits, Sources: sources, Destinations: destinations},
	}
	for kind, reconciler := range reconcilers {
		if err := reconciler.SetupWithManager(mgr); err != nil {
			return fmt.Errorf("setting up the reconciler of %s: %w", kind, err)
		}
	}
	return nil
}
