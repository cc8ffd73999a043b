// Package claimsource reconciles ClaimSources.
package claimsource

import (
	"context"
	"errors"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/metrics"
	"github.com/ledgerport/ledgerport/internal/references"
)

// Reconciler reports whether a source can be read: its Secret, the database, tables, columns and index.
type Reconciler struct {
	*report.Recorder
	Resolver *references.Resolver
	Metrics  *metrics.Metrics
	// Recheck says when the next look is due, and which are asked for sooner.
	Recheck *watch.Recheck

	external *watch.ExternalSecrets
	warnings *report.FallbackWarnings

	migrations *migrations
}

// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=claimsources,verbs=get;list;watch
// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=claimsources/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.warnings = report.NewFallbackWarnings(r.Events)
	r.migrations = newMigrations(r.Resolver.MigrateDatabase, r.Recheck.Ask)
	if err := mgr.Add(r.migrations); err != nil {
		return err
	}
	built, err := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ClaimSource{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WatchesRawSource(r.Recheck.Asks()).
		WithOptions(watch.Checkers()).
		Build(r)
	r.external = watch.NewExternalSecrets(mgr, built, &v1alpha1.ClaimSourceList{})
	return err
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var source v1alpha1.ClaimSource
	result, err := r.Check(ctx, req.NamespacedName, &source, func() (ctrl.Result, error) { return r.look(ctx, &source) })
	if err == nil && (source.UID == "" || !source.DeletionTimestamp.IsZero()) {
		r.migrations.forget(req.NamespacedName)
	}
	return result, err
}

func (r *Reconciler) look(ctx context.Context, source *v1alpha1.ClaimSource) (ctrl.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, watch.CheckTimeout)
	defer cancel()
	found, err := r.Resolver.SourceCredentials(ctx, source)
	if err := r.external.Follow(r.Resolver.ExternalSecrets(source), err); err != nil {
		return ctrl.Result{}, err
	}
	var inspection claims.Inspection
	if err == nil {
		var receipts credentials.Credentials
		inspection, receipts, err = r.inspect(ctx, source, found)
		err = r.migrating(source, err)
		found = found.Beside(receipts)
		r.warnings.Warn(source, found, time.Now())
	}
	var failed *failure.Error
	if err != nil {
		failed = failure.From(failure.On(v1alpha1.ConditionSourceReady, err))
		r.Metrics.Failed(failed)
		report.LogUnexpected(ctx, failed)
	}
	describeSource(source, inspection, found, failed)
	return ctrl.Result{RequeueAfter: watch.UntilStale(r.Recheck.AfterLook(ctx, failed == nil, source.Status.Conditions), found)}, nil
}

// inspect looks at the database and at the store of the receipts, and returns what the latter was read with.
func (r *Reconciler) inspect(ctx context.Context, source *v1alpha1.ClaimSource, login credentials.Credentials) (inspection claims.Inspection, receipts credentials.Credentials, err error) {
	if inspection, err = r.inspectDatabase(ctx, source, login); err != nil {
		return inspection, receipts, late(ctx, err, v1alpha1.ReasonDatabaseUnreachable, "the database")
	}
	receipts, err = r.Resolver.CheckReceipts(ctx, source)
	return inspection, receipts, late(ctx, err, v1alpha1.ReasonReceiptsUnreadable, "the store of the receipts (spec.receipts)")
}

func (r *Reconciler) inspectDatabase(ctx context.Context, source *v1alpha1.ClaimSource, login credentials.Credentials) (inspection claims.Inspection, err error) {
	database, err := r.Resolver.OpenDatabase(ctx, source, login)
	if err != nil {
		return inspection, err
	}
	defer database.Close()
	if inspection, err = database.Check(ctx); err != nil {
		return inspection, err
	}
	ledger, err := r.Resolver.CheckLedger(ctx, database, source, nil)
	if err == nil {
		source.Status.LedgerID = ledger.ID
	}
	return inspection, err
}

// late returns what a look has found, or, if it ended for want of time alone, a failure that says of what it waited.
func late(ctx context.Context, err error, reason v1alpha1.Reason, what string) error {
	var failed *failure.Error
	if err == nil || errors.As(err, &failed) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	return failure.OnSource.Transient(reason, err, "%s answers so slowly that it could not be looked at within %s", what, watch.CheckTimeout)
}

// describeSource puts what was found into the status.
func describeSource(source *v1alpha1.ClaimSource, inspection claims.Inspection, found credentials.Credentials, failed *failure.Error) {
	set := report.Of(source)
	report.DescribeCredentials(set, found, failed)
	if failed != nil {
		set.Set(v1alpha1.ConditionIndexed, metav1.ConditionUnknown, failed.Reason, "the tables could not be looked at")
		set.Set(v1alpha1.ConditionIsolated, metav1.ConditionUnknown, failed.Reason, "the tables could not be looked at")
		if failed.Reason == v1alpha1.ReasonInsecureConnection {
			set.Set(v1alpha1.ConditionEncrypted, metav1.ConditionFalse, failed.Reason, failed.Message)
		} else {
			set.Set(v1alpha1.ConditionEncrypted, metav1.ConditionUnknown, failed.Reason, "the database could not be looked at")
		}
		set.Failed(failed)
		return
	}
	source.Status.SchemaVersion = inspection.SchemaVersion
	if inspection.MissingIndex == "" {
		set.Set(v1alpha1.ConditionIndexed, metav1.ConditionTrue, v1alpha1.ReasonIndexed, "an index serves the query for approved claims")
	} else {
		set.Set(v1alpha1.ConditionIndexed, metav1.ConditionFalse, v1alpha1.ReasonIndexMissing, inspection.MissingIndex)
	}
	if inspection.Insecure == "" {
		set.Set(v1alpha1.ConditionEncrypted, metav1.ConditionTrue, v1alpha1.ReasonEncrypted, "the connection is encrypted, and the server's certificate was verified")
	} else {
		set.Set(v1alpha1.ConditionEncrypted, metav1.ConditionFalse, v1alpha1.ReasonInsecureConnection, inspection.Insecure)
	}
	switch {
	case inspection.ForeignRows != "":
		set.Set(v1alpha1.ConditionIsolated, metav1.ConditionFalse, v1alpha1.ReasonForeignRows,
			"policies of row-level security bind the role, and do not hold: "+inspection.ForeignRows+"; ledgerport grants makes policies for this source")
	case len(inspection.Unprotected) == 0:
		set.Set(v1alpha1.ConditionIsolated, metav1.ConditionTrue, v1alpha1.ReasonRowSecurity, "policies of row-level security bind the role to one organisation at a time, and it saw nothing of another")
	default:
		set.Set(v1alpha1.ConditionIsolated, metav1.ConditionFalse, v1alpha1.ReasonNoRowSecurity,
			"no policy of row-level security binds the role in "+strings.Join(inspection.Unprotected, ", ")+
				": it is a superuser, has BYPASSRLS, owns the table, or the table has none; ledgerport grants makes role and policies")
	}
	set.Ready(v1alpha1.ReasonReady, "the database can be read, and its tables are as declared")
}
