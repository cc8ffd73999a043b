// Package chartofaccounts reconciles ChartsOfAccounts.
package chartofaccounts

import (
	"context"
	"fmt"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/ledger"
)

// Reconciler reports whether a chart can be used: every account and tax code that a rule names is defined,
// and every expression compiles.
type Reconciler struct {
	*report.Recorder
}

// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=chartsofaccounts,verbs=get;list;watch
// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=chartsofaccounts/status,verbs=patch

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ChartOfAccounts{}).
		WithEventFilter(predicate.GenerationChangedPredicate{}).
		WithOptions(watch.Compilers()).
		Complete(r)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var chart v1alpha1.ChartOfAccounts
	return r.Check(ctx, req.NamespacedName, &chart, func() (ctrl.Result, error) {
		check(&chart)
		return ctrl.Result{}, nil
	})
}

func check(chart *v1alpha1.ChartOfAccounts) {
	set := report.Of(chart)
	if _, err := references.Mapper(&chart.Spec, ledger.VoucherPolicy{Location: time.UTC}); err != nil {
		set.Failed(failure.From(err))
		return
	}
	set.Ready(v1alpha1.ReasonReady, fmt.Sprintf("%d accounts and %d rules can be used", len(chart.Spec.Accounts), len(chart.Spec.Rules)))
}
