package s3_test

import (
	"slices"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations/s3"
	"github.com/ledgerport/ledgerport/internal/failure"
)

func TestTheOperatorsIdentityIsLentOnlyWhereItSaysSo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lends  bool
		reason v1alpha1.Reason
	}{
		"a bucket without an access key":                                         {false, v1alpha1.ReasonCredentialsRequired},
		"a bucket without an access key, of an operator that lends its identity": {true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref, err := s3.New(s3.Settings{AmbientCredentials: test.lends}).Credentials(&v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{Bucket: "books"}}})
			var reason v1alpha1.Reason
			if err != nil {
				failed := failure.From(err)
				reason = failed.Reason
				if failed.Condition != v1alpha1.ConditionCredentialsReady || !failed.Stalled {
					t.Errorf("%+v, want a stalled CredentialsReady", failed)
				}
			}
			if reason != test.reason || ref != nil {
				t.Errorf("%+v, %v, want the reason %q", ref, err, test.reason)
			}
		})
	}
}

func TestWhatASecretOfABucketNeeds(t *testing.T) {
	t.Parallel()
	keys := v1alpha1.S3CredentialKeys{AccessKeyIDKey: "id", SecretAccessKeyKey: "key"}
	plain := &v1alpha1.S3Destination{CredentialsSecretRef: &v1alpha1.S3Credentials{
		LocalReference: v1alpha1.LocalReference{Name: "login"}, S3CredentialKeys: keys,
	}}
	external := &v1alpha1.S3Destination{CredentialsExternalSecretRef: &v1alpha1.S3ExternalCredentials{
		ExternalSecretReference: v1alpha1.ExternalSecretReference{Name: "login"}, S3CredentialKeys: keys,
	}}
	for _, spec := range []*v1alpha1.S3Destination{plain, external} {
		ref, err := s3.New(s3.Settings{}).Credentials(&v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{S3: spec}})
		must(t, err)
		if !slices.Equal(ref.Keys, []string{"id", "key"}) || (ref.Secret == "login") == (ref.External != nil) {
			t.Errorf("%+v, want both keys", ref)
		}
	}
}
