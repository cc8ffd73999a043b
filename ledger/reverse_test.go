package ledger_test

import (
	"reflect"
	"slices"
	"testing"

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
			claim.Lines[0].Category, claim.Lines[0].Tax = "hotel", "25.00"
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
			reverser.Reverse(&reversing)
			if reversing.Reverses != "E/2026/17" || reversing.PostingDate != day(test.date) || reversing.FiscalYear != test.year || !reversing.Balanced() {
				t.Errorf("the reversing voucher is %+v", reversing)
			}
			for i, p := range reversing.Postings {
				was := original.Postings[i]
				if p.Amount+was.Amount != 0 || p.BaseAmount+was.BaseAmount != 0 || p.TaxAmount+was.TaxAmount != 0 || p.BaseTaxAmount+was.BaseTaxAmount != 0 {
					t.Errorf("posting %d does not cancel %+v out: %+v", i, was, p)
				}
				p.Amount, p.BaseAmount, p.TaxAmount, p.BaseTaxAmount = was.Amount, was.BaseAmount, was.TaxAmount, was.BaseTaxAmount
				if !reflect.DeepEqual(p, was) {
					t.Errorf("more than the signs of posting %d changed: %+v, was %+v", i, p, was)
				}
			}
		})
	}
}
