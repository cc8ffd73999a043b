package exportdestination

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/references"
)

// counted is a reader that counts what is read.
type counted struct {
	client.Reader
	read int
}

// Get implements client.Reader.
func (c *counted) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	c.read++
	return c.Reader.Get(ctx, key, into, options...)
}

// TestExportsThatNameADestinationWhichDoesNotAdmitThemTakeNoTimeOfItsCheck has another tenant make very many of them.
func TestExportsThatNameADestinationWhichDoesNotAdmitThemTakeNoTimeOfItsCheck(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	destination := &v1alpha1.ExportDestination{
		ObjectMeta: metav1.ObjectMeta{Namespace: "expenses", Name: "books"},
		Spec: v1alpha1.ExportDestinationSpec{
			Filesystem: &v1alpha1.FilesystemDestination{},
			Access:     []v1alpha1.DestinationAccessRule{{NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tenant": "acme"}}}},
		},
	}
	objects := []client.Object{
		destination, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme", Labels: map[string]string{"tenant": "acme"}}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mallory"}},
	}
	naming := func(namespace, name string) *v1alpha1.AccountingExport {
		export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		export.Spec.DestinationRef = v1alpha1.NamespacedReference{Namespace: "expenses", Name: "books"}
		return export
	}
	objects = append(objects, naming("acme", "monthly"), naming("acme", "weekly"))
	for i := range 500 {
		objects = append(objects, naming("mallory", fmt.Sprint("export-", i)))
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithIndex(&v1alpha1.AccountingExport{}, watch.DestinationIndex, func(object client.Object) []string {
		return []string{references.DestinationKey(object.(*v1alpha1.AccountingExport)).String()}
	}).Build()
	objectsRead := &counted{Reader: c}
	r := &Reconciler{Recorder: &report.Recorder{Client: c}, Resolver: &references.Resolver{Objects: objectsRead}}
	namespaces, err := r.delivering(t.Context(), destination)
	if err != nil || !slices.Equal(namespaces, []string{"acme"}) {
		t.Fatalf("%q deliver there (%v), want acme", namespaces, err)
	}
	if objectsRead.read > 4 {
		t.Errorf("%d objects are read to find out who is admitted, want the destination and the namespace once for each of two namespaces", objectsRead.read)
	}
}
