package claims

import (
	"context"
	"errors"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/journal"
	"github.com/ledgerport/ledgerport/ledger"
)

// Vouchers are those of a run, in the order of their positions, as they were when its claims were taken.
type Vouchers struct {
	conn   *pgx.Conn
	run    Run
	block  int
	reader *journal.Reader // of the block that is being read; nil before the first
}

// Vouchers reads the vouchers of a run that is rendered.
func (d *Database) Vouchers(ctx context.Context, fence Fence) (*Vouchers, error) {
	run, err := d.guarded(ctx, fence, StateRendered)
	if err != nil {
		return nil, err
	}
	return &Vouchers{conn: d.conn, run: run}, nil
}

// KeptVouchers reads the vouchers of a run that is committed.
func (d *Database) KeptVouchers(ctx context.Context, run Run) (*Vouchers, error) {
	conn, err := d.connection(ctx)
	return &Vouchers{conn: conn, run: run}, err
}

// KeptVouchersFrom reads the vouchers of a run that is committed, from a block on.
func (d *Database) KeptVouchersFrom(ctx context.Context, run Run, block int) (*Vouchers, error) {
	vouchers, err := d.KeptVouchers(ctx, run)
	vouchers.block = block
	return vouchers, err
}

// Block that the voucher is in which was read last, counted from 0.
func (v *Vouchers) Block() int { return v.block - 1 }

// Next reads the next voucher into v, whose memory is used again, or returns io.EOF after the last.
func (v *Vouchers) Next(ctx context.Context, into *ledger.Voucher) error {
	for {
		if v.reader != nil {
			err := v.reader.Next(into)
			if errors.Is(err, journal.ErrDamaged) {
				return failure.OnSource.Stalled(v1alpha1.ReasonInternal, err, "the vouchers recorded for run %s cannot be read; was it begun by a newer operator?", v.run.Name)
			}
			if !errors.Is(err, io.EOF) {
				return err
			}
		}
		v.reader = nil // so that two blocks are never held at once
		var body []byte
		err := lookUp(ctx, v.conn, "", v.run.ID, func(row pgx.Row) error { return row.Scan(&body) },
			`SELECT body FROM ledgerport.run_vouchers WHERE run_id = $1 AND block = $2`, v.run.ID, v.block)
		if errors.Is(err, pgx.ErrNoRows) {
			return io.EOF
		}
		if err != nil {
			return classify(ctx, "reading the recorded vouchers", err)
		}
		v.block++
		v.reader = journal.NewReader(body)
	}
}
