package controllers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
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
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrentChecks, NewQueue: fairqueue.New(fairqueue.Limits{Workers: concurrentChecks, PerNamespace: checksPerNamespace})}).
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
		unrecorded := unlessUndecodable(ctx, destination.Undecoded, record(ctx, r.Client, r.Recorder, before, &destination))
		if unrecorded == nil {
			announce(r.Recorder, &destination, before.Status.Conditions, destination.Status.Conditions)
		}
		err = errors.Join(err, unrecorded)
	}()
	return r.reconcile(ctx, &destination)
}

func (r *ExportDestinationReconciler) reconcile(ctx context.Context, destination *v1alpha1.ExportDestination) (ctrl.Result, error) {
	if (conditions{&destination.Status.Conditions, destination.Generation}).undecodable(destination.Undecoded) {
		destination.Status.ObservedGeneration = destination.Generation
		return ctrl.Result{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var notes []string
	destination.Status.Refused = nil
	found, err := r.Resolver.DestinationCredentials(ctx, destination)
	if err := r.external.follow(externalSecretOf(destination), err); err != nil {
		return ctrl.Result{}, err
	}
	if err == nil {
		r.warnings.tell(destination, found, time.Now())
		notes, err = r.check(ctx, destination)
	}
	var failed *failure.Error
	if err != nil {
		failed = failure.From(failure.On(v1alpha1.ConditionDestinationReady, err))
		r.Metrics.Failed(failed)
		logUnexpected(ctx, failed)
	}
	destination.Status.ObservedGeneration = destination.Generation
	set := conditions{&destination.Status.Conditions, destination.Generation}
	describeCredentials(set, found, failed)
	describeEncryption(set, destination)
	if failed != nil {
		set.failed(failed)
	} else {
		set.ready(v1alpha1.ReasonReady, strings.Join(append([]string{"the destination can be written"}, notes...), "; "))
	}
	return ctrl.Result{RequeueAfter: untilStale(r.Recheck.after(ctx, failed == nil, destination.Status.Conditions), found)}, nil
}

func (r *ExportDestinationReconciler) check(ctx context.Context, destination *v1alpha1.ExportDestination) (notes []string, err error) {
	if err := r.Resolver.Restrictions.RefuseDestination(destination); err != nil {
		return nil, err
	}
	opened, err := r.Resolver.OpenDestination(ctx, destination)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	namespaces, err := r.delivering(ctx, destination)
	if err != nil {
		return nil, err
	}
	if len(namespaces) == 0 || destination.Spec.S3 != nil { // whose names do not stand in each other's way
		checked, err := references.CheckDestination(ctx, opened, "")
		return checked.Notes, err
	}
	for _, namespace := range namespaces {
		checked, err := references.CheckDestination(ctx, opened, namespace)
		notes = checked.Notes
		if err == nil {
			continue
		}
		if _, whole := references.CheckDestination(ctx, opened, ""); whole != nil {
			return nil, whole
		}
		failed := failure.From(err)
		destination.Status.Refused = append(destination.Status.Refused, v1alpha1.RefusedNamespace{
			Namespace: namespace, Reason: failed.Reason, Message: shorten(failed.Message),
		})
	}
	return notes, nil
}

// mostDelivering bounds the namespaces whose directories a check looks at. Each run looks at its own.
const mostDelivering = 20

// delivering are the namespaces that deliver to a destination, and that it admits.
func (r *ExportDestinationReconciler) delivering(ctx context.Context, destination *v1alpha1.ExportDestination) (namespaces []string, err error) {
	var exports v1alpha1.AccountingExportList
	if err := r.Client.List(ctx, &exports, client.MatchingFields{destinationIndex: client.ObjectKeyFromObject(destination).String()}); err != nil {
		return nil, err
	}
	slices.SortFunc(exports.Items, func(a, b v1alpha1.AccountingExport) int { return strings.Compare(a.Namespace, b.Namespace) })
	for i := range exports.Items {
		namespace := exports.Items[i].Namespace
		if len(namespaces) == mostDelivering || len(namespaces) > 0 && namespaces[len(namespaces)-1] == namespace {
			continue
		}
		if _, err := r.Resolver.Destination(ctx, &exports.Items[i]); err == nil {
			namespaces = append(namespaces, namespace)
		}
	}
	return namespaces, nil
}

// describeEncryption says whether what is delivered is encrypted on its way. Nothing is sent to a directory of the operator's
// volume; how its filesystem comes to the node is the administrator's.
func describeEncryption(set conditions, destination *v1alpha1.ExportDestination) {
	switch spec := destination.Spec; {
	case spec.Filesystem != nil:
		meta.RemoveStatusCondition(set.list, v1alpha1.ConditionEncrypted)
	case !destinations.Encrypted(spec):
		set.set(v1alpha1.ConditionEncrypted, metav1.ConditionFalse, v1alpha1.ReasonNotEncrypted, "spec.s3.endpoint is plain HTTP; whoever is in between can read and change what is delivered")
	case spec.SFTP != nil:
		set.set(v1alpha1.ConditionEncrypted, metav1.ConditionTrue, v1alpha1.ReasonEncrypted, "the server is reached by SSH, and proves to have one of its known host keys")
	default:
		set.set(v1alpha1.ConditionEncrypted, metav1.ConditionTrue, v1alpha1.ReasonEncrypted, "the bucket is reached by TLS, and its server's certificate is verified")
	}
}
