// Package controller sets the reconcilers up, one package for each kind. They orchestrate: decisions are pure functions beside
// them, effects are behind the executor, the claims database and the destinations. Its tests are those of all of them together.
package controller

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ledgerport/ledgerport/internal/controller/accountingexport"
	"github.com/ledgerport/ledgerport/internal/controller/chartofaccounts"
	"github.com/ledgerport/ledgerport/internal/controller/claimsource"
	"github.com/ledgerport/ledgerport/internal/controller/exportdestination"
	"github.com/ledgerport/ledgerport/internal/controller/exportrun"
	"github.com/ledgerport/ledgerport/internal/controller/notification"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/metrics"
	"github.com/ledgerport/ledgerport/internal/notify"
	"github.com/ledgerport/ledgerport/internal/references"
)

// Limits of the administrator bound what tenants may ask for. A limit of zero is none.
type Limits struct {
	exportrun.Limits
	// ShortestScheduleInterval between two slots of a schedule.
	ShortestScheduleInterval time.Duration
}

// Notifications say how targets are told of runs.
type Notifications struct {
	// Allowed kinds of targets; empty is all.
	Allowed []string
	// PlainHTTP lets webhooks be at http://.
	PlainHTTP bool
	// Roots are authorities of the certificates of targets; nil are those of the system.
	Roots *tls.Config
	// Page of a run, with {namespace}, {export} and {run} in it; empty if there is none.
	Page string
}

// Parts are what the reconcilers need beside a manager.
type Parts struct {
	Resolver *references.Resolver
	Executor executor.Executor
	Clock    clock.PassiveClock
	// RecheckInterval is how often databases, destinations and credentials are looked at though nothing tells of a change.
	RecheckInterval time.Duration
	// LongestRecheckInterval is how long it takes at most until that is done again of those that have worked for long.
	LongestRecheckInterval time.Duration
	// Limits of the administrator.
	Limits Limits
	// GracePeriod is how long the process may take to end when it is stopped.
	GracePeriod time.Duration
	// WatchNamespaces lets changes of a namespace's labels be noticed at once; else they are within the interval.
	WatchNamespaces bool
	// Metrics takes the metrics of runs and exports.
	Metrics prometheus.Registerer
	// Notifications say how targets are told of runs.
	Notifications Notifications
	// Failpoints lets tests end or stop the process around what it writes; nil in production.
	Failpoints failpoint.Hook
}

// targets opens targets with the secrets and the hosts that runs have.
func (p *Parts) targets() *notify.Targets {
	of := p.Notifications
	return &notify.Targets{
		Secrets: p.Resolver.Secrets, Outbound: p.Resolver.Outbound, Allowed: of.Allowed, PlainHTTP: of.PlainHTTP, Roots: of.Roots, Clock: p.Clock,
	}
}

// Setup registers all reconcilers with a manager.
func Setup(mgr ctrl.Manager, parts Parts) error {
	if err := watch.Index(context.Background(), mgr, parts.Resolver); err != nil {
		return fmt.Errorf("indexing what refers to what: %w", err)
	}
	counted := metrics.New(mgr.GetCache(), parts.Resolver.Exporters, parts.Clock.Now)
	stuck := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ledgerport_attempts_stuck", Help: "Attempts that have not returned since their deadline, and whose places were given to others."},
		func() float64 { return float64(parts.Executor.Stuck()) })
	overdue := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ledgerport_attempts_overdue", Help: "Attempts that have not returned 10 seconds after their deadline, their cancellation or the operator's shutdown."},
		func() float64 { return float64(parts.Executor.Overdue()) })
	if err := errors.Join(parts.Metrics.Register(counted), parts.Metrics.Register(stuck), parts.Metrics.Register(overdue)); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	events := report.Budget(mgr.GetEventRecorder("ledgerport"))
	recorder := func(step failpoint.Step) *report.Recorder {
		return &report.Recorder{Client: mgr.GetClient(), Events: events, Failpoints: parts.Failpoints, Step: step}
	}
	newRecheck := func() *watch.Recheck { return watch.NewRecheck(parts.RecheckInterval, parts.LongestRecheckInterval) }
	sources, destinations, exports := newRecheck(), newRecheck(), newRecheck()
	reconcilers := map[string]interface{ SetupWithManager(ctrl.Manager) error }{
		"ChartOfAccounts":   &chartofaccounts.Reconciler{Recorder: recorder("")},
		"ClaimSource":       &claimsource.Reconciler{Recorder: recorder(""), Resolver: parts.Resolver, Metrics: counted, Recheck: sources},
		"ExportDestination": &exportdestination.Reconciler{Recorder: recorder(""), Resolver: parts.Resolver, Metrics: counted, Recheck: destinations},
		"AccountingExport": &accountingexport.Reconciler{
			Recorder: recorder(failpoint.ExportStatus), Resolver: parts.Resolver, Clock: parts.Clock, ShortestInterval: parts.Limits.ShortestScheduleInterval,
			Recheck: exports, WatchNamespaces: parts.WatchNamespaces,
		},
		"ExportRun": &exportrun.Reconciler{
			Recorder: recorder(failpoint.RunStatus), Executor: parts.Executor, Metrics: counted, Clock: parts.Clock, Limits: parts.Limits.Limits,
			Sources: sources, Destinations: destinations, GracePeriod: parts.GracePeriod,
		},
	}
	reconcilers["notifications"] = &notification.Reconciler{
		Recorder: recorder(""), Targets: parts.targets(), Page: parts.Notifications.Page, Metrics: counted, Clock: parts.Clock,
	}
	for kind, reconciler := range reconcilers {
		if err := reconciler.SetupWithManager(mgr); err != nil {
			return fmt.Errorf("setting up the reconciler of %s: %w", kind, err)
		}
	}
	return nil
}
