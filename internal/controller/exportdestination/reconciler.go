// Package exportdestination reconciles ExportDestinations.
package exportdestination

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/metrics"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/texts"
)

// Reconciler reports whether a destination can be written.
type Reconciler struct {
	*report.Recorder
	Resolver *references.Resolver
	Metrics  *metrics.Metrics
	// Recheck says when the next look is due, and which are asked for sooner.
	Recheck *watch.Recheck

	external *watch.ExternalSecrets
	warnings *report.FallbackWarnings
}

// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=exportdestinations,verbs=get;list;watch
// +kubebuilder:rbac:groups=accounting.ledgerport.dev,resources=exportdestinations/status,verbs=patch

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.warnings = report.NewFallbackWarnings(r.Events)
	built, err := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ExportDestination{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(r.Recheck.Asks()).
		WithOptions(watch.Checkers()).
		Build(r)
	r.external = watch.NewExternalSecrets(mgr, built, &v1alpha1.ExportDestinationList{})
	return err
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var destination v1alpha1.ExportDestination
	return r.Check(ctx, req.NamespacedName, &destination, func() (ctrl.Result, error) { return r.look(ctx, &destination) })
}

func (r *Reconciler) look(ctx context.Context, destination *v1alpha1.ExportDestination) (ctrl.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, watch.CheckTimeout)
	defer cancel()
	var notes []string
	destination.Status.Refused = nil
	found, err := r.Resolver.DestinationCredentials(ctx, destination)
	if err := r.external.Follow(r.Resolver.ExternalSecrets(destination), err); err != nil {
		return ctrl.Result{}, err
	}
	if err == nil {
		r.warnings.Warn(destination, found, time.Now())
		notes, err = r.check(ctx, destination, found)
	}
	var failed *failure.Error
	if err != nil {
		failed = failure.From(failure.On(v1alpha1.ConditionDestinationReady, err))
		r.Metrics.Failed(failed)
		report.LogUnexpected(ctx, failed)
	}
	set := report.Of(destination)
	report.DescribeCredentials(set, found, failed)
	r.describeEncryption(set, destination)
	if failed != nil {
		set.Failed(failed)
	} else {
		set.Ready(v1alpha1.ReasonReady, strings.Join(append([]string{"the destination can be written"}, notes...), "; "))
	}
	return ctrl.Result{RequeueAfter: watch.UntilStale(r.Recheck.AfterLook(ctx, failed == nil, destination.Status.Conditions), found)}, nil
}

func (r *Reconciler) check(ctx context.Context, destination *v1alpha1.ExportDestination, login credentials.Credentials) (notes []string, err error) {
	if err := r.Resolver.RefuseDestination(destination); err != nil {
		return nil, err
	}
	kind, err := r.Resolver.Destinations.Of(destination)
	if err != nil {
		return nil, err
	}
	opened, err := r.Resolver.OpenDestination(ctx, destination, login)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	namespaces, err := r.delivering(ctx, destination)
	if err != nil {
		return nil, err
	}
	whole, err := opened.Check(ctx, "")
	if len(namespaces) == 0 || !kind.Directories { // names do not stand in each other's way
		return whole.Notes, err
	}
	if err != nil && failure.From(err).Reason != v1alpha1.ReasonNotWritable { // else the operator may have the directories alone
		return nil, err
	}
	notes, refused := checkDirectories(ctx, opened, namespaces)
	if notes == nil {
		notes = whole.Notes
		if err != nil {
			return nil, err
		}
	}
	if err == nil && len(refused) > 0 { // the destination may have come to an end meanwhile
		if _, err := opened.Check(ctx, ""); err != nil && ctx.Err() == nil {
			return nil, err
		}
	}
	destination.Status.Refused = refused
	return notes, nil
}

// checkDirectories looks at the directories of namespaces, as many as there is time for: a tenant may have put into theirs what takes any time, and
// each run looks at its own. The notes are those of one that works, and nil if none does.
func checkDirectories(ctx context.Context, opened destinations.Destination, namespaces []string) (notes []string, refused []v1alpha1.RefusedNamespace) {
	for _, namespace := range namespaces {
		switch checked, err := checkDirectory(ctx, opened, namespace); {
		case ctx.Err() != nil:
			return notes, refused
		case errors.Is(err, errLate):
		case err != nil:
			failed := failure.From(err)
			refused = append(refused, v1alpha1.RefusedNamespace{
				Namespace: namespace, Reason: failed.Reason, Message: texts.Printable(failed.Message, report.MaxMessage),
			})
		case notes == nil:
			notes = append([]string{}, checked.Notes...)
		}
	}
	return notes, refused
}

// errLate says that a directory took more time than it may.
var errLate = errors.New("the time for one directory is over")

// checkDirectory looks at the directory of a namespace, for half of the time that is left.
func checkDirectory(ctx context.Context, opened destinations.Destination, namespace string) (destinations.Checked, error) {
	until, limited := ctx.Deadline()
	if !limited {
		return opened.Check(ctx, namespace)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Until(until)/2, errLate)
	defer cancel()
	checked, err := opened.Check(ctx, namespace)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return checked, err
}

// mostDelivering bounds the namespaces whose directories a check looks at. Each run looks at its own.
const mostDelivering = 20

// delivering are the namespaces that deliver to a destination, and that it admits. Each is asked about once: anybody may make any number of
// exports that name a destination which does not admit them, and its check has little time.
func (r *Reconciler) delivering(ctx context.Context, destination *v1alpha1.ExportDestination) (namespaces []string, err error) {
	var exports v1alpha1.AccountingExportList
	if err := r.Client.List(ctx, &exports, client.MatchingFields{watch.DestinationIndex: client.ObjectKeyFromObject(destination).String()}); err != nil {
		return nil, err
	}
	naming := map[string]*v1alpha1.AccountingExport{}
	for i := range exports.Items {
		naming[exports.Items[i].Namespace] = &exports.Items[i]
	}
	for _, namespace := range slices.Sorted(maps.Keys(naming)) {
		if len(namespaces) == mostDelivering {
			break
		}
		if _, err := r.Resolver.Destination(ctx, naming[namespace]); err == nil {
			namespaces = append(namespaces, namespace)
		}
	}
	return namespaces, nil
}

// describeEncryption reports whether what is delivered is encrypted on its way, if it goes over a network. How a volume comes to the
// node is the administrator's.
func (r *Reconciler) describeEncryption(set report.Conditions, destination *v1alpha1.ExportDestination) {
	kind, err := r.Resolver.Destinations.Of(destination)
	if err != nil || kind.Encryption == nil {
		meta.RemoveStatusCondition(set.Conditions, v1alpha1.ConditionEncrypted)
		return
	}
	encrypted, how := kind.Encryption(destination)
	if encrypted {
		set.Set(v1alpha1.ConditionEncrypted, metav1.ConditionTrue, v1alpha1.ReasonEncrypted, how)
	} else {
		set.Set(v1alpha1.ConditionEncrypted, metav1.ConditionFalse, v1alpha1.ReasonNotEncrypted, how)
	}
}
