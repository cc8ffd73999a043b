package controllers

import (
	"context"
	"fmt"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/references"
)

// Parts are what the reconcilers need beside a manager.
type Parts struct {
	Resolver *references.Resolver
	Executor executor.Executor
	Clock    clock.PassiveClock
	Recheck  Recheck
}

// Setup registers all reconcilers with a manager.
func Setup(mgr ctrl.Manager, parts Parts) error {
	if err := indexReferences(context.Background(), mgr); err != nil {
		return fmt.Errorf("indexing references: %w", err)
	}
	c, recorder := mgr.GetClient(), mgr.GetEventRecorder("ledgerport")
	reconcilers := map[string]interface{ SetupWithManager(ctrl.Manager) error }{
		"ChartOfAccounts":   &ChartOfAccountsReconciler{Client: c, Recorder: recorder},
		"ClaimSource":       &ClaimSourceReconciler{Client: c, Recorder: recorder, Resolver: parts.Resolver, Clock: parts.Clock, Recheck: parts.Recheck},
		"ExportDestination": &ExportDestinationReconciler{Client: c, Recorder: recorder, Resolver: parts.Resolver, Clock: parts.Clock, Recheck: parts.Recheck},
		"AccountingExport":  &AccountingExportReconciler{Client: c, Recorder: recorder, Resolver: parts.Resolver, Clock: parts.Clock},
		"ExportRun":         &ExportRunReconciler{Client: c, Recorder: recorder, Executor: parts.Executor, Clock: parts.Clock},
	}
	for kind, reconciler := range reconcilers {
		if err := reconciler.SetupWithManager(mgr); err != nil {
			return fmt.Errorf("setting up the reconciler of %s: %w", kind, err)
		}
	}
	return nil
}
