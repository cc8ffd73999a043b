package references

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// OpenDatabase connects to the database of a ClaimSource with its SourceCredentials, and makes sure of the schema
// "ledgerport": it is created where the source lets the operator do so. One that is older fails with ReasonMigrating: to migrate
// it takes as long as its tables are big, which no run and no check has time for.
//
// Sessions that were kept are not used: who looks at a database wants to know whether sessions can be opened.
func (r *Resolver) OpenDatabase(ctx context.Context, source *v1alpha1.ClaimSource, login credentials.Credentials) (*claims.Database, error) {
	r.Sessions.Drop(client.ObjectKeyFromObject(source).String())
	return r.open(ctx, source, login, nil)
}

// OpenForRun is OpenDatabase for a run: with sessions that were kept, if there are any.
func (r *Resolver) OpenForRun(ctx context.Context, source *v1alpha1.ClaimSource, login credentials.Credentials) (*claims.Database, error) {
	return r.open(ctx, source, login, r.Sessions)
}

// OpenToRead connects to the database of a ClaimSource and changes nothing in it: a schema of another version, or none, is a failure. It
// leaves the sessions that are kept to runs.
func (r *Resolver) OpenToRead(ctx context.Context, source *v1alpha1.ClaimSource, login credentials.Credentials) (*claims.Database, error) {
	database, err := r.connect(ctx, source, login, nil)
	if err != nil {
		return nil, err
	}
	if _, err := database.CheckSchema(ctx); err != nil {
		database.Close()
		return nil, err
	}
	return database, nil
}

func (r *Resolver) open(ctx context.Context, source *v1alpha1.ClaimSource, login credentials.Credentials, kept *claims.Sessions) (*claims.Database, error) {
	database, err := r.connect(ctx, source, login, kept)
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
	login, err := r.SourceCredentials(ctx, source)
	if err != nil {
		return err
	}
	database, err := r.connect(ctx, source, login, nil)
	if err != nil {
		return err
	}
	defer database.Close()
	return database.Migrate(ctx)
}

func (r *Resolver) connect(ctx context.Context, source *v1alpha1.ClaimSource, login credentials.Credentials, kept *claims.Sessions) (*claims.Database, error) {
	key, origin := urlKey(source), ""
	if login.Origin != "" {
		origin = fmt.Sprintf("the key %q of %s", key, login.Origin)
	}
	return claims.Open(ctx, claims.Options{
		URL: string(login.Data[key]), Login: origin, Source: client.ObjectKeyFromObject(source).String(), Layout: source.Spec.Postgres, Receipts: source.Spec.Receipts, Allowed: r.Databases, FullCheck: r.FullCheck, Dial: r.Outbound.Dialer().DialContext, Sessions: kept,
	})
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
	return failure.OnSource.Transient(v1alpha1.ReasonMigrating, err, `the schema "ledgerport" is being migrated from version %d to %d; runs go on when that is done`,
		version, claims.SchemaVersion)
}

// OpenDestination opens an ExportDestination with its DestinationCredentials.
func (r *Resolver) OpenDestination(ctx context.Context, destination *v1alpha1.ExportDestination, login credentials.Credentials) (destinations.Destination, error) {
	return r.Destinations.Open(ctx, destination, login.Data, r.Outbound)
}
