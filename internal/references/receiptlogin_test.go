package references_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/references"
)

// TestAServerOfReceiptsIsNotSentTheURLOfTheDatabase has a tenant name, for its own server, the key under which the administrator has
// put the URL of the database into the operator's environment.
func TestAServerOfReceiptsIsNotSentTheURLOfTheDatabase(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	resolver := &references.Resolver{
		ReceiptStores: builtin.Stores(builtin.Settings{}),
		Secrets: credentials.Secrets{
			API: fake.NewClientBuilder().WithScheme(scheme).Build(),
			Environment: func(name string) (string, bool) {
				value := map[string]string{
					"LEDGERPORT_CREDENTIALS__ClaimSource__acme__claims__url":           "the URL of the database",
					"LEDGERPORT_CREDENTIALS__ClaimSourceReceipts__acme__claims__token": "a token",
				}[name]
				return value, value != ""
			},
		},
	}
	for name, store := range map[string]v1alpha1.ReceiptsSource{
		"an HTTP server": {HTTP: &v1alpha1.ReceiptsHTTP{URL: "https://files.example", TokenSecretRef: &v1alpha1.SecretKeyReference{Name: "absent", Key: "url"}}},
		"a bucket": {S3: &v1alpha1.S3Destination{
			Endpoint: "https://files.example", Bucket: "b", CredentialsSecretRef: &v1alpha1.S3Credentials{LocalReference: v1alpha1.LocalReference{Name: "absent"}, S3CredentialKeys: v1alpha1.S3CredentialKeys{AccessKeyIDKey: "url"}},
		}},
	} {
		source := &v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "claims"}, Spec: v1alpha1.ClaimSourceSpec{Receipts: &store}}
		login, err := resolver.ReceiptCredentials(t.Context(), source)
		if err == nil || len(login.Data) > 0 {
			t.Errorf("%s is sent %q", name, login.Data)
		}
	}
	source := &v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "claims"}, Spec: v1alpha1.ClaimSourceSpec{
		Receipts: &v1alpha1.ReceiptsSource{HTTP: &v1alpha1.ReceiptsHTTP{URL: "https://files.example", TokenSecretRef: &v1alpha1.SecretKeyReference{Name: "absent", Key: "token"}}},
	}}
	if login, err := resolver.ReceiptCredentials(t.Context(), source); err != nil || string(login.Data["token"]) != "a token" || !strings.Contains(login.Fallback, "absent") {
		t.Errorf("with a variable of its own it is %q (%v)", login.Fallback, err)
	}
}
