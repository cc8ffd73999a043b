package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
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

// TestAReportTellsOfOtherNamespacesHowTheirResourcesAre has an export name a source and a destination that admit nobody.
func TestAReportTellsOfOtherNamespacesHowTheirResourcesAre(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	theirs := metav1.ObjectMeta{Namespace: "victim", Name: "finance", Generation: 7, Labels: map[string]string{"victims-label": "x"}, Annotations: map[string]string{"victims-note": "x"}}
	conditions := []metav1.Condition{{Type: v1alpha1.ConditionIndexed, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonIndexMissing, Message: "create an index on victims_table"}}
	destination := &v1alpha1.ExportDestination{ObjectMeta: theirs, Spec: v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{
		Bucket: "victims-books", Endpoint: "https://inside.victim.example",
		CredentialsSecretRef: &v1alpha1.S3Credentials{LocalReference: v1alpha1.LocalReference{Name: "victims-secret"}},
	}}}
	destination.Status.Conditions = conditions
	destination.Status.Refused = []v1alpha1.RefusedNamespace{{Namespace: "victims-other", Message: "victims-path"}}
	source := &v1alpha1.ClaimSource{ObjectMeta: theirs}
	source.Spec.Postgres.CABundle, source.Status.Conditions = "victims-authority", conditions
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: "x"}, Spec: v1alpha1.AccountingExportSpec{
		OrganizationID: "o", SourceRef: v1alpha1.NamespacedReference{Namespace: "victim", Name: "finance"}, DestinationRef: v1alpha1.NamespacedReference{Namespace: "victim", Name: "finance"},
	}}
	var out bytes.Buffer
	_, err := bundle.Write(t.Context(), &out, bundle.Request{
		Cluster: fake.NewClientBuilder().WithScheme(scheme).WithObjects(destination, source, export).Build(), API: kubefake.NewClientset(), Namespace: "tenant", Operator: "o", Now: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		content, readErr := io.ReadAll(archive)
		if err = errors.Join(err, readErr); err != nil {
			t.Fatal(err)
		}
		if told[header.Name] = string(content); strings.Contains(strings.ReplaceAll(string(content), "namespace: victim", ""), "victims") || strings.Contains(string(content), "victim.example") {
			t.Errorf("%s tells of another namespace:\n%s", header.Name, content)
		}
	}
	for _, name := range []string{"claimsources", "exportdestinations"} {
		if content := told["ledgerport-report/victim/"+name+"/finance.yaml"]; !strings.Contains(content, "reason: IndexMissing") || !strings.Contains(content, "generation: 7") {
			t.Errorf("of %s it tells %q", name, content)
		}
	}
	if tree := told["ledgerport-report/tenant/status/x.txt"]; !strings.Contains(tree, "IndexMissing") {
		t.Errorf("the tree does not say that the index is missing:\n%s", tree)
	}
}
