package references

import (
	"context"
	"errors"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// OpenDatabase connects to the database of a ClaimSource with its present credentials, and makes sure of the schema
// "ledgerport": it is created where the source lets the operator do so. One that is older fails with ReasonMigrating: to migrate
// it takes as long as its tables are big, which no run and no check has time for.
func (r *Resolver) OpenDatabase(ctx context.Context, source *v1alpha1.ClaimSource) (*claims.Database, error) {
	database, err := r.connect(ctx, source)
	if err != nil {
		return nil, err
	}
	if err := prepareSchema(ctx, database, source); err != nil {
		database.Close()
		return nil, err
	}
	return database, nil
}

// MigrateDatabase brings the schema "ledgerport" of a ClaimSource to the version that this operator needs.
func (r *Resolver) MigrateDatabase(ctx context.Context, source *v1alpha1.ClaimSource) error {
	database, err := r.connect(ctx, source)
	if err != nil {
		return err
	}
	defer database.Close()
	return database.Migrate(ctx)
}

func (r *Resolver) connect(ctx context.Context, source *v1alpha1.ClaimSource) (*claims.Database, error) {
	found, err := r.SourceCredentials(ctx, source)
	if err != nil {
		return nil, err
	}
	database, err := claims.Open(ctx, claims.Options{
		URL: string(found.Data[urlKey(source)]), Source: client.ObjectKeyFromObject(source).String(), Layout: source.Spec.Postgres, Allowed: r.Databases, Dial: r.Outbound.Dialer().DialContext,
	})
	return database, err
}

func prepareSchema(ctx context.Context, database *claims.Database, source *v1alpha1.ClaimSource) error {
	version, err := database.CheckSchema(ctx)
	managed := source.Spec.Postgres.ManageSchema
	var failed *failure.Error
	switch {
	case !errors.As(err, &failed) || failed.Reason != v1alpha1.ReasonSchemaOutdated || managed != nil && !*managed:
		return err
	case version == 0:
		return database.Migrate(ctx)
	}
	return onSource.Transient(v1alpha1.ReasonMigrating, err, `the schema "ledgerport" is being migrated from version %d to %d; runs go on when that is done`,
		version, claims.SchemaVersion)
}

// OpenDestination opens an ExportDestination with its present credentials.
func (r *Resolver) OpenDestination(ctx context.Context, destination *v1alpha1.ExportDestination) (destinations.Destination, error) {
	found, err := r.DestinationCredentials(ctx, destination)
	if err != nil {
		return nil, err
	}
	var keys destinations.Keys
	if named := s3CredentialKeys(destination); named != nil {
		keys.S3 = destinations.S3Keys{AccessKeyID: string(found.Data[named.AccessKeyIDKey]), SecretAccessKey: string(found.Data[named.SecretAccessKeyKey])}
	}
	if named := sftpCredentialKeys(destination); named != nil {
		keys.SFTP = destinations.SFTPKeys{
			PrivateKey: found.Data[named.PrivateKeyKey], Passphrase: found.Data[named.PassphraseKey], Password: found.Data[named.PasswordKey],
		}
	}
	opened, err := destinations.Open(ctx, destination.Namespace, destination.Spec, keys, r.Destinations, r.Outbound)
	return opened, connectionFailure(v1alpha1.ConditionDestinationReady, err)
}

// connectionFailure puts the failures that credentials are to blame for on CredentialsReady, the rest on the
// condition of what was to be opened.
func connectionFailure(condition string, err error) error {
	var failed *failure.Error
	blamed := []v1alpha1.Reason{v1alpha1.ReasonLoginRefused, v1alpha1.ReasonMalformedURL, v1alpha1.ReasonInsecureConnection, v1alpha1.ReasonMalformedKey}
	if errors.As(err, &failed) && slices.Contains(blamed, failed.Reason) {
		condition = v1alpha1.ConditionCredentialsReady
	}
	return failure.On(condition, err)
}

// CheckDestination writes to a directory of a destination for a check, and puts a failure on the condition that it concerns.
func CheckDestination(ctx context.Context, destination destinations.Destination, directory string) (destinations.Checked, error) {
	checked, err := destination.Check(ctx, directory)
	return checked, connectionFailure(v1alpha1.ConditionDestinationReady, err)
}
