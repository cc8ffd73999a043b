package references

import (
	"context"
	"errors"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// OpenDatabase connects to the database of a ClaimSource with the Secret's present value, and makes sure of the schema
// "ledgerport": it is migrated where the source lets the operator do so.
func (r *Resolver) OpenDatabase(ctx context.Context, source *v1alpha1.ClaimSource) (*claims.Database, error) {
	spec := source.Spec.Postgres
	url, err := r.Secrets.Key(ctx, source.Namespace, spec.ConnectionSecretRef)
	if err != nil {
		return nil, err
	}
	database, err := claims.Open(ctx, claims.Options{URL: url, Layout: spec, Dial: r.Outbound.Dialer().DialContext})
	if err != nil {
		return nil, connectionFailure(v1alpha1.ConditionSourceReady, err)
	}
	if err := prepareSchema(ctx, database, spec); err != nil {
		database.Close()
		return nil, failure.On(v1alpha1.ConditionSourceReady, err)
	}
	return database, nil
}

func prepareSchema(ctx context.Context, database *claims.Database, spec v1alpha1.PostgresSource) error {
	_, err := database.CheckSchema(ctx)
	var failed *failure.Error
	managed := spec.ManageSchema == nil || *spec.ManageSchema
	if managed && errors.As(err, &failed) && failed.Reason == v1alpha1.ReasonSchemaOutdated {
		return database.Migrate(ctx)
	}
	return err
}

// OpenDestination opens an ExportDestination with the Secret's present value.
func (r *Resolver) OpenDestination(ctx context.Context, destination *v1alpha1.ExportDestination) (destinations.Destination, error) {
	keys, err := r.s3Keys(ctx, destination)
	if err != nil {
		return nil, err
	}
	opened, err := destinations.Open(ctx, destination.Spec, keys, r.Destinations, r.Outbound)
	return opened, connectionFailure(v1alpha1.ConditionDestinationReady, err)
}

func (r *Resolver) s3Keys(ctx context.Context, destination *v1alpha1.ExportDestination) (keys destinations.S3Keys, err error) {
	if destination.Spec.S3 == nil || destination.Spec.S3.CredentialsSecretRef == nil {
		return keys, nil
	}
	ref := destination.Spec.S3.CredentialsSecretRef
	data, err := r.Secrets.Data(ctx, destination.Namespace, ref.Name)
	if err != nil {
		return keys, err
	}
	if keys.AccessKeyID, err = credentials.Value(data, destination.Namespace, ref.Name, ref.AccessKeyIDKey); err != nil {
		return keys, err
	}
	keys.SecretAccessKey, err = credentials.Value(data, destination.Namespace, ref.Name, ref.SecretAccessKeyKey)
	return keys, err
}

// connectionFailure puts the failures that a Secret's value is to blame for on CredentialsReady, the rest on the
// condition of what was to be opened.
func connectionFailure(condition string, err error) error {
	var failed *failure.Error
	if errors.As(err, &failed) && (failed.Reason == v1alpha1.ReasonLoginRefused || failed.Reason == v1alpha1.ReasonMalformedURL) {
		condition = v1alpha1.ConditionCredentialsReady
	}
	return failure.On(condition, err)
}

// CheckDestination writes to a destination for a check, and puts a failure on the condition that it concerns.
func CheckDestination(ctx context.Context, destination destinations.Destination) error {
	return connectionFailure(v1alpha1.ConditionDestinationReady, destination.Check(ctx))
}
