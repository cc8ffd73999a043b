package sftp_test

import (
	"slices"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations/sftp"
)

func TestWhatASecretOfAnSFTPServerNeeds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		keys v1alpha1.SFTPCredentialKeys
		want []string
	}{
		{"nothing is said", v1alpha1.SFTPCredentialKeys{}, []string{"privateKey"}},
		{"another key", v1alpha1.SFTPCredentialKeys{PrivateKeyKey: "ssh-privatekey"}, []string{"ssh-privatekey"}},
		{"a passphrase", v1alpha1.SFTPCredentialKeys{PassphraseKey: "passphrase"}, []string{"privateKey", "passphrase"}},
		{"a password", v1alpha1.SFTPCredentialKeys{PasswordKey: "password"}, []string{"password"}},
		{"both", v1alpha1.SFTPCredentialKeys{PrivateKeyKey: "key", PasswordKey: "password"}, []string{"key", "password"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			plain := &v1alpha1.SFTPDestination{CredentialsSecretRef: &v1alpha1.SFTPCredentials{
				LocalReference: v1alpha1.LocalReference{Name: "login"}, SFTPCredentialKeys: test.keys,
			}}
			external := &v1alpha1.SFTPDestination{CredentialsExternalSecretRef: &v1alpha1.SFTPExternalCredentials{
				ExternalSecretReference: v1alpha1.ExternalSecretReference{Name: "login"}, SFTPCredentialKeys: test.keys,
			}}
			for _, spec := range []*v1alpha1.SFTPDestination{plain, external} {
				ref, err := sftp.New().Credentials(&v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{SFTP: spec}})
				must(t, err)
				if !slices.Equal(ref.Keys, test.want) || (ref.Secret == "login") == (ref.External != nil) {
					t.Errorf("%+v, want the keys %q", ref, test.want)
				}
			}
		})
	}
}
