package ledger_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestAnItemIsWhatASubledgerKnowsAVoucherBy(t *testing.T) {
	t.Parallel()
	voucher := ledger.Voucher{Series: "E", FiscalYear: 2026, Number: 18, Reverses: "E/2026/17", Postings: []ledger.Posting{
		{Kind: ledger.ExpensePosting}, {Kind: ledger.PaidPosting, Subledger: "card-1"}, {Kind: ledger.AdvancePosting, Subledger: "7"}, {Kind: ledger.OffsetPosting, Subledger: "7"},
	}}
	for i, want := range []string{"", "E/2026/17", "", "E/2026/17"} {
		if got := voucher.ItemOf(&voucher.Postings[i]); got != want {
			t.Errorf("the item of the %s posting is %q, not %q", voucher.Postings[i].Kind, got, want)
		}
	}
}

func TestReversingVoucher(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, openFrom, date string
		year                 int
	}{
		{"keeps its date", "", "2026-10-12", 2026},
		{"keeps its date where the period is open", "2026-10-12", "2026-10-12", 2026},
		{"moves to the open period", "2026-11-01", "2026-11-01", 2026},
		{"moves to the next fiscal year with it", "2027-01-01", "2027-01-01", 2027},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			mapper, err := ledger.NewMapper(books(), ledger.VoucherPolicy{Series: "E"})
			if err != nil {
				t.Fatal(err)
			}
			var original ledger.Voucher
			claim := expense()
			claim.Lines[0].Category, claim.Lines[0].Tax, claim.Lines[0].Quantity = "hotel", "25.00", "75.5"
			if err := mapInto(t.Context(), mapper, claim, &original); err != nil {
				t.Fatal(err)
			}
			original.Number = 17
			reversing := original
			reversing.Postings = slices.Clone(original.Postings)
			reverser, err := ledger.NewMapper(books(), ledger.VoucherPolicy{Series: "E", Posting: v1alpha1.PostingPolicy{OpenFrom: test.openFrom}})
			if err != nil {
				t.Fatal(err)
			}
			reverser.Reverse(&reversing)
			if reversing.Reverses != "E/2026/17" || reversing.PostingDate != day(test.date) || reversing.FiscalYear != test.year || !reversing.Balanced() {
				t.Errorf("the reversing voucher is %+v", reversing)
			}
			if reversing.Text != "Reverses E/2026/17: "+original.Text || reversing.ItemID() != original.ItemID() || reversing.DocumentDate != original.DocumentDate {
				t.Errorf("it says %q, and is item %s of %s", reversing.Text, reversing.ItemID(), reversing.DocumentDate)
			}
			for i, p := range reversing.Postings {
				was := original.Postings[i]
				if p.Amount+was.Amount != 0 || p.BaseAmount+was.BaseAmount != 0 || p.TaxAmount+was.TaxAmount != 0 || p.BaseTaxAmount+was.BaseTaxAmount != 0 {
					t.Errorf("posting %d does not cancel %+v out: %+v", i, was, p)
				}
				if p.Text != "Reverses E/2026/17: "+was.Text || was.Quantity != "" && p.Quantity != "-"+was.Quantity {
					t.Errorf("posting %d says %q of %q", i, p.Text, p.Quantity)
				}
				p.Amount, p.BaseAmount, p.TaxAmount, p.BaseTaxAmount = was.Amount, was.BaseAmount, was.TaxAmount, was.BaseTaxAmount
				p.Text, p.Quantity = was.Text, was.Quantity
				if !reflect.DeepEqual(p, was) {
					t.Errorf("more than the signs of posting %d changed: %+v, was %+v", i, p, was)
				}
			}
		})
	}
}

// TestNothingIsPostedInTheFutureBecauseThePeriodsBeforeAreClosed: a typo in openFrom moved vouchers by decades.
func TestNothingIsPostedInTheFutureBecauseThePeriodsBeforeAreClosed(t *testing.T) {
	t.Parallel()
	cutoff := day("2026-11-30")
	for openFrom, refused := range map[string]bool{"2026-11-30": false, "2026-12-01": false, "2026-12-02": true, "2062-11-01": true} {
		for _, closed := range []v1alpha1.ClosedPeriodPolicy{"", v1alpha1.ClosedNextOpenDay, v1alpha1.ClosedHold} {
			m, err := ledger.NewMapper(books(), ledger.VoucherPolicy{Series: "E", Cutoff: cutoff, Posting: v1alpha1.PostingPolicy{OpenFrom: openFrom, Closed: closed}})
			var period *ledger.PeriodError
			if errors.As(err, &period) != refused || refused && !strings.Contains(err.Error(), "spec.posting.openFrom") || !refused && err != nil {
				t.Errorf("open from %s: %v", openFrom, err)
			}
			if refused {
				continue
			}
			voucher := voucherOf(t, books(), ledger.VoucherPolicy{Series: "E"}, expense())
			m.Reverse(voucher)
			if voucher.PostingDate.Format(time.DateOnly) != openFrom {
				t.Errorf("open from %s: the reversal is posted on %s", openFrom, voucher.PostingDate.Format(time.DateOnly))
			}
		}
	}
}

// TestAReversalUndoesQuantities: 75 km and 75 km back are none.
func TestAReversalUndoesQuantities(t *testing.T) {
	t.Parallel()
	for quantity, want := range map[string]string{"75": "-75", "-2.50": "2.50", "0": "0", "0.00": "0.00", "": "", "0.5": "-0.5"} {
		var voucher ledger.Voucher
		m, claim := mapper(t, books(), ledger.VoucherPolicy{Series: "E"}), expense()
		claim.Lines[0].Quantity = quantity
		err := mapInto(t.Context(), m, claim, &voucher)
		m.Reverse(&voucher)
		if err != nil || voucher.Postings[0].Quantity != want {
			t.Errorf("%q becomes %q (%v), want %q", quantity, voucher.Postings[0].Quantity, err, want)
		}
	}
}
