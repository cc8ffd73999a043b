package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/fairqueue"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/ledger"
)

// ChartOfAccountsReconciler says whether a chart can be used: every account and tax code that a rule names is defined,
// and every expression compiles.
type ChartOfAccountsReconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
}

// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=chartsofaccounts,verbs=get;list;watch
// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=chartsofaccounts/status,verbs=patch

// SetupWithManager registers the reconciler.
func (r *ChartOfAccountsReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ChartOfAccounts{}).
		WithEventFilter(predicate.GenerationChangedPredicate{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, NewQueue: fairqueue.New(fairqueue.Limits{Workers: workers, PerNamespace: 1})}). // to compile one takes all of a core
		Complete(r)
}

// Reconcile implements reconcile.Reconciler.
func (r *ChartOfAccountsReconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	var chart v1alpha1.ChartOfAccounts
	if err := r.Client.Get(ctx, req.NamespacedName, &chart); err != nil || !chart.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := chart.DeepCopy()
	defer func() {
		unrecorded := unlessUndecodable(ctx, chart.Undecoded, record(ctx, r.Client, r.Recorder, before, &chart))
		if unrecorded == nil {
			announce(r.Recorder, &chart, before.Status.Conditions, chart.Status.Conditions)
		}
		err = errors.Join(err, unrecorded)
	}()
	chart.Status.ObservedGeneration = chart.Generation
	set := conditions{&chart.Status.Conditions, chart.Generation}
	if set.undecodable(chart.Undecoded) {
		return ctrl.Result{}, nil
	}
	if _, err := references.Mapper(&chart.Spec, ledger.VoucherPolicy{Location: time.UTC}); err != nil {
		set.failed(failure.From(err))
		return ctrl.Result{}, nil
	}
	set.ready(v1alpha1.ReasonReady, fmt.Sprintf("%d accounts and %d rules can be used", len(chart.Spec.Accounts), len(chart.Spec.Rules)))
	return ctrl.Result{}, nil
}
