// Package s3 keeps artifacts in a bucket of Amazon S3, or of a server that speaks its protocol.
package s3

import (
	"context"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// Settings are the administrator's.
type Settings struct {
	// AllowPlainHTTP lets buckets be reached without TLS.
	AllowPlainHTTP bool
	// AmbientCredentials lets a bucket that names no access key be written with the operator's own identity.
	AmbientCredentials bool
}

// AddFlags adds the flags that set them.
func (s *Settings) AddFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&s.AllowPlainHTTP, "allow-plain-http", false, "let buckets be reached at endpoints without TLS")
	flags.BoolVar(&s.AmbientCredentials, "allow-ambient-credentials", false, "let buckets that name no access key be written with the operator's own identity, for everyone who may make an ExportDestination")
}

// New returns the type.
func New(settings Settings) destinations.Type {
	return destinations.Type{
		Name:        "s3",
		Scheme:      "s3",
		Named:       func(d *v1alpha1.ExportDestination) bool { return d.Spec.S3 != nil },
		Credentials: settings.credentials,
		Encryption:  encryption,
		Open:        settings.open,
	}
}

// credentials says where the access key is. It is the operator's own identity that is lent if the bucket names none.
func (s Settings) credentials(d *v1alpha1.ExportDestination) (*credentials.Reference, error) {
	ref := reference(d.Spec.S3)
	if ref == nil && !s.AmbientCredentials {
		return nil, failure.OnCredentials.Stalled(v1alpha1.ReasonCredentialsRequired, nil,
			"ExportDestination %s/%s names no access key, and this operator does not lend its own identity (--allow-ambient-credentials); name a Secret in spec.s3.credentialsSecretRef, or an ExternalSecret in credentialsExternalSecretRef",
			d.Namespace, d.Name)
	}
	return ref, nil
}

// reference names the Secret of the access key; nil if the bucket names none.
func reference(spec *v1alpha1.S3Destination) *credentials.Reference {
	keys := secretKeys(spec)
	ref := credentials.Reference{Keys: []string{keys.AccessKeyIDKey, keys.SecretAccessKeyKey}}
	switch {
	case spec.CredentialsExternalSecretRef != nil:
		ref.External = &spec.CredentialsExternalSecretRef.ExternalSecretReference
	case spec.CredentialsSecretRef != nil:
		ref.Secret = spec.CredentialsSecretRef.Name
	default:
		return nil
	}
	return &ref
}

// secretKeys are the keys of the access key in its Secret; none where the bucket names no Secret.
func secretKeys(spec *v1alpha1.S3Destination) v1alpha1.S3CredentialKeys {
	switch {
	case spec.CredentialsExternalSecretRef != nil:
		return spec.CredentialsExternalSecretRef.S3CredentialKeys
	case spec.CredentialsSecretRef != nil:
		return spec.CredentialsSecretRef.S3CredentialKeys
	}
	return v1alpha1.S3CredentialKeys{}
}

func encryption(d *v1alpha1.ExportDestination) (encrypted bool, how string) {
	if strings.HasPrefix(strings.ToLower(d.Spec.S3.Endpoint), "http:") {
		return false, "spec.s3.endpoint is plain HTTP; anyone in between can read and change what is delivered"
	}
	return true, "the bucket is reached by TLS, and its server's certificate is verified"
}

func (s Settings) open(ctx context.Context, d *v1alpha1.ExportDestination, login map[string][]byte, policy *outbound.Policy) (destinations.Destination, error) {
	if encrypted, _ := encryption(d); !encrypted && !s.AllowPlainHTTP {
		return nil, failure.OnDestination.Stalled(v1alpha1.ReasonNotEncrypted, nil,
			"spec.s3.endpoint %s is plain HTTP: anyone in between can read and change what is delivered. Use https://; an administrator can allow it with --allow-plain-http", d.Spec.S3.Endpoint)
	}
	keys := secretKeys(d.Spec.S3)
	key := accessKey{id: string(login[keys.AccessKeyIDKey]), secret: string(login[keys.SecretAccessKeyKey])}
	return open(ctx, *d.Spec.S3, d.Spec.Retention, key, policy)
}
