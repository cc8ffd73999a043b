package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// TestAClosedPeriodHoldsAClaimOrMovesIt: what is before the open period is posted on its first day, or held.
func TestAClosedPeriodHoldsAClaimOrMovesIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name             string
		openFrom, posted string
		closed           v1alpha1.ClosedPeriodPolicy
	}{
		{"moved if nothing is said", "2026-11-01", "2026-11-01", ""},
		{"moved", "2026-11-01", "2026-11-01", v1alpha1.ClosedNextOpenDay},
		{"held", "2026-11-01", "", v1alpha1.ClosedHold},
		{"held on the last closed day", "2026-10-13", "", v1alpha1.ClosedHold},
		{"posted on the first open day", "2026-10-12", "2026-10-12", v1alpha1.ClosedHold},
		{"posted if every period is open", "", "2026-10-12", v1alpha1.ClosedHold},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			policy := ledger.VoucherPolicy{Posting: v1alpha1.PostingPolicy{OpenFrom: test.openFrom, Closed: test.closed}}
			var voucher ledger.Voucher
			err := mapInto(t.Context(), mapper(t, books(), policy), expense(), &voucher)
			var hold *ledger.Hold
			switch {
			case test.posted == "" && (!errors.As(err, &hold) || hold.Reason != ledger.HoldClosedPeriod):
				t.Errorf("got %v, want a hold for ClosedPeriod", err)
			case test.posted != "" && (err != nil || voucher.PostingDate.Format(time.DateOnly) != test.posted):
				t.Errorf("posted on %s: %v", voucher.PostingDate.Format(time.DateOnly), err)
			case err == nil && voucher.DocumentDate.Format(time.DateOnly) != "2026-10-12":
				t.Errorf("the document is of %s", voucher.DocumentDate.Format(time.DateOnly))
			}
		})
	}
}

// TestAClaimOfTwoFiscalYearsIsHeldUnlessTheChartPostsIt: a hotel of 30 December 2025 for 400.00 belongs to 2025, and a taxi of 2 January
// to 2026 (ÅRL 2:4 p. 4, HGB §252 (1) No. 5, rskl §4-1 nr. 2).
func TestAClaimOfTwoFiscalYearsIsHeldUnlessTheChartPostsIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, yearStart, first, last string
		policy                       v1alpha1.FiscalYearsPolicy
		date                         v1alpha1.PostingDatePolicy
		held                         bool
	}{
		{"held if nothing is said", "", "2025-12-30", "2026-01-02", "", "", true},
		{"held", "", "2025-12-30", "2026-01-02", v1alpha1.FiscalYearsHold, "", true},
		{"held on whichever date it would be posted", "", "2025-12-30", "2026-01-02", "", v1alpha1.PostOnApprovalDate, true},
		{"posted as the chart says", "", "2025-12-30", "2026-01-02", v1alpha1.FiscalYearsPost, "", false},
		{"held over the turn of another year", "07-01", "2026-06-30", "2026-07-01", "", "", true},
		{"posted in the middle of another year", "07-01", "2025-12-30", "2026-01-02", "", "", false},
		{"held whatever the order of its lines", "", "2026-01-02", "2025-12-30", "", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chart := books()
			chart.FiscalYearStart, chart.Vouchers.AcrossFiscalYears = test.yearStart, test.policy
			claim := lines(ledger.Line{Category: "meals", Gross: "400.00"}, ledger.Line{Category: "meals", Gross: "50.00"})
			claim.Lines[0].ExpenseDate, claim.Lines[1].ExpenseDate = day(test.first), day(test.last)
			err := mapInto(t.Context(), mapper(t, chart, ledger.VoucherPolicy{Posting: v1alpha1.PostingPolicy{Date: test.date}}), claim, &ledger.Voucher{})
			var hold *ledger.Hold
			if errors.As(err, &hold) != test.held || test.held && hold.Reason != ledger.HoldSeveralYears || !test.held && err != nil {
				t.Errorf("got %v, held: %t", err, test.held)
			}
		})
	}
}
