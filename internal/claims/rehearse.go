package claims

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

// rehearsalTime bounds a rehearsal: a pooler lets a session wait for a server that it does not have.
const rehearsalTime = 5 * time.Second

// rehearsalPatience is how long a rehearsal waits for a lock.
const rehearsalPatience = 500 * time.Millisecond

// Rehearse does in small what a run does, for an organisation that does not exist, and takes it back: two sessions at once that
// share a snapshot, the query for claims, and a row in each table that a run writes. Whatever would end a run so ends the rehearsal
// with the same reason. No run waits for it, or fails by it: its keys are random, and it changes no row that is there. Nor does it
// fail by a run: where it would have to wait it gives up.
func (d *Database) Rehearse(ctx context.Context) error {
	tables, err := d.layout(ctx)
	if err != nil {
		return err
	}
	known, err := d.identity(ctx, tables, MainBook)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, rehearsalTime)
	r := &Reservation{database: d, known: known.rehearsed(), tables: tables.rehearsed(), cancel: cancel}
	defer r.Rollback() //nolint:contextcheck // it must work after the context's end
	id := "rehearsal-" + rand.Text()
	err = d.rehearse(limited, r, Attempt{
		RunIdentity: RunIdentity{ID: id, Namespace: "ledgerport", Export: "rehearsal", Name: "rehearsal", OrganizationID: tables.nobody()},
		Holder:      "rehearsal", Deadline: rehearsalTime, Book: MainBook, Series: id, Cutoff: time.Unix(0, 0), Inputs: []byte("{}"),
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return failure.OnSource.Transient(v1alpha1.ReasonUnsuitableSessions, nil,
			"a run was rehearsed, and did not end within %s: it needs two sessions at once, and a pooler may have one server for both; let the pool of this user have four (default_pool_size of PgBouncer)", rehearsalTime)
	}
	if contended(err) {
		return nil
	}
	return classify(ctx, "rehearsing a run", err)
}

// contended reports whether a statement gave way to another session. That is no fault of the database: a run would wait, or try again.
func contended(err error) bool {
	switch sqlState(err) {
	case stateLockNotAvailable, stateSerialization, stateDeadlock, stateUniqueViolation:
		return true
	}
	return false
}

// rehearsed is an identity under which nothing is recorded, in place of rows that a run may be about to write.
func (found identity) rehearsed() identity {
	const above = 1 << 30 // far beyond the ids of tables, which count them
	var random [4]byte
	_, _ = rand.Read(random[:]) // it never fails
	found.id = int32(above | binary.BigEndian.Uint32(random[:])>>2)
	found.changes = slices.Clone(found.changes)
	for i := range found.changes {
		found.changes[i].ID = found.id
	}
	return found
}

// patience lets a transaction of a rehearsal wait for no lock for long.
func (r *Reservation) patience(ctx context.Context, tx pgx.Tx) error {
	if !r.tables.rehearsal {
		return nil
	}
	_, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", rehearsalPatience.Milliseconds()))
	return err
}

// rehearsed is a layout whose query for claims returns none.
func (l *layout) rehearsed() *layout {
	rehearsed := *l
	rehearsed.rehearsal = true
	return &rehearsed
}

func (d *Database) rehearse(ctx context.Context, r *Reservation, attempt Attempt) error {
	run := Run{RunIdentity: attempt.RunIdentity, State: StateStarted, Attempt: 1, Book: attempt.Book, Series: attempt.Series, Cutoff: attempt.Cutoff, Type: TypeExport}
	r.binding = newBinding(run, run.Fence())
	if err := r.begin(ctx, d); err != nil {
		return d.secondSession(ctx, r, err)
	}
	if _, err := r.Next(ctx); !errors.Is(err, io.EOF) {
		return err
	}
	if err := disown(ctx, r.tx, run.ID); err != nil {
		return err
	}
	if _, err := start(ctx, r.tx, attempt); err != nil {
		return err
	}
	for _, t := range r.known.changes {
		if err := t.write(ctx, r.tx); err != nil {
			return err
		}
	}
	claim := ledger.Claim{ID: r.tables.none("id")}
	vouchers := []ledger.Voucher{{Series: run.Series, FiscalYear: 1, ClaimID: claim.ID}, {Series: run.Series, FiscalYear: 1, ClaimID: claim.ID}}
	r.Number(vouchers)
	r.current = &claim
	if err := r.Take(ctx, vouchers); err != nil {
		return err
	}
	if err := r.recorder.hold(ctx, claim.ID, &ledger.Hold{ClaimID: claim.ID, Reason: ledger.HoldUnmapped, Message: "-"}); err != nil {
		return err
	}
	if _, err := r.Totals(ctx); err != nil {
		return err
	}
	if err := r.dropSettledHolds(ctx); err != nil {
		return err
	}
	if err := r.advanceNumbers(ctx); err != nil {
		return err
	}
	return recordRendered(ctx, r.tx, r.fence, StateRendered, Rendered{Manifest: []byte("{}")}, r.horizon.mark(run.Cutoff))
}

// secondSession says why there is none, where the first one works.
func (d *Database) secondSession(ctx context.Context, r *Reservation, err error) error {
	var failed *failure.Error
	switch {
	case ctx.Err() != nil: // what is said after that, such as by a pooler that had no server for so long, is of a snapshot that has ended
		return ctx.Err()
	case r.reader == nil && errors.As(err, &failed) && sqlState(failed.Cause) == stateTooManyConnections:
		return failure.OnSource.Transient(v1alpha1.ReasonUnsuitableSessions, nil,
			"a run needs two sessions at once, and the server refused the second (SQLSTATE %s)%s", stateTooManyConnections, d.limits(ctx))
	case r.reader != nil && (sqlState(err) == stateNoSnapshot || sqlState(err) == stateUndefinedObject):
		return failure.OnSource.Transient(v1alpha1.ReasonUnsuitableSessions, nil,
			"the two sessions of a run share a snapshot, and the second does not know that of the first (SQLSTATE %s): they reach two servers; name the primary in the connection URL, and not what spreads sessions over replicas", sqlState(err))
	}
	return err
}

const (
	stateNoSnapshot      = "22023"
	stateUndefinedObject = "42704"
)

// limits tells what bounds the number of sessions, and how to raise it.
func (d *Database) limits(ctx context.Context) (limits string) {
	_ = d.reading(ctx, "looking up the limit of connections", func(tx pgx.Tx) error { // without it the reason says enough
		var role, name string
		var ofRole, ofDatabase, used int
		if err := tx.QueryRow(ctx, `SELECT quote_ident(rolname), rolconnlimit, quote_ident(datname), datconnlimit, (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user)
			FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()`).Scan(&role, &ofRole, &name, &ofDatabase, &used); err != nil {
			return err
		}
		limits = fmt.Sprintf("; it has %d of the %d that its role may have and the %d of the database (-1 is no limit); ALTER ROLE %s CONNECTION LIMIT 4, or ALTER DATABASE %s CONNECTION LIMIT -1, or raise max_connections",
			used, ofRole, ofDatabase, role, name)
		return nil
	})
	return limits
}
