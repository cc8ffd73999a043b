package controller

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
)

func TestTheCacheKeepsWhatIsRead(t *testing.T) {
	t.Parallel()
	of := metav1.ObjectMeta{
		Name: "claims", Labels: map[string]string{"team": "books"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		Annotations:   map[string]string{"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 200_000), v1alpha1.AcceptedLedgerAnnotation: "id"},
	}
	source := &v1alpha1.ClaimSource{ObjectMeta: *of.DeepCopy()}
	kept, err := lean(source)
	if kept != source || err != nil || source.Name != "claims" || len(source.Labels) != 0 || len(source.ManagedFields) != 0 ||
		len(source.Annotations) != 1 || source.Annotations[v1alpha1.AcceptedLedgerAnnotation] != "id" {
		t.Errorf("it is %+v (%v)", source.ObjectMeta, err)
	}
	namespace := &corev1.Namespace{ObjectMeta: *of.DeepCopy()}
	if _, err := lean(namespace); err != nil || namespace.Labels["team"] != "books" {
		t.Errorf("a namespace is %+v (%v): a ClaimSource may admit it by its labels", namespace.ObjectMeta, err)
	}
	export := &v1alpha1.AccountingExport{}
	export.Spec.Exporter.Options = &apiextensionsv1.JSON{Raw: []byte(`{"a":"` + strings.Repeat("x", 1<<20) + `"}`)}
	if _, err := lean(export); err != nil || cap(export.Spec.Exporter.Options.Raw) > 2*exporters.MaxOptionsSize || len(export.Spec.Exporter.Options.Raw) <= exporters.MaxOptionsSize {
		t.Errorf("%d bytes of options are kept (%v), want just more than may be", len(export.Spec.Exporter.Options.Raw), err)
	}
	if kept, err := lean("no object"); kept != "no object" || err != nil {
		t.Errorf("of what is no object comes %v (%v)", kept, err)
	}
}

// TestAListCopiesNothingAndWaitsForNobody looks at what the cache is asked for.
func TestAListCopiesNothingAndWaitsForNobody(t *testing.T) {
	t.Parallel()
	asked := &listing{}
	if err := (patient{asked}).List(t.Context(), &v1alpha1.ExportRunList{}, client.InNamespace("acme")); err != nil {
		t.Fatal(err)
	}
	var options client.ListOptions
	options.ApplyOptions(asked.options)
	if options.Namespace != "acme" || options.UnsafeDisableDeepCopy == nil || !*options.UnsafeDisableDeepCopy ||
		!options.DisableReadYourWritesConsistency {
		t.Errorf("the options are %+v", options)
	}
}

// listing remembers the options of a list.
type listing struct {
	client.Client
	options []client.ListOption
}

// List implements client.Reader.
func (l *listing) List(_ context.Context, _ client.ObjectList, options ...client.ListOption) error {
	l.options = options
	return nil
}
