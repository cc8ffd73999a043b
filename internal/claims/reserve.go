package claims

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/internal/tracing"
	"github.com/ledgerport/ledgerport/ledger"
)

// Reservation is one pass over the claims that a run may take. Two transactions share one snapshot of the database: the
// reader streams the claims in order, and the writer takes or holds them in batches behind it. Commit makes all of it
// true at once; until then nobody sees anything of it.
type Reservation struct {
	binding
	database *Database
	known    identity
	tables   *layout
	cancel   context.CancelFunc // ends what both connections are doing
	reader   *pgx.Conn
	readerTx pgx.Tx
	stream   *stream
	current  *ledger.Claim // neither taken nor held yet
	horizon  horizon
	whole    bool // every claim was read
	done     bool // all of it is committed
	unnamed  bool // a claim was held whose id says nothing, so that it is not found by it
}

// Reserve streams every claim of the run's organisation that is approved before the cutoff and not exported yet, in order
// of approval and id. One that is bound under another organisation is told by the database when it is taken, with
// ReasonReservationConflict: the next pass of the same Database leaves it out. A selection narrows the claims. The run must be started, by this attempt. Rollback must be called in the end, in any case; the
// Database serves nothing else meanwhile.
func (d *Database) Reserve(ctx context.Context, fence Fence, selection Selection) (*Reservation, error) {
	run, err := d.guarded(ctx, fence, StateStarted)
	if err != nil {
		return nil, err
	}
	run.Selection = selection
	tables, err := d.layout(ctx)
	if err != nil {
		return nil, err
	}
	if err := tables.checkOrganization(run.OrganizationID); err != nil {
		return nil, err
	}
	known, err := d.claimTable(ctx, tables, run)
	if err != nil {
		return nil, err
	}
	whole, cancel := context.WithCancel(ctx)
	r := &Reservation{binding: newBinding(run, fence), database: d, known: known, tables: tables, cancel: cancel}
	if err := r.begin(whole, d); err != nil {
		err = d.secondSession(ctx, r, err)
		r.Rollback() //nolint:contextcheck // it must work after the context's end
		return nil, classify(ctx, "beginning to reserve claims", err)
	}
	return r, nil
}

// Guard fails with ReasonFenced where the attempt is not the run's newest any more, or the run not in the state.
func (d *Database) Guard(ctx context.Context, fence Fence, state RunState) error {
	conn, err := d.connection(ctx)
	if err != nil {
		return err
	}
	now := Run{}
	err = lookUp(ctx, conn, fence.OrganizationID, fence.RunID, func(row pgx.Row) error { return row.Scan(&now.Attempt, &now.State) },
		`SELECT attempt, state FROM ledgerport.runs WHERE id = $1`, fence.RunID)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && (now.Attempt != fence.Attempt || now.State != state) {
		return fenced()
	}
	return classify(ctx, "looking up the run", err)
}

// guarded returns the record of a run if it is in one of the states and the attempt is its newest. The database is not asked if this Database has just
// written the record: another process may have taken the run over since, and then the step that ends what follows is fenced. What follows changes the
// record in transactions of its own, so that it is not Newest any more.
func (d *Database) guarded(ctx context.Context, fence Fence, states ...RunState) (run Run, err error) {
	run, found := d.Newest(fence)
	d.newest = nil
	if !found {
		run, found, err = d.Run(ctx, fence.RunID)
	}
	if err == nil && (!found || run.Attempt != fence.Attempt || !slices.Contains(states, run.State)) {
		err = fenced()
	}
	return run, err
}

// begin opens both transactions. The reader's must stay open until the writer's has its snapshot.
func (r *Reservation) begin(ctx context.Context, d *Database) (err error) {
	if r.reader, err = d.second(ctx); err != nil {
		return err
	}
	readerTx, err := begin(ctx, r.reader, pgx.RepeatableRead, pgx.ReadOnly)
	if err != nil {
		return err
	}
	r.readerTx = readerTx
	snapshot, err := export(ctx, readerTx, r.run)
	if err != nil {
		return err
	}
	if err := r.patience(ctx, readerTx); err != nil {
		return err
	}
	if !inert(snapshot) {
		return strangeRow("sharing a snapshot")
	}
	if r.tx, err = r.run.owner().begin(ctx, d.conn, pgx.RepeatableRead, "", "SET TRANSACTION SNAPSHOT '"+snapshot+"'"); err != nil {
		return err
	}
	if err := r.patience(ctx, r.tx); err != nil {
		return err
	}
	if err := r.read(ctx, r.tx, r.run); err != nil {
		return err
	}
	if r.horizon, err = d.horizon(ctx, r.tx, r.tables, r.run, r.known); err != nil {
		return err
	}
	if err := r.tables.hintCandidates(ctx, readerTx, r.tables.byKey(r.run, r.known, &r.horizon)); err != nil {
		return err
	}
	r.stream = openStream(ctx, r.reader, r.tables.candidates(r.run, r.known, d.elsewhere, &r.horizon), resultFormats())
	r.stream.named = r.run.Selection.Receipts && r.tables.receipts == nil
	r.recorder = newRecorder(ctx, r.tx.Conn(), r.run, "exported_claims", r.known.id)
	return nil
}

// export binds a transaction to a run, and exports its snapshot.
func export(ctx context.Context, tx pgx.Tx, run Run) (snapshot string, err error) {
	rows, _ := tx.Query(ctx, run.owner().statement("$1", "$2", "$3", "$4")+`, pg_export_snapshot()`,
		run.OrganizationID, timeout(ctx), sessionName(run.ID), run.ID) // the error comes with the rows
	values, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) ([][]byte, error) { return row.RawValues(), nil })
	if err == nil {
		snapshot = string(values[len(values)-1])
	}
	return snapshot, classify(ctx, "beginning a transaction", err)
}

// Next returns the next claim, or io.EOF after the last. The claim is valid until the next call, and the maps in it are not
// to be changed. A claim that is neither taken nor held stays as it was.
func (r *Reservation) Next(ctx context.Context) (claim *ledger.Claim, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.current, err = r.stream.next()
	r.whole = errors.Is(err, io.EOF)
	if err != nil && !r.whole {
		return nil, unconvertible(ctx, r.stream.claim.ID, err)
	}
	return r.current, err
}

// Take binds the current claim to the run, with its vouchers, which Number has given their numbers.
func (r *Reservation) Take(ctx context.Context, vouchers []ledger.Voucher) error {
	if _, err := r.decide(); err != nil {
		return err
	}
	for i := range vouchers {
		if err := r.take(ctx, &vouchers[i], voucherPlace{further: i > 0}); err != nil {
			return err
		}
	}
	return nil
}

// Hold leaves the current claim out and records why in ledgerport.held_claims.
func (r *Reservation) Hold(ctx context.Context, hold *ledger.Hold) error {
	claim, err := r.decide()
	if err != nil {
		return err
	}
	r.unnamed = r.unnamed || hold.Reason == ledger.HoldInvalidID
	return r.recorder.hold(ctx, claim.ID, hold)
}

var errNoCurrentClaim = errors.New("there is no claim to take or hold: it was already, or Next was not called")

func (r *Reservation) decide() (*ledger.Claim, error) {
	claim := r.current
	r.current = nil
	if claim == nil {
		return nil, errNoCurrentClaim
	}
	return claim, nil
}

// Totals asks the database what the taken claims are and come to, independently of what was streamed. No claim can be
// taken or held afterwards.
func (r *Reservation) Totals(ctx context.Context) (ledger.Totals, error) {
	if err := r.recorder.finish(); err != nil {
		return ledger.Totals{}, classify(ctx, "reserving claims", err)
	}
	if err := r.tables.hintTotals(ctx, r.tx, r.position); err != nil {
		return ledger.Totals{}, classify(ctx, "summing the reserved claims", err)
	}
	totals, err := readTotals(ctx, r.tx.Conn(), r.tables.totals(r.run))
	return totals, classify(ctx, "summing the reserved claims", err)
}

// Commit makes the reservation true: claims, holds, vouchers, numbers and the artifact's hashes in one transaction:
// started → rendered, if the attempt is still the run's newest. No claim can be taken or held afterwards.
func (r *Reservation) Commit(ctx context.Context, rendered Rendered) error {
	err := r.recorder.finish()
	if err == nil {
		err = r.sameTable(ctx)
	}
	if err == nil {
		err = r.dropSettledHolds(ctx)
	}
	if err == nil {
		if r.whole && !r.unnamed {
			r.mark = r.horizon.mark(r.run.Cutoff)
		}
		err = r.commit(ctx, rendered)
	}
	r.done = err == nil
	return classify(ctx, "reserving claims", err)
}

// sameTable insists that the name of the table, which the reader's lock keeps as it is, led to the table that was identified.
func (r *Reservation) sameTable(ctx context.Context) error {
	seen, _, err := r.database.sight(ctx, r.tx, r.tables.claims, "")
	if err == nil && seen.Relation != r.known.relation {
		err = conflict(nil)
	}
	return err
}

// dropSettledHolds removes the holds of claims that were taken or are not approved any more: this run has held the rest
// anew. What it did not look at stays: claims approved after its cutoff, and those of another ClaimSource.
func (r *Reservation) dropSettledHolds(ctx context.Context) (err error) {
	if r.horizon.noneHeld && !r.tables.rehearsal {
		return nil
	}
	settled := r.tables.settledHolds(r.run, r.known)
	_, span := tracing.Start(ctx, "sql DELETE held_claims")
	defer func() { endStatement(span, err) }()
	return r.tx.Conn().PgConn().ExecParams(ctx, settled.sql, settled.parameters, nil, nil, nil).Read().Err
}

// Rollback ends the reservation. What was committed stays; everything else is undone.
func (r *Reservation) Rollback() {
	r.cancel()
	r.rollback()
	if r.recorder != nil && r.recorder.bound.Load() {
		r.database.elsewhere = true
	}
	if r.stream != nil {
		_ = r.stream.close() // cancelled
	}
	switch {
	case r.reader == nil:
	case r.done && r.whole:
		r.database.setAside(r.reader, r.readerTx)
	default:
		closeConnection(r.reader)
	}
}
