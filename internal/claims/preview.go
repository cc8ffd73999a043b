package claims

import (
	"context"
	"errors"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/ledger"
)

// Preview is one pass over the claims that a run would take now, under the numbers that it would give them. It reads one
// snapshot of the database and writes nothing.
type Preview struct {
	numbers
	tx     pgx.Tx
	stream *stream
	cancel context.CancelFunc
}

// Preview streams the claims that Reserve would stream for a run, which need not be recorded: its organisation, book,
// series, cutoff and selection count. Close must be called in the end, in any case; the Database serves nothing else meanwhile.
func (d *Database) Preview(ctx context.Context, run Run) (*Preview, error) {
	if _, err := d.connection(ctx); err != nil {
		return nil, err
	}
	tables, err := d.layout(ctx)
	if err != nil {
		return nil, err
	}
	if err := tables.checkOrganization(run.OrganizationID); err != nil {
		return nil, err
	}
	known, err := d.identity(ctx, tables, run.Book)
	if err != nil {
		return nil, err
	}
	whole, cancel := context.WithCancel(ctx)
	p := &Preview{numbers: numbers{}, cancel: cancel}
	if err := p.begin(whole, d, run, tables, known); err != nil {
		p.Close() //nolint:contextcheck // it must work after the context's end
		return nil, classify(ctx, "beginning to read the approved claims", err)
	}
	return p, nil
}

func (p *Preview) begin(ctx context.Context, d *Database, run Run, tables *layout, known identity) (err error) {
	if p.tx, err = run.owner().begin(ctx, d.conn, pgx.RepeatableRead, pgx.ReadOnly); err != nil {
		return err
	}
	if err := p.read(ctx, p.tx, run); err != nil {
		return err
	}
	h, err := d.horizon(ctx, p.tx, tables, run, known)
	if err != nil {
		return err
	}
	if err := tables.hintCandidates(ctx, p.tx, tables.byKey(run, known, &h)); err != nil {
		return err
	}
	p.stream = openStream(ctx, d.conn, tables.candidates(run, known, true, &h), resultFormats())
	p.stream.named = run.Selection.Receipts && tables.receipts == nil
	return nil
}

// Next returns the next claim, or io.EOF after the last. The claim is valid until the next call, and the maps in it are not
// to be changed.
func (p *Preview) Next(ctx context.Context) (*ledger.Claim, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	claim, err := p.stream.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, unconvertible(ctx, p.stream.claim.ID, err)
	}
	return claim, err
}

// Take uses up the numbers of the vouchers of a claim, which Number has given them.
func (p *Preview) Take(_ context.Context, vouchers []ledger.Voucher) error {
	for i := range vouchers {
		if err := p.use(&vouchers[i]); err != nil {
			return err
		}
	}
	return nil
}

// Hold leaves a claim out, and records nothing of it.
func (p *Preview) Hold(context.Context, *ledger.Hold) error { return nil }

// Close ends the pass.
func (p *Preview) Close() {
	p.cancel()
	if p.stream != nil {
		_ = p.stream.close() // whatever it says, nothing more is read
	}
	if p.tx != nil {
		rollback(context.Background(), p.tx)
	}
}
