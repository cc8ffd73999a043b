package claims

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

const (
	// SchemaVersion is the version of the schema "ledgerport" that this build works with.
	SchemaVersion int64 = 6

	versionTable = "ledgerport.schema_version"
	// migrationLock is the advisory lock that migrations of one database take turns with ("ledgerpo" in ASCII).
	migrationLock int64 = 0x6c6564676572706f
	// lockPolls bounds, in seconds, how long a migration waits for another.
	lockPolls = 60
)

//go:embed migrations/*.sql
var migrations embed.FS

// CheckSchema compares the schema in the database with SchemaVersion, and gives the version that it found; 0 is none.
// Failures have ReasonSchemaOutdated or ReasonSchemaTooNew.
func (d *Database) CheckSchema(ctx context.Context) (int64, error) {
	version, err := d.schemaVersion(ctx)
	switch {
	case err != nil:
		return 0, err
	case version < SchemaVersion:
		return version, failure.Transient(v1alpha1.ReasonSchemaOutdated, nil,
			`the schema "ledgerport" has version %d and this operator needs %d; run "ledgerport migrate", or set spec.postgres.manageSchema to true`,
			version, SchemaVersion)
	case version > SchemaVersion:
		return version, failure.Transient(v1alpha1.ReasonSchemaTooNew, nil,
			`the schema "ledgerport" has version %d and this operator knows %d; upgrade the operator`, version, SchemaVersion)
	}
	return version, nil
}

func (d *Database) schemaVersion(ctx context.Context) (version int64, err error) {
	conn, err := d.connection(ctx)
	if err != nil {
		return 0, err
	}
	var exists bool
	if err = conn.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, versionTable).Scan(&exists); err == nil && exists {
		err = conn.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM `+versionTable).Scan(&version)
	}
	return version, classify(ctx, `reading the version of the schema "ledgerport"`, err)
}

// Migrate creates the schema "ledgerport" or brings it to SchemaVersion. Several processes may do so at once: they take turns.
func (d *Database) Migrate(ctx context.Context) error {
	const doing = `migrating the schema "ledgerport"`
	if err := d.createSchema(ctx); err != nil {
		return classify(ctx, doing, err)
	}
	scripts, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	turns, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, lockPolls))
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	database := stdlib.OpenDB(*d.config)
	defer func() { _ = database.Close() }() // a migration that was committed stays so
	provider, err := goose.NewProvider(goose.DialectPostgres, database, scripts,
		goose.WithTableName(versionTable), goose.WithSessionLocker(turns), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	_, err = provider.Up(ctx)
	return classify(ctx, doing, err)
}

// createSchema makes the schema that the version table is in. CREATE SCHEMA IF NOT EXISTS alone would fail for one of
// two who do it at once, and for a role that may not create schemas though this one is there.
func (d *Database) createSchema(ctx context.Context) error {
	conn, err := d.connection(ctx)
	if err != nil {
		return err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer rollback(ctx, tx)
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, migrationLock); err != nil {
		return err
	}
	var exists bool
	if err := tx.QueryRow(ctx, `SELECT to_regnamespace('ledgerport') IS NOT NULL`).Scan(&exists); err != nil || exists {
		return err
	}
	const create = `CREATE SCHEMA ledgerport;
		COMMENT ON SCHEMA ledgerport IS 'What Ledgerport exported, and under which voucher numbers. Written by Ledgerport only'`
	if _, err := tx.Exec(ctx, create); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
