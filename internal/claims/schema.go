package claims

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

const (
	// SchemaVersion is the version of the schema "ledgerport" that this build works with.
	SchemaVersion int64 = 17

	versionTable = "ledgerport.schema_version"
	// migrationLock is the advisory lock that migrations of one database take turns with ("ledgerpo" in ASCII).
	migrationLock int64 = 0x6c6564676572706f
	// lockTimeout bounds how long a migration waits for a table that somebody uses. Others that come for the table meanwhile wait
	// behind it.
	lockTimeout = 5 * time.Second
)

//go:embed migrations/*.sql
var migrations embed.FS

// CheckSchema compares the schema in the database with SchemaVersion, and returns the version that it found; 0 is none.
// Failures have ReasonSchemaOutdated, ReasonSchemaTooNew or ReasonSchemaNotTrusted.
func (d *Database) CheckSchema(ctx context.Context) (version int64, err error) {
	err = d.reading(ctx, `reading the version of the schema "ledgerport"`, func(tx pgx.Tx) (err error) {
		if err := d.trusted(ctx, tx); err != nil {
			return err
		}
		version, err = schemaVersion(ctx, tx)
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case version == 0:
		return version, failure.OnSource.Transient(v1alpha1.ReasonSchemaOutdated, nil,
			`the database has no schema "ledgerport"; run "ledgerport migrate" (an operator does so itself, unless spec.postgres.manageSchema is false)`)
	case version < SchemaVersion:
		return version, failure.OnSource.Transient(v1alpha1.ReasonSchemaOutdated, nil,
			`the schema "ledgerport" has version %d and this operator needs %d; run "ledgerport migrate" (an operator does so itself, unless spec.postgres.manageSchema is false)`,
			version, SchemaVersion)
	}
	return version, tooNew(version)
}

func tooNew(version int64) error {
	if version <= SchemaVersion {
		return nil
	}
	return failure.OnSource.Transient(v1alpha1.ReasonSchemaTooNew, nil,
		`the schema "ledgerport" has version %d and this operator knows %d; upgrade the operator`, version, SchemaVersion)
}

// schemaVersion returns the recorded version; 0 where there is no schema. A version that lacks one before it is none that a
// migration leaves.
func schemaVersion(ctx context.Context, tx pgx.Tx) (version int64, err error) {
	var exists bool
	if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, versionTable).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	var applied int64
	err = tx.QueryRow(ctx, `SELECT coalesce(max(version_id), 0), count(DISTINCT version_id) FILTER (WHERE version_id > 0 AND is_applied) FROM `+versionTable).
		Scan(&version, &applied)
	if err == nil && applied != version {
		return 0, failure.OnSource.Transient(v1alpha1.ReasonSchemaOutdated, nil,
			`the schema "ledgerport" says that it has version %d, and has %d of the %d migrations up to it recorded in %s; restore the database, or call for help: nothing is changed in it as it is`,
			version, applied, version, versionTable)
	}
	return version, err
}

// Migrate creates the schema "ledgerport" or brings it to SchemaVersion, in one transaction: all of it, or nothing. Several
// processes may do so at once: they take turns. It may take as long as the context allows: give it one of its own.
func (d *Database) Migrate(ctx context.Context) error {
	const doing = `migrating the schema "ledgerport"`
	conn, err := d.connection(ctx)
	if err != nil {
		return err
	}
	tx, err := owner{}.begin(ctx, conn, pgx.ReadCommitted, "") // for its timeouts
	if err != nil {
		return classify(ctx, doing, err)
	}
	defer rollback(ctx, tx)
	if err := d.migrate(ctx, tx); err != nil {
		return classify(ctx, doing, err)
	}
	return classify(ctx, doing, commit(ctx, tx))
}

func (d *Database) migrate(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1), set_config('lock_timeout', $2, true)`, migrationLock, strconv.FormatInt(lockTimeout.Milliseconds(), 10)); err != nil {
		return err
	}
	if err := d.trusted(ctx, tx); err != nil {
		return err
	}
	if err := createSchema(ctx, tx); err != nil {
		return err
	}
	version, err := schemaVersion(ctx, tx)
	if err != nil {
		return err
	}
	if err := tooNew(version); err != nil {
		return err
	}
	for next := version + 1; next <= SchemaVersion; next++ {
		script, err := migration(next)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, script); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO `+versionTable+` (version_id, is_applied) VALUES ($1, true)`, next); err != nil {
			return err
		}
	}
	return nil
}

// createSchema makes the schema and the table of its versions. CREATE SCHEMA IF NOT EXISTS would fail for a role that may not
// create schemas though this one is there.
func createSchema(ctx context.Context, tx pgx.Tx) error {
	var schema, versions bool
	if err := tx.QueryRow(ctx, `SELECT to_regnamespace('ledgerport') IS NOT NULL, to_regclass($1) IS NOT NULL`, versionTable).Scan(&schema, &versions); err != nil || versions {
		return err
	}
	const create = `CREATE SCHEMA ledgerport;
		COMMENT ON SCHEMA ledgerport IS 'What Ledgerport exported, and under which voucher numbers. Written by Ledgerport only'`
	if !schema {
		if _, err := tx.Exec(ctx, create); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `CREATE TABLE `+versionTable+` (
		id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY,
		version_id bigint NOT NULL,
		is_applied boolean NOT NULL,
		tstamp timestamp NOT NULL DEFAULT now());
		INSERT INTO `+versionTable+` (version_id, is_applied) VALUES (0, true)`)
	return err
}

// migration returns the script that leads to a version.
func migration(version int64) (string, error) {
	names, err := fs.Glob(migrations, fmt.Sprintf("migrations/%05d_*.sql", version))
	if err != nil || len(names) != 1 {
		return "", fmt.Errorf("%d migrations lead to version %d: %w", len(names), version, err)
	}
	script, err := migrations.ReadFile(names[0])
	if strings.Contains(string(script), "-- +goose Down") {
		return "", fmt.Errorf("%s has a way down, which would be run too", path.Base(names[0]))
	}
	return string(script), err
}
