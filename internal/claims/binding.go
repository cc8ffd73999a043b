package claims

import (
	"context"
	"fmt"
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
	numbers  map[int]*numbering
}

// numbering of one fiscal year: the next number when the binding began, and now.
type numbering struct{ first, next int64 }

func newBinding(run Run, fence Fence) binding {
	return binding{run: run, fence: fence, numbers: map[int]*numbering{}}
}

// readNumbers learns where the series stands in each fiscal year.
func (b *binding) readNumbers(ctx context.Context) error {
	rows, _ := b.tx.Query(ctx, `SELECT fiscal_year, next FROM ledgerport.voucher_numbers WHERE organization_id = $1 AND series = $2`,
		b.run.OrganizationID, b.run.Series) // the error comes with the rows
	var year int
	var next int64
	_, err := pgx.ForEachRow(rows, []any{&year, &next}, func() error {
		b.numbers[year] = &numbering{first: next, next: next}
		return nil
	})
	return err
}

// NextNumber is the number that the next voucher taken for a fiscal year gets.
func (b *binding) NextNumber(fiscalYear int) int64 { return b.numbering(fiscalYear).next }

func (b *binding) numbering(fiscalYear int) *numbering {
	year, ok := b.numbers[fiscalYear]
	if !ok {
		year = &numbering{first: 1, next: 1}
		b.numbers[fiscalYear] = year
	}
	return year
}

// take records a voucher, whose number is NextNumber of its fiscal year.
func (b *binding) take(ctx context.Context, voucher *ledger.Voucher) error {
	year := b.numbering(voucher.FiscalYear)
	if voucher.Number != year.next {
		return fmt.Errorf("the voucher of claim %s has the number %d, and the next of %d is %d", voucher.ClaimID, voucher.Number, voucher.FiscalYear, year.next)
	}
	b.position++
	year.next++
	return b.recorder.take(ctx, b.position, voucher)
}

// commit makes all that was taken true, if the attempt is still the run's newest.
func (b *binding) commit(ctx context.Context, state RunState, rendered Rendered) error {
	if err := b.recorder.finish(); err != nil {
		return err
	}
	if err := b.advanceNumbers(ctx); err != nil {
		return err
	}
	err := recordRendered(ctx, b.tx, b.fence, StateStarted, state, rendered)
	if sqlState(err) == stateSerialization { // the run's row is newer than the snapshot
		return fenced()
	}
	if err != nil {
		return err
	}
	return b.tx.Commit(ctx)
}

// advanceNumbers moves the series on, if it still stands where the binding found it.
func (b *binding) advanceNumbers(ctx context.Context) error {
	for _, fiscalYear := range slices.Sorted(maps.Keys(b.numbers)) {
		year := b.numbers[fiscalYear]
		if year.next == year.first {
			continue
		}
		done, err := b.tx.Exec(ctx, `INSERT INTO ledgerport.voucher_numbers AS n (organization_id, series, fiscal_year, next)
			VALUES ($1, $2, $3, $4) ON CONFLICT (organization_id, series, fiscal_year) DO UPDATE SET next = excluded.next WHERE n.next = $5`,
			b.run.OrganizationID, b.run.Series, fiscalYear, year.next, year.first)
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
