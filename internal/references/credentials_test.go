package references

import (
	"slices"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

func TestTheOperatorsIdentityIsLentOnlyWhereItSaysSo(t *testing.T) {
	t.Parallel()
	bucket := v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{Bucket: "books"}}
	directory := v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "books"}}
	tests := []struct {
		name        string
		destination v1alpha1.ExportDestinationSpec
		lends       bool
		reason      v1alpha1.Reason
	}{
		{"a bucket without an access key", bucket, false, v1alpha1.ReasonCredentialsRequired},
		{"a bucket without an access key, of an operator that lends its identity", bucket, true, ""},
		{"a directory", directory, false, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := (&Resolver{AmbientCredentials: test.lends}).DestinationCredentials(t.Context(), &v1alpha1.ExportDestination{Spec: test.destination})
			var reason v1alpha1.Reason
			if err != nil {
				failed := failure.From(err)
				reason = failed.Reason
				if failed.Condition != v1alpha1.ConditionCredentialsReady || !failed.Stalled {
					t.Errorf("%+v, want a stalled CredentialsReady", failed)
				}
			}
			if reason != test.reason {
				t.Errorf("%v, want the reason %q", err, test.reason)
			}
		})
	}
}

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
				ref := DestinationReference(&v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{SFTP: spec}})
				if !slices.Equal(ref.Keys, test.want) || (ref.Secret == "login") == (ref.External != nil) {
					t.Errorf("%+v, want the keys %q", ref, test.want)
				}
			}
		})
	}
}
