package claims

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/ledger"
)

// numbers of a voucher series of a book, by fiscal year.
type numbers map[int]*numbering

// numbering of one fiscal year: the next number at the beginning, and now.
type numbering struct{ first, next int64 }

// read learns where the series of a run stands in each fiscal year.
func (n numbers) read(ctx context.Context, tx pgx.Tx, run Run) error {
	rows, _ := tx.Query(ctx, `SELECT fiscal_year, next FROM ledgerport.voucher_numbers WHERE organization_id = $1 AND book = $2 AND series = $3`,
		run.OrganizationID, run.Book, run.Series) // the error comes with the rows
	var year int
	var next int64
	_, err := pgx.ForEachRow(rows, []any{&year, &next}, func() error {
		if err := validNumbering(run.Series, year, next); err != nil {
			return err
		}
		n[year] = &numbering{first: next, next: next}
		return nil
	})
	return err
}

// NextNumber is the number that the next voucher taken for a fiscal year gets.
func (n numbers) NextNumber(fiscalYear int) int64 { return n.of(fiscalYear).next }

// Number numbers the vouchers of a claim with the next numbers of their fiscal years, in their order. It uses none up.
func (n numbers) Number(vouchers []ledger.Voucher) {
	ahead := map[int]int64{}
	for i := range vouchers {
		v := &vouchers[i]
		v.Number = n.NextNumber(v.FiscalYear) + ahead[v.FiscalYear]
		ahead[v.FiscalYear]++
	}
}

func (n numbers) of(fiscalYear int) *numbering {
	year, ok := n[fiscalYear]
	if !ok {
		year = &numbering{first: 1, next: 1}
		n[fiscalYear] = year
	}
	return year
}

// use insists that a voucher has the next number, and goes on.
func (n numbers) use(voucher *ledger.Voucher) error {
	year := n.of(voucher.FiscalYear)
	if voucher.Number != year.next {
		return fmt.Errorf("the voucher of claim %s has the number %d, and the next of %d is %d", voucher.ClaimID, voucher.Number, voucher.FiscalYear, year.next)
	}
	year.next++
	return nil
}
