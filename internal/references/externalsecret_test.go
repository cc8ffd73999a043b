package references

import (
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations/builtin"
)

func TestTheExternalSecretOfADestinationIsFound(t *testing.T) {
	t.Parallel()
	external := v1alpha1.ExternalSecretReference{Name: "login"}
	for name, test := range map[string]struct {
		spec v1alpha1.ExportDestinationSpec
		want string
	}{
		"one that is named": {v1alpha1.ExportDestinationSpec{SFTP: &v1alpha1.SFTPDestination{
			CredentialsExternalSecretRef: &v1alpha1.SFTPExternalCredentials{ExternalSecretReference: external},
		}}, "login"},
		"a Secret instead": {v1alpha1.ExportDestinationSpec{SFTP: &v1alpha1.SFTPDestination{
			CredentialsSecretRef: &v1alpha1.SFTPCredentials{LocalReference: v1alpha1.LocalReference{Name: "login"}},
		}}, ""},
		"no credentials where some are needed": {v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{}}, ""},
		"no type":                              {v1alpha1.ExportDestinationSpec{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := (&Resolver{Destinations: builtin.Registry(builtin.Settings{})}).ExternalSecrets(&v1alpha1.ExportDestination{Spec: test.spec})
			if (len(got) == 0) != (test.want == "") || len(got) > 0 && got[0].Name != test.want {
				t.Errorf("%+v, want %q", got, test.want)
			}
		})
	}
}

func TestBothExternalSecretsOfASourceAreFound(t *testing.T) {
	t.Parallel()
	source := &v1alpha1.ClaimSource{}
	source.Spec.Postgres.ConnectionExternalSecretRef = &v1alpha1.ExternalSecretKeyReference{ExternalSecretReference: v1alpha1.ExternalSecretReference{Name: "database"}}
	source.Spec.Receipts = &v1alpha1.ReceiptsSource{S3: &v1alpha1.S3Destination{
		CredentialsExternalSecretRef: &v1alpha1.S3ExternalCredentials{ExternalSecretReference: v1alpha1.ExternalSecretReference{Name: "bucket"}},
	}}
	got := (&Resolver{ReceiptStores: builtin.Stores(builtin.Settings{})}).ExternalSecrets(source)
	if len(got) != 2 || got[0].Name != "database" || got[1].Name != "bucket" {
		t.Errorf("%+v, want those of the database and of the bucket", got)
	}
}
