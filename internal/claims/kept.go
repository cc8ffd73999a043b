package claims

import (
	"context"
	"errors"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/internal/journal"
	"github.com/ledgerport/ledgerport/ledger"
)

// keepAcknowledged leaves of the run's recorded vouchers those that the system has, in the order in which they were. It holds one block
// of them at a time.
func keepAcknowledged(ctx context.Context, tx pgx.Tx, runID string) error {
	dropped := dropped{tx: tx, runID: runID}
	var packer journal.Packer
	for block := 0; ; block++ {
		more, err := dropped.ahead(ctx)
		if err != nil || !more {
			return err
		}
		var body []byte
		err = tx.QueryRow(ctx, `SELECT body FROM ledgerport.run_vouchers WHERE run_id = $1 AND block = $2`, runID, block).Scan(&body)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		kept, err := dropped.leave(ctx, body)
		if err != nil {
			return err
		}
		content, err := packer.Pack(kept)
		if err != nil {
			return err
		}
		if len(content) == 0 {
			content = journal.Empty()
		}
		if _, err := tx.Exec(ctx, `UPDATE ledgerport.run_vouchers SET body = $3 WHERE run_id = $1 AND block = $2`, runID, block, content); err != nil {
			return err
		}
	}
}

// dropped goes through the positions of the vouchers that the system does not have.
type dropped struct {
	tx       pgx.Tx
	runID    string
	position int64   // of the voucher that was looked at last
	next     []int64 // the first positions behind that
	none     bool    // behind those that were next
}

// leave returns a block with the vouchers of another one that are not dropped. Nothing else that was written with it is held any more, such as texts:
// a database may have written as many of them as a block can have.
func (d *dropped) leave(ctx context.Context, block []byte) ([]byte, error) {
	var kept journal.Writer
	kept.Grow(len(block))
	var voucher ledger.Voucher
	for reader := journal.NewReader(block); ; {
		err := reader.Next(&voucher)
		if errors.Is(err, io.EOF) {
			return kept.Block(), nil
		}
		if err != nil {
			return nil, err
		}
		drop, err := d.nextIs(ctx)
		if err != nil {
			return nil, err
		}
		if !drop {
			kept.Append(&voucher)
		}
	}
}

// nextIs goes on to the next voucher, and reports whether it is dropped.
func (d *dropped) nextIs(ctx context.Context) (bool, error) {
	more, err := d.ahead(ctx)
	d.position++
	if err != nil || !more || d.next[0] != d.position {
		return false, err
	}
	d.next = d.next[1:]
	return true, nil
}

// ahead reports whether any voucher behind the position is dropped.
func (d *dropped) ahead(ctx context.Context) (bool, error) {
	if len(d.next) > 0 || d.none {
		return !d.none, nil
	}
	rows, err := d.tx.Query(ctx, `SELECT position FROM ledgerport.submitted_vouchers
		WHERE run_id = $1 AND state <> 'acknowledged' AND position > $2 ORDER BY position LIMIT $3`, d.runID, d.position, insertBatch)
	if err != nil {
		return false, err
	}
	d.next, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	d.none = len(d.next) == 0
	return !d.none, err
}
