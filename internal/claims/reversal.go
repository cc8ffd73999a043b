package claims

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/ledger"
)

// Reversal is one pass over the vouchers of a committed run. Each that is to be reversed gets one that reverses it. Commit makes all
// of it true at once; until then nobody sees anything of it.
type Reversal struct {
	binding
	cancel   context.CancelFunc
	reader   *pgx.Conn
	vouchers *Vouchers
	bound    *boundVouchers
	named    map[string]bool // keys of the only claims that are reversed; nil for all
	current  int64           // position of the voucher that was read last, in its run
}

// Reverse reads the vouchers of the run that a reversal reverses, all of them or those of claims by their ids, to be reversed one
// after another. The reversal must be started, by this attempt. Rollback must be called in the end, in any case; the Database
// serves nothing else meanwhile.
func (d *Database) Reverse(ctx context.Context, fence Fence, ids []string) (*Reversal, error) {
	run, err := d.guarded(ctx, fence, StateStarted)
	if err != nil {
		return nil, err
	}
	source, found, err := d.Run(ctx, run.Reverses)
	if err != nil {
		return nil, err
	}
	if !found || source.State != StateCommitted {
		return nil, fmt.Errorf("run %s is to reverse %q, which is no committed run", run.Name, run.Reverses)
	}
	whole, cancel := context.WithCancel(ctx)
	r := &Reversal{binding: newBinding(run, fence), cancel: cancel}
	for _, key := range claimKeys(ids) {
		if r.named == nil {
			r.named = map[string]bool{}
		}
		r.named[key] = true
	}
	if err := r.begin(whole, d, source); err != nil {
		r.Rollback() //nolint:contextcheck // it must work after the context's end
		return nil, classify(ctx, "beginning to reverse vouchers", err)
	}
	return r, nil
}

func (r *Reversal) begin(ctx context.Context, d *Database, source Run) (err error) {
	if r.reader, err = d.reconnect(ctx); err != nil {
		return err
	}
	r.vouchers = &Vouchers{conn: r.reader, run: source}
	if r.bound, err = readBound(ctx, r.reader, source); err != nil {
		return err
	}
	if r.tx, err = r.run.owner().begin(ctx, d.conn, pgx.RepeatableRead, ""); err != nil {
		return err
	}
	if err := r.read(ctx, r.tx, r.run); err != nil {
		return err
	}
	r.recorder = newRecorder(ctx, r.tx.Conn(), r.run, "reversal_vouchers", 0)
	return nil
}

// Next reads the next voucher of the run that is reversed, or returns io.EOF. It reports whether that is to be turned into the one
// that reverses it: it is not reversed yet, and its claim is among those that are named, if any are.
func (r *Reversal) Next(ctx context.Context, voucher *ledger.Voucher) (reverse bool, err error) {
	err = r.vouchers.Next(ctx, voucher)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	bound, more, failed := r.bound.next(ctx)
	if failed != nil {
		return false, classify(ctx, "reading which vouchers are reversed", failed)
	}
	if more != (err == nil) || more && bound.Claim != claimKey(voucher.ClaimID) {
		return false, RecordInvalid("run_vouchers", r.run.Reverses, errors.New("its vouchers are not those that exported_claims and reversal_vouchers have of the run"))
	}
	r.current = bound.Position
	return bound.Open && (r.named == nil || r.named[bound.Claim]), err
}

// Take records the voucher that reverses the one that was read last: its number is NextNumber of its fiscal year.
func (r *Reversal) Take(ctx context.Context, voucher *ledger.Voucher) error {
	return r.take(ctx, voucher, voucherPlace{reverses: r.current})
}

// Commit makes the reversal's vouchers, its numbers and the artifact's hashes true in one transaction, if the attempt is still
// the run's newest. The reversed claims stay bound to their run until the reversal is committed.
func (r *Reversal) Commit(ctx context.Context, rendered Rendered) error {
	return classify(ctx, "reserving reversing vouchers", r.commit(ctx, rendered))
}

// Rollback ends the pass. What was committed stays; everything else is undone.
func (r *Reversal) Rollback() {
	r.cancel()
	r.rollback()
	if r.reader != nil {
		closeConnection(r.reader)
	}
}

// boundVoucher is where a voucher of a run is recorded.
type boundVoucher struct {
	Position int64
	Claim    string // its key
	Open     bool   // it is not reversed
}

// boundVouchers goes through the places of the vouchers of a committed run, in their order. It holds some of them at a time.
type boundVouchers struct {
	tx    pgx.Tx
	ahead []boundVoucher
}

// boundAhead is how many places are held, each with the id of a claim.
const boundAhead = 1024

// readBound begins to read in a transaction that ends with its connection.
func readBound(ctx context.Context, conn *pgx.Conn, run Run) (*boundVouchers, error) {
	tx, err := run.owner().begin(ctx, conn, pgx.RepeatableRead, pgx.ReadOnly)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `DECLARE bound NO SCROLL CURSOR FOR
		SELECT b.position, b.claim_id, w.run_id IS NULL FROM (
			SELECT position, claim_id FROM ledgerport.exported_claims WHERE organization_id = $1 AND run_id = $2
			UNION ALL SELECT position, claim_id FROM ledgerport.reversal_vouchers WHERE organization_id = $1 AND run_id = $2) b
		LEFT JOIN ledgerport.reversal_vouchers w ON w.reverses = $2 AND w.reverses_position = b.position
		ORDER BY b.position`, run.OrganizationID, run.ID)
	return &boundVouchers{tx: tx}, err
}

// next returns the next place, and whether there is one.
func (b *boundVouchers) next(ctx context.Context) (voucher boundVoucher, more bool, err error) {
	if len(b.ahead) == 0 {
		rows, _ := b.tx.Query(ctx, fmt.Sprintf(`FETCH %d FROM bound`, boundAhead)) // the error comes with the rows
		if b.ahead, err = pgx.CollectRows(rows, pgx.RowToStructByPos[boundVoucher]); err != nil || len(b.ahead) == 0 {
			return voucher, false, err
		}
	}
	voucher, b.ahead = b.ahead[0], b.ahead[1:]
	return voucher, true, nil
}
