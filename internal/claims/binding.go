package claims

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/ledger"
)

// binding gives claims to a run under voucher numbers, in one transaction: all of them, or none.
type binding struct {
	run      Run
	fence    Fence
	tx       pgx.Tx
	recorder *recorder
	position int64
	mark     *mark // to be recorded with the run; nil for none
	numbers
}

func newBinding(run Run, fence Fence) binding {
	return binding{run: run, fence: fence, numbers: numbers{}}
}

// take records a voucher, whose number is NextNumber of its fiscal year, at the next position in the run.
func (b *binding) take(ctx context.Context, voucher *ledger.Voucher, at voucherPlace) error {
	if err := b.use(voucher); err != nil {
		return err
	}
	b.position++
	at.position = b.position
	return b.recorder.take(ctx, at, voucher)
}

// commit makes all that was taken true, if the attempt is still the run's newest.
func (b *binding) commit(ctx context.Context, rendered Rendered) error {
	if err := b.recorder.finish(); err != nil {
		return err
	}
	if err := b.advanceNumbers(ctx); err != nil {
		return err
	}
	err := recordRendered(ctx, b.tx, b.fence, StateRendered, rendered, b.mark)
	if sqlState(err) == stateSerialization { // the run's row is newer than the snapshot
		return fenced()
	}
	if err != nil {
		return err
	}
	return commit(ctx, b.tx)
}

// advanceNumbers moves the series on, if it still stands where the binding found it.
func (b *binding) advanceNumbers(ctx context.Context) error {
	for _, fiscalYear := range slices.Sorted(maps.Keys(b.numbers)) {
		year := b.numbers[fiscalYear]
		if year.next == year.first {
			continue
		}
		done, err := b.tx.Exec(ctx, `INSERT INTO ledgerport.voucher_numbers AS n (organization_id, book, series, fiscal_year, next)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id, book, series, fiscal_year) DO UPDATE SET next = excluded.next WHERE n.next = $6`,
			b.run.OrganizationID, b.run.Book, b.run.Series, fiscalYear, year.next, year.first)
		if err != nil {
			return err
		}
		if done.RowsAffected() != 1 {
			return conflict(nil)
		}
	}
	return nil
}

// rollback ends the transaction. What was committed stays; everything else is undone. The context of what the recorder
// does has ended by now.
func (b *binding) rollback() {
	if b.recorder != nil {
		_ = b.recorder.finish() // its error has been reported or does not matter any more
	}
	if b.tx != nil {
		rollback(context.Background(), b.tx)
	}
}
