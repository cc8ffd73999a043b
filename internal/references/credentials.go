package references

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Credentials returns the accounting system's own credentials, with every key that the exporter needs. They are empty where
// the export names none and the exporter needs none.
func (r *Resolver) Credentials(ctx context.Context, export *v1alpha1.AccountingExport) (credentials.Credentials, error) {
	keys, optional := r.credentialKeys(export.Spec.Exporter)
	if export.Spec.Credentials == nil {
		if len(keys) == 0 {
			return credentials.Credentials{}, nil
		}
		return credentials.Credentials{}, failure.OnCredentials.Stalled(v1alpha1.ReasonCredentialsRequired, nil,
			"the exporter %s needs credentials with the keys %q; name a Secret or an ExternalSecret in spec.credentials", export.Spec.Exporter.Type, keys)
	}
	ref := credentials.Reference{
		Kind: "AccountingExport", Namespace: export.Namespace, Name: export.Name,
		External: export.Spec.Credentials.ExternalSecretRef, Keys: keys, Optional: optional,
	}
	if secret := export.Spec.Credentials.SecretRef; secret != nil {
		ref.Secret = secret.Name
	}
	return r.Secrets.Find(ctx, ref)
}

// credentialKeys are those that an exporter needs, and those that it uses if they are there. One that is unknown or refuses its options
// needs none yet.
func (r *Resolver) credentialKeys(spec v1alpha1.ExporterSpec) (needed, optional []string) {
	exporter, _ := r.Exporters.Get(spec.Type)
	needy, needs := exporter.(exporters.NeedsCredentials)
	if !needs || exporter.Validate(Options(spec)) != nil {
		return nil, nil
	}
	if user, uses := exporter.(exporters.UsesCredentials); uses {
		optional = user.OptionalCredentialKeys(Options(spec))
	}
	return needy.CredentialKeys(Options(spec)), optional
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
// and for a store that the operator lends its own identity to.
func (r *Resolver) DestinationCredentials(ctx context.Context, destination *v1alpha1.ExportDestination) (credentials.Credentials, error) {
	ref, err := r.Destinations.Credentials(destination)
	if err != nil || ref == nil {
		return credentials.Credentials{}, err
	}
	return r.Secrets.Find(ctx, *ref)
}

// ExternalSecrets are those that a resource names.
func (r *Resolver) ExternalSecrets(object client.Object) (named []v1alpha1.ExternalSecretReference) {
	add := func(ref *v1alpha1.ExternalSecretReference) {
		if ref != nil {
			named = append(named, *ref)
		}
	}
	switch o := object.(type) {
	case *v1alpha1.AccountingExport:
		if o.Spec.Credentials != nil {
			add(o.Spec.Credentials.ExternalSecretRef)
		}
	case *v1alpha1.ClaimSource:
		if ref := o.Spec.Postgres.ConnectionExternalSecretRef; ref != nil {
			add(&ref.ExternalSecretReference)
		}
		if ref, err := r.receiptReference(o); err == nil && ref != nil {
			add(ref.External)
		}
	case *v1alpha1.ExportDestination:
		if ref, err := r.Destinations.Credentials(o); err == nil && ref != nil {
			add(ref.External)
		}
	}
	return named
}
