package controllers

import (
	"context"
	"errors"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/fairqueue"
	"github.com/ledgerport/ledgerport/internal/metrics"
	"github.com/ledgerport/ledgerport/internal/references"
)

// ClaimSourceReconciler says whether a source can be read: its Secret, the database, tables, columns and index.
type ClaimSourceReconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	Resolver *references.Resolver
	Metrics  *metrics.Metrics
	// Recheck says when the next look is due, and which are asked for sooner.
	Recheck *Recheck

	external externalSecrets
	warnings *fallbackWarnings

	migrations *migrations
}

// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=claimsources,verbs=get;list;watch
// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=claimsources/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SetupWithManager registers the reconciler.
func (r *ClaimSourceReconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.warnings = newFallbackWarnings(r.Recorder)
	r.migrations = newMigrations(r.Resolver.MigrateDatabase, r.Recheck.Ask)
	if err := mgr.Add(r.migrations); err != nil {
		return err
	}
	r.external.manager, r.external.list = mgr, &v1alpha1.ClaimSourceList{}
	built, err := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ClaimSource{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WatchesRawSource(r.Recheck.asks()).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrentChecks, NewQueue: fairqueue.New(fairqueue.Limits{Workers: concurrentChecks, PerNamespace: checksPerNamespace})}).
		Build(r)
	r.external.controller = built
	return err
}

// Reconcile implements reconcile.Reconciler.
func (r *ClaimSourceReconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	var source v1alpha1.ClaimSource
	if err := r.Client.Get(ctx, req.NamespacedName, &source); err != nil || !source.DeletionTimestamp.IsZero() {
		if err == nil || apierrors.IsNotFound(err) {
			r.migrations.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := source.DeepCopy()
	defer func() {
		unrecorded := unlessUndecodable(ctx, source.Undecoded, record(ctx, r.Client, r.Recorder, before, &source))
		if unrecorded == nil {
			announce(r.Recorder, &source, before.Status.Conditions, source.Status.Conditions)
		}
		err = errors.Join(err, unrecorded)
	}()
	return r.reconcile(ctx, &source)
}

func (r *ClaimSourceReconciler) reconcile(ctx context.Context, source *v1alpha1.ClaimSource) (ctrl.Result, error) {
	if (conditions{&source.Status.Conditions, source.Generation}).undecodable(source.Undecoded) {
		source.Status.ObservedGeneration = source.Generation
		return ctrl.Result{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	found, err := r.Resolver.SourceCredentials(ctx, source)
	if err := r.external.follow(externalSecretOf(source), err); err != nil {
		return ctrl.Result{}, err
	}
	var inspection claims.Inspection
	if err == nil {
		r.warnings.tell(source, found, time.Now())
		inspection, err = r.inspect(ctx, source)
		err = r.migrating(source, err)
	}
	var failed *failure.Error
	if err != nil {
		failed = failure.From(failure.On(v1alpha1.ConditionSourceReady, err))
		r.Metrics.Failed(failed)
		logUnexpected(ctx, failed)
	}
	describeSource(source, inspection, found, failed)
	return ctrl.Result{RequeueAfter: untilStale(r.Recheck.after(ctx, failed == nil, source.Status.Conditions), found)}, nil
}

func (r *ClaimSourceReconciler) inspect(ctx context.Context, source *v1alpha1.ClaimSource) (claims.Inspection, error) {
	database, err := r.Resolver.OpenDatabase(ctx, source)
	if err != nil {
		return claims.Inspection{}, err
	}
	defer database.Close()
	inspection, err := database.Check(ctx)
	if err != nil {
		return inspection, err
	}
	ledger, err := r.Resolver.CheckLedger(ctx, database, source, nil)
	if err == nil {
		source.Status.LedgerID = ledger.ID
	}
	return inspection, err
}

// describeSource puts what was found into the status.
func describeSource(source *v1alpha1.ClaimSource, inspection claims.Inspection, found credentials.Credentials, failed *failure.Error) {
	source.Status.ObservedGeneration = source.Generation
	set := conditions{&source.Status.Conditions, source.Generation}
	describeCredentials(set, found, failed)
	if failed != nil {
		set.set(v1alpha1.ConditionIndexed, metav1.ConditionUnknown, failed.Reason, "the tables could not be looked at")
		set.set(v1alpha1.ConditionIsolated, metav1.ConditionUnknown, failed.Reason, "the tables could not be looked at")
		if failed.Reason == v1alpha1.ReasonInsecureConnection {
			set.set(v1alpha1.ConditionEncrypted, metav1.ConditionFalse, failed.Reason, failed.Message)
		} else {
			set.set(v1alpha1.ConditionEncrypted, metav1.ConditionUnknown, failed.Reason, "the database could not be looked at")
		}
		set.failed(failed)
		return
	}
	source.Status.SchemaVersion = inspection.SchemaVersion
	if inspection.MissingIndex == "" {
		set.set(v1alpha1.ConditionIndexed, metav1.ConditionTrue, v1alpha1.ReasonIndexed, "an index serves the query for approved claims")
	} else {
		set.set(v1alpha1.ConditionIndexed, metav1.ConditionFalse, v1alpha1.ReasonIndexMissing, inspection.MissingIndex)
	}
	if inspection.Insecure == "" {
		set.set(v1alpha1.ConditionEncrypted, metav1.ConditionTrue, v1alpha1.ReasonEncrypted, "the connection is encrypted, and the server's certificate was verified")
	} else {
		set.set(v1alpha1.ConditionEncrypted, metav1.ConditionFalse, v1alpha1.ReasonInsecureConnection, inspection.Insecure)
	}
	switch {
	case inspection.ForeignRows != "":
		set.set(v1alpha1.ConditionIsolated, metav1.ConditionFalse, v1alpha1.ReasonForeignRows,
			"policies of row-level security bind the role, and do not hold: "+inspection.ForeignRows+"; ledgerport grants makes policies for this source")
	case len(inspection.Unprotected) == 0:
		set.set(v1alpha1.ConditionIsolated, metav1.ConditionTrue, v1alpha1.ReasonRowSecurity, "policies of row-level security bind the role to one organisation at a time, and it saw nothing of another")
	default:
		set.set(v1alpha1.ConditionIsolated, metav1.ConditionFalse, v1alpha1.ReasonNoRowSecurity,
			"no policy of row-level security binds the role in "+strings.Join(inspection.Unprotected, ", ")+
				": it is a superuser, has BYPASSRLS, owns the table, or the table has none; ledgerport grants makes role and policies")
	}
	set.ready(v1alpha1.ReasonReady, "the database can be read, and its tables are as declared")
}

const (
	// checkTimeout bounds one look at a database or destination.
	checkTimeout = 10 * time.Second
	// concurrentChecks lets other resources be looked at while one hangs, and checksPerNamespace those of other namespaces while
	// many of one do.
	concurrentChecks   = 8
	checksPerNamespace = 2
)
