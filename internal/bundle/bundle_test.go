package bundle_test

import (
	"io"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/bundle"
)

// TestAReportIsMadeWhateverIsInAResourceOfAnotherNamespace has the owner of a source annotate it with what YAML does not take as it is.
func TestAReportIsMadeWhateverIsInAResourceOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	cluster := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}},
		&v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "monthly"}, Spec: v1alpha1.AccountingExportSpec{SourceRef: v1alpha1.NamespacedReference{Namespace: "globex", Name: "claims"}}},
		&v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Namespace: "globex", Name: "claims", Annotations: map[string]string{"accounting.ledgerport.dev/x": "\u009b"}}},
	).Build()
	_, err := bundle.Write(t.Context(), io.Discard, bundle.Request{Cluster: cluster, API: kubefake.NewClientset(), Namespace: "acme", Operator: "ledgerport-system", Now: time.Now()})
	if err != nil {
		t.Errorf("the report about the namespace acme cannot be written: %v", err)
	}
}
