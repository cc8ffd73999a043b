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
			if err := mapper.Map(t.Context(), claim, &original); err != nil {
				t.Fatal(err)
			}
			original.Number = 17
			reversing := original
			reversing.Postings = slices.Clone(original.Postings)
			reverser, err := ledger.NewMapper(books(), ledger.VoucherPolicy{Series: "E", Posting: v1alpha1.PostingPolicy{OpenFrom: test.openFrom}})
			if err != nil {
				t.Fatal(err)
			}
			if err := reverser.Reverse(&reversing); err != nil {
				t.Fatal(err)
			}
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
	for openFrom, held := range map[string]bool{"2026-11-30": false, "2026-12-01": false, "2026-12-02": true, "2062-11-01": true} {
		m := mapper(t, books(), ledger.VoucherPolicy{Series: "E", Cutoff: cutoff, Posting: v1alpha1.PostingPolicy{OpenFrom: openFrom}})
		var voucher ledger.Voucher
		var hold *ledger.Hold
		err := m.Map(t.Context(), expense(), &voucher)
		if held != errors.As(err, &hold) || held && (hold.Reason != ledger.HoldFutureDate || !strings.Contains(hold.Message, "spec.posting.openFrom")) || !held && err != nil {
			t.Errorf("open from %s: %v", openFrom, err)
		}
		if err := mapper(t, books(), ledger.VoucherPolicy{Series: "E"}).Map(t.Context(), expense(), &voucher); err != nil {
			t.Fatal(err)
		}
		before := voucher.PostingDate
		err = m.Reverse(&voucher)
		if held != errors.As(err, &hold) || held && !voucher.PostingDate.Equal(before) || !held && voucher.PostingDate.Format(time.DateOnly) != openFrom {
			t.Errorf("open from %s: the reversal is posted on %s (%v)", openFrom, voucher.PostingDate.Format(time.DateOnly), err)
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
		if err := errors.Join(m.Map(t.Context(), claim, &voucher), m.Reverse(&voucher)); err != nil || voucher.Postings[0].Quantity != want {
			t.Errorf("%q becomes %q (%v), want %q", quantity, voucher.Postings[0].Quantity, err, want)
		}
	}
}
