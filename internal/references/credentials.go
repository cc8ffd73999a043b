package references

import (
	"cmp"
	"context"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Credentials returns the accounting system's own credentials, with every key that the exporter needs. They are empty where
// the export names none and the exporter needs none.
func (r *Resolver) Credentials(ctx context.Context, export *v1alpha1.AccountingExport) (credentials.Credentials, error) {
	keys := r.credentialKeys(export.Spec.Exporter)
	if export.Spec.Credentials == nil {
		if len(keys) == 0 {
			return credentials.Credentials{}, nil
		}
		return credentials.Credentials{}, failure.OnCredentials.Stalled(v1alpha1.ReasonCredentialsRequired, nil,
			"the exporter %s needs credentials with the keys %q; name a Secret or an ExternalSecret in spec.credentials", export.Spec.Exporter.Type, keys)
	}
	ref := credentials.Reference{
		Kind: "AccountingExport", Namespace: export.Namespace, Name: export.Name,
		External: export.Spec.Credentials.ExternalSecretRef, Keys: keys,
	}
	if secret := export.Spec.Credentials.SecretRef; secret != nil {
		ref.Secret = secret.Name
	}
	return r.Secrets.Find(ctx, ref)
}

// credentialKeys are those that an exporter needs. One that is unknown or refuses its options needs none yet.
func (r *Resolver) credentialKeys(spec v1alpha1.ExporterSpec) []string {
	exporter, _ := r.Exporters.Get(spec.Type)
	needy, needs := exporter.(exporters.NeedsCredentials)
	if !needs || exporter.Validate(Options(spec)) != nil {
		return nil
	}
	return needy.CredentialKeys(Options(spec))
}

// SourceCredentials returns the connection URL of a ClaimSource.
func (r *Resolver) SourceCredentials(ctx context.Context, source *v1alpha1.ClaimSource) (credentials.Credentials, error) {
	ref := credentials.Reference{Kind: "ClaimSource", Namespace: source.Namespace, Name: source.Name, Keys: []string{urlKey(source)}}
	if external := source.Spec.Postgres.ConnectionExternalSecretRef; external != nil {
		ref.External = &external.ExternalSecretReference
	} else if secret := source.Spec.Postgres.ConnectionSecretRef; secret != nil {
		ref.Secret = secret.Name
	}
	return r.Secrets.Find(ctx, ref)
}

// urlKey is the key of the connection URL of a ClaimSource.
func urlKey(source *v1alpha1.ClaimSource) string {
	switch postgres := source.Spec.Postgres; {
	case postgres.ConnectionExternalSecretRef != nil:
		return postgres.ConnectionExternalSecretRef.Key
	case postgres.ConnectionSecretRef != nil:
		return postgres.ConnectionSecretRef.Key
	}
	return ""
}

// DestinationCredentials returns what an ExportDestination logs in with. They are empty where it needs none: for a directory,
// and for a bucket that the operator lends its own identity to.
func (r *Resolver) DestinationCredentials(ctx context.Context, destination *v1alpha1.ExportDestination) (credentials.Credentials, error) {
	ref := DestinationReference(destination)
	switch {
	case ref != nil:
		return r.Secrets.Find(ctx, *ref)
	case destination.Spec.S3 != nil && !r.AmbientCredentials:
		return credentials.Credentials{}, failure.OnCredentials.Stalled(v1alpha1.ReasonCredentialsRequired, nil,
			"ExportDestination %s/%s names no access key, and this operator does not lend its own identity (--allow-ambient-credentials); name a Secret in spec.s3.credentialsSecretRef, or an ExternalSecret in credentialsExternalSecretRef",
			destination.Namespace, destination.Name)
	}
	return credentials.Credentials{}, nil
}

// DestinationReference says where the credentials of an ExportDestination are; nil where it names none.
func DestinationReference(destination *v1alpha1.ExportDestination) *credentials.Reference {
	ref := &credentials.Reference{Kind: "ExportDestination", Namespace: destination.Namespace, Name: destination.Name}
	switch s3, sftp := destination.Spec.S3, destination.Spec.SFTP; {
	case s3 != nil && s3.CredentialsExternalSecretRef != nil:
		ref.External = &s3.CredentialsExternalSecretRef.ExternalSecretReference
	case s3 != nil && s3.CredentialsSecretRef != nil:
		ref.Secret = s3.CredentialsSecretRef.Name
	case sftp != nil && sftp.CredentialsExternalSecretRef != nil:
		ref.External = &sftp.CredentialsExternalSecretRef.ExternalSecretReference
	case sftp != nil && sftp.CredentialsSecretRef != nil:
		ref.Secret = sftp.CredentialsSecretRef.Name
	default:
		return nil
	}
	if keys := s3CredentialKeys(destination); keys != nil {
		ref.Keys = []string{keys.AccessKeyIDKey, keys.SecretAccessKeyKey}
	}
	if keys := sftpCredentialKeys(destination); keys != nil {
		for _, key := range []string{keys.PrivateKeyKey, keys.PassphraseKey, keys.PasswordKey} {
			if key != "" {
				ref.Keys = append(ref.Keys, key)
			}
		}
	}
	return ref
}

// s3CredentialKeys are the keys of a bucket's access key; nil where there is none.
func s3CredentialKeys(destination *v1alpha1.ExportDestination) *v1alpha1.S3CredentialKeys {
	switch s3 := destination.Spec.S3; {
	case s3 == nil:
	case s3.CredentialsExternalSecretRef != nil:
		return &s3.CredentialsExternalSecretRef.S3CredentialKeys
	case s3.CredentialsSecretRef != nil:
		return &s3.CredentialsSecretRef.S3CredentialKeys
	}
	return nil
}

// defaultPrivateKeyKey is the key of an SFTP user's private key where the spec says nothing of what the Secret has.
const defaultPrivateKeyKey = "privateKey"

// sftpCredentialKeys are the keys of what the user of an SFTP server logs in with; nil where there is none.
func sftpCredentialKeys(destination *v1alpha1.ExportDestination) *v1alpha1.SFTPCredentialKeys {
	var keys v1alpha1.SFTPCredentialKeys
	switch sftp := destination.Spec.SFTP; {
	case sftp != nil && sftp.CredentialsExternalSecretRef != nil:
		keys = sftp.CredentialsExternalSecretRef.SFTPCredentialKeys
	case sftp != nil && sftp.CredentialsSecretRef != nil:
		keys = sftp.CredentialsSecretRef.SFTPCredentialKeys
	default:
		return nil
	}
	if keys.PasswordKey == "" {
		keys.PrivateKeyKey = cmp.Or(keys.PrivateKeyKey, defaultPrivateKeyKey)
	}
	return &keys
}
