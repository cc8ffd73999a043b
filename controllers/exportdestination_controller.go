package controllers

import (
	"context"
	"errors"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/fairqueue"
	"github.com/ledgerport/ledgerport/internal/metrics"
	"github.com/ledgerport/ledgerport/internal/references"
)

// ExportDestinationReconciler says whether a destination can be written.
type ExportDestinationReconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	Resolver *references.Resolver
	Metrics  *metrics.Metrics
	// Recheck says when the next look is due, and which are asked for sooner.
	Recheck *Recheck

	external externalSecrets
	warnings *fallbackWarnings
}

// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=exportdestinations,verbs=get;list;watch
// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=exportdestinations/status,verbs=patch

// SetupWithManager registers the reconciler.
func (r *ExportDestinationReconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.warnings = newFallbackWarnings(r.Recorder)
	r.external.manager, r.external.list = mgr, &v1alpha1.ExportDestinationList{}
	built, err := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ExportDestination{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(r.Recheck.asks()).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrentChecks, NewQueue: fairqueue.New(checksPerNamespace)}).
		Build(r)
	r.external.controller = built
	return err
}

// Reconcile implements reconcile.Reconciler.
func (r *ExportDestinationReconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	var destination v1alpha1.ExportDestination
	if err := r.Client.Get(ctx, req.NamespacedName, &destination); err != nil || !destination.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := destination.DeepCopy()
	defer func() {
		unrecorded := patchStatus(ctx, r.Client, before, &destination)
		if unrecorded == nil {
			announce(r.Recorder, &destination, before.Status.Conditions, destination.Status.Conditions)
		}
		err = errors.Join(err, unrecorded)
	}()
	return r.reconcile(ctx, &destination)
}

func (r *ExportDestinationReconciler) reconcile(ctx context.Context, destination *v1alpha1.ExportDestination) (ctrl.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	found, err := r.Resolver.DestinationCredentials(ctx, destination)
	if err := r.external.follow(externalSecretOf(destination), err); err != nil {
		return ctrl.Result{}, err
	}
	if err == nil {
		r.warnings.tell(destination, found, time.Now())
		err = r.check(ctx, destination)
	}
	var failed *failure.Error
	if err != nil {
		failed = failure.From(failure.On(v1alpha1.ConditionDestinationReady, err))
		r.Metrics.Failed(failed)
	}
	destination.Status.ObservedGeneration = destination.Generation
	set := conditions{&destination.Status.Conditions, destination.Generation}
	describeCredentials(set, found, failed)
	if failed != nil {
		set.failed(failed)
	} else {
		set.ready(v1alpha1.ReasonReady, "the destination can be written")
	}
	return ctrl.Result{RequeueAfter: untilStale(r.Recheck.after(ctx, failed == nil, destination.Status.Conditions), found)}, nil
}

func (r *ExportDestinationReconciler) check(ctx context.Context, destination *v1alpha1.ExportDestination) (err error) {
	if err := r.Resolver.Restrictions.RefuseDestination(destination); err != nil {
		return err
	}
	opened, err := r.Resolver.OpenDestination(ctx, destination)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return references.CheckDestination(ctx, opened)
}
