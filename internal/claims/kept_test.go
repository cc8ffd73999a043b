package claims_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/journal"
	"github.com/ledgerport/ledgerport/ledger"
)

// TestSettle_OfManyRejections has every other voucher of more than one block rejected, which are more ranges of numbers than a manifest
// lists.
func TestSettle_OfManyRejections(t *testing.T) {
	t.Parallel()
	const n = 4200
	s := newSubmission(t, n)
	s.sql(`UPDATE ledgerport.submitted_vouchers SET sent_at = now(), state = CASE position % 2 WHEN 1 THEN 'acknowledged' ELSE 'rejected' END`)
	totals, err := s.SubmissionTotals(t.Context(), s.run.Fence())
	s.must(err)
	if want := []artifact.Range{{Series: "E", FiscalYear: 2026, First: 1, Last: n - 1, Missing: n/2 - 1}}; !slices.Equal(totals.Accepted.Vouchers, want) {
		t.Errorf("the numbers are %d ranges, the first of them %+v", len(totals.Accepted.Vouchers), totals.Accepted.Vouchers[0])
	}
	manifest := artifact.Manifest{Figures: totals.Accepted}
	manifest.Base.Currency = totals.Accepted.Currencies[0].Currency
	s.must(manifest.Validate())

	s.must(s.Settle(t.Context(), s.run.Fence(), claims.Rendered{Claims: n / 2}))
	rows, _ := s.conn.Query(t.Context(), `SELECT body FROM ledgerport.run_vouchers WHERE run_id = $1 ORDER BY block`, s.run.ID) // the error comes with the rows
	blocks, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	s.must(err)
	var voucher ledger.Voucher
	kept := int64(0)
	for _, block := range blocks {
		for reader := journal.NewReader(block); err == nil; {
			if err = reader.Next(&voucher); err == nil {
				kept++
				if voucher.Number != 2*kept-1 {
					t.Fatalf("voucher %d is kept as the %dth", voucher.Number, kept)
				}
			}
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		err = nil
	}
	if kept != n/2 || len(blocks) < 2 {
		t.Errorf("%d vouchers are kept in %d blocks, want %d in several", kept, len(blocks), n/2)
	}
}

// TestSubmissionTotals_ThatNobodyHasComeTo has the owner of the database write amounts whose sum no number holds.
func TestSubmissionTotals_ThatNobodyHasComeTo(t *testing.T) {
	t.Parallel()
	for _, column := range []string{"base_debit", "base_payable"} {
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			s := newSubmission(t, 3)
			s.sql(`UPDATE ledgerport.submitted_vouchers SET state = 'acknowledged', ` + column + ` = CASE currency WHEN 'USD' THEN 9223372036854775807 ELSE 1 END`)
			_, err := s.SubmissionTotals(t.Context(), s.run.Fence())
			mustFail(t, err, v1alpha1.ReasonRecordInvalid)
		})
	}
}
