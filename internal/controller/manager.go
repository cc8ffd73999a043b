package controller

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/nesting"
)

// NewManager returns a manager whose client and cache are for objects of tenants who do not trust each other: nothing that one stores
// ends the lists and watches of all, the cache keeps of each object what is read, and no List waits for another tenant's writes. A
// reconcile sees what the one before it wrote.
func NewManager(config *rest.Config, options ctrl.Options) (ctrl.Manager, error) {
	config = rest.CopyConfig(config)
	config.Wrap(nesting.Limit)
	if options.Client.Cache == nil {
		options.Client.Cache = &client.CacheOptions{}
	}
	options.Client.Cache.EnableReadYourWritesConsistency = ptr.To(true)
	options.NewClient = NewClient
	options.Cache.DefaultTransform = lean
	return ctrl.NewManager(config, options)
}

// lean leaves out of an object what the operator does not read, and that would be in its memory, once more for each object: who has
// set which field, labels of other objects than namespaces, options beyond the size that is read, and what others have noted, such as
// all of it by kubectl. What is written is the difference to what was read.
func lean(object any) (any, error) {
	described, err := meta.Accessor(object)
	if err != nil {
		return object, nil //nolint:nilerr // a mark of the cache's own
	}
	described.SetManagedFields(nil)
	if _, isNamespace := object.(*corev1.Namespace); !isNamespace {
		described.SetLabels(nil)
	}
	if export, isExport := object.(*v1alpha1.AccountingExport); isExport {
		export.Spec.Exporter.Options = enough(export.Spec.Exporter.Options)
	}
	annotations := described.GetAnnotations()
	maps.DeleteFunc(annotations, func(name, _ string) bool { return !strings.HasPrefix(name, v1alpha1.GroupVersion.Group+"/") })
	described.SetAnnotations(annotations)
	return object, nil
}

// enough returns options as they are, or what tells that they are too large.
func enough(options *apiextensionsv1.JSON) *apiextensionsv1.JSON {
	if options == nil || len(options.Raw) <= exporters.MaxOptionsSize {
		return options
	}
	return &apiextensionsv1.JSON{Raw: slices.Clone(options.Raw[:exporters.MaxOptionsSize+1])}
}
