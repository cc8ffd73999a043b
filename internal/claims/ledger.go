package claims

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Ledger is which ledger a database holds, and how far it has come.
type Ledger struct {
	// ID is random, made with the schema. A copy of the database has the same.
	ID string
	// Sequence is raised by each step of a run that a cluster is told of.
	Sequence int64
	// System identifies the server that the ledger belongs to, and Server the one that it was read from. Either is empty if
	// the server does not say.
	System, Server string
}

// Moved reports whether the ledger was read from another server than it belongs to.
func (l Ledger) Moved() bool { return l.System != "" && l.Server != "" && l.System != l.Server }

// Ledger returns the identity of the ledger, and of its server unless the role may not ask for that, or nobody may.
func (d *Database) Ledger(ctx context.Context) (Ledger, error) {
	conn, err := d.connection(ctx)
	if err != nil {
		return Ledger{}, err
	}
	const own = `SELECT l.id::pg_catalog.uuid::pg_catalog.text, l.sequence::pg_catalog.int8, pg_catalog."left"(l.system_identifier, 64)`
	var l Ledger
	if d.identifier == nil {
		err = conn.QueryRow(ctx, own+`, s.system_identifier::pg_catalog.text FROM ledgerport.ledger l, pg_catalog.pg_control_system() s LIMIT 1`).
			Scan(&l.ID, &l.Sequence, &l.System, &l.Server)
	}
	if d.identifier != nil || sqlState(err) != "" { // the role may not call the function, or the server lacks it
		err = conn.QueryRow(ctx, own+` FROM ledgerport.ledger l LIMIT 1`).Scan(&l.ID, &l.Sequence, &l.System)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return Ledger{}, failure.OnSource.Transient(v1alpha1.ReasonLedgerChanged, nil,
			`the table ledgerport.ledger has lost its row, so that nothing tells which ledger this is; see to the books, and run "ledgerport ledger accept --renew"`)
	}
	if err != nil {
		return Ledger{}, classify(ctx, "reading the identity of the ledger", err)
	}
	if d.identifier == nil {
		d.identifier = &l.Server
	}
	l.Server = *d.identifier
	return l, nil
}

// Now is the time by the clock of the database, which is the one that attempts have in common.
func (d *Database) Now(ctx context.Context) (now time.Time, err error) {
	err = d.reading(ctx, "asking the database for the time", func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
	})
	return now, err
}

// server returns the identifier of the server, which is empty if the role may not ask for it, or nobody may. It is asked for once: by a
// statement of its own, because a refusal ends a transaction.
func (d *Database) server(ctx context.Context) (identifier string, err error) {
	if d.identifier != nil {
		return *d.identifier, nil
	}
	conn, err := d.connection(ctx)
	if err != nil {
		return "", err
	}
	err = conn.QueryRow(ctx, `SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()`).Scan(&identifier)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && !conn.IsClosed() {
		err = nil
	}
	if err != nil {
		return "", classify(ctx, "asking the server for its identifier", err)
	}
	d.identifier = &identifier
	return identifier, nil
}

// raise counts a step of a run: clusters that are told of it notice a database that has forgotten it. It is the last statement of
// its transaction, which must be READ COMMITTED: everybody waits for the row, for as long as it takes to commit. So steps are counted in
// the order in which they are seen, and a step that has freed claims ends the watermarks of all snapshots that have not seen it.
func raise(ctx context.Context, tx pgx.Tx, runID string, freed bool) (sequence int64, err error) {
	err = tx.QueryRow(ctx, raising+`raised_sequence`, runID, freed).Scan(&sequence)
	return sequence, err
}

const raising = `WITH raised AS (UPDATE ledgerport.ledger SET sequence = sequence + 1 RETURNING sequence AS raised_sequence)
	UPDATE ledgerport.runs SET sequence = raised_sequence, freed_sequence = CASE WHEN $2 THEN raised_sequence ELSE freed_sequence END
	FROM raised WHERE id = $1 RETURNING `

// raised is raise, and returns the record of the run.
func raised(ctx context.Context, tx pgx.Tx, runID string, freed bool) (Run, error) {
	return scanRun(tx.QueryRow(ctx, raising+runColumns, runID, freed))
}

// AcceptLedger records that the ledger is on the server that it is on now. Renewed, it is another ledger from now on: every
// cluster asks again before it exports from it.
func (d *Database) AcceptLedger(ctx context.Context, renew bool) (Ledger, error) {
	const doing = "accepting the ledger"
	here, err := d.server(ctx)
	if err != nil {
		return Ledger{}, err
	}
	err = d.transact(ctx, "", "", "", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO ledgerport.ledger AS l (system_identifier) SELECT $1 WHERE $2 OR EXISTS (SELECT FROM ledgerport.ledger)
		ON CONFLICT (only_row) DO UPDATE SET system_identifier = excluded.system_identifier, id = CASE WHEN $2 THEN excluded.id ELSE l.id END`, here, renew)
		return err
	})
	if err != nil {
		return Ledger{}, classify(ctx, doing, err)
	}
	return d.Ledger(ctx)
}

// BelongsTo fails with ReasonOtherCluster if a run is recorded by another cluster.
func (r Run) BelongsTo(cluster string) error {
	if r.Cluster == "" || r.Cluster == cluster {
		return nil
	}
	return failure.Stalled(v1alpha1.ReasonOtherCluster, nil,
		"run %s/%s is recorded as %s by the cluster %.64q (the UID of its namespace kube-system), and this one is %s; if that cluster is gone: %s. Else give this run another name",
		r.Namespace, r.Name, r.State, r.Cluster, cluster, handOver(r, cluster))
}

// handOver is the command that gives a run to a cluster.
func handOver(run Run, cluster string) string {
	return fmt.Sprintf("ledgerport ledger hand-over --run %.64s --to %s", run.ID, cluster)
}

// HandOver gives the runs of one cluster, or the one run of an id, to another, and returns how many. A process of the first cluster
// that still executes one is fenced.
func (d *Database) HandOver(ctx context.Context, from, runID, to string) (int64, error) {
	runs, err := committed(ctx, d, "", "", func(tx pgx.Tx) (int64, error) {
		done, err := tx.Exec(ctx, `UPDATE ledgerport.runs SET cluster = $3,
			attempt = CASE WHEN `+unfinished+` THEN attempt + 1 ELSE attempt END
		WHERE ($1 = '' OR cluster = $1) AND ($2 = '' OR id = $2) AND cluster <> $3 AND ($1 <> '' OR $2 <> '')`, from, runID, to)
		return done.RowsAffected(), err
	})
	return runs, classify(ctx, "handing runs over", err)
}

// Unfinished returns the runs that have not ended, oldest first.
func (d *Database) Unfinished(ctx context.Context) (runs []Run, err error) {
	err = d.reading(ctx, "reading the unfinished runs", func(tx pgx.Tx) error {
		defer meterOf(tx.Conn()).record()()
		rows, _ := tx.Query(ctx, `SELECT `+runColumns+` FROM ledgerport.runs WHERE `+unfinished+` ORDER BY started_at LIMIT 1000`) // the error comes with the rows
		runs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Run, error) { return scanRun(row) })
		return err
	})
	return runs, err
}
