package watch

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
)

// externalSecretIndex finds resources by the ExternalSecret that they name.
const externalSecretIndex = "externalSecretRef"

// +kubebuilder:rbac:groups=external-secrets.io,resources=externalsecrets,verbs=get;list;watch

// ExternalSecrets lets a controller follow the ExternalSecrets that its resources name. The watch begins when a resource is
// first found to name one of a cluster that has the kind: a watch of a kind that is not installed would keep the operator from
// starting, and nobody needs one who names none. Only metadata are watched: the status is read where it is used.
type ExternalSecrets struct {
	manager    ctrl.Manager
	controller controller.Controller
	list       client.ObjectList // of the kind that names ExternalSecrets

	mu       sync.Mutex
	watching bool
}

// NewExternalSecrets is for a controller whose resources, of the kind of the list, name ExternalSecrets.
func NewExternalSecrets(mgr ctrl.Manager, built controller.Controller, list client.ObjectList) *ExternalSecrets {
	return &ExternalSecrets{manager: mgr, controller: built, list: list}
}

// Follow begins the watch, unless it has begun. What was found out about the credentials of a resource reports whether the kind
// is installed. A resource that waits for the kind is looked at again soon, and then the watch begins.
func (e *ExternalSecrets) Follow(named []v1alpha1.ExternalSecretReference, found error) error {
	if len(named) == 0 || found != nil && failure.From(found).Reason == v1alpha1.ReasonExternalSecretsNotInstalled {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watching {
		return nil
	}
	kind := &metav1.PartialObjectMetadata{}
	kind.SetGroupVersionKind(credentials.ExternalSecretKind)
	fanout := NewFanout[*metav1.PartialObjectMetadata](e.naming)
	if err := e.controller.Watch(fanout); err != nil {
		return err
	}
	err := e.controller.Watch(source.Kind(e.manager.GetCache(), kind,
		fanout, predicate.TypedResourceVersionChangedPredicate[*metav1.PartialObjectMetadata]{}))
	e.watching = err == nil
	return err
}

// naming returns the resources that name an ExternalSecret.
func (e *ExternalSecrets) naming(ctx context.Context, external types.NamespacedName) (requests []reconcile.Request) {
	list := e.list.DeepCopyObject().(client.ObjectList)
	err := e.manager.GetClient().List(ctx, list, client.InNamespace(external.Namespace), client.MatchingFields{externalSecretIndex: external.Name})
	if err == nil {
		err = meta.EachListItem(list, func(item runtime.Object) error {
			object := item.(client.Object)
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}})
			return nil
		})
	}
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing what names an ExternalSecret")
	}
	return requests
}

// indexExternalSecrets makes the cache find resources by the ExternalSecret that they name.
func indexExternalSecrets(ctx context.Context, mgr ctrl.Manager, resolver *references.Resolver) error {
	for _, kind := range []client.Object{&v1alpha1.AccountingExport{}, &v1alpha1.ClaimSource{}, &v1alpha1.ExportDestination{}} {
		err := mgr.GetFieldIndexer().IndexField(ctx, kind, externalSecretIndex, func(object client.Object) (names []string) {
			for _, named := range resolver.ExternalSecrets(object) {
				names = append(names, named.Name)
			}
			return names
		})
		if err != nil {
			return err
		}
	}
	return nil
}
