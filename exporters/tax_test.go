package exporters_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestASystemComputesTheTaxOfMostReceipts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		gross, tax ledger.Amount
		rate       string
		want       bool
	}{
		{"to the cent", 11900, 1900, "19", true},
		{"rounded up", 1000, 160, "19", true}, // 159.66
		{"rounded down", 500, 33, "7", true},  // 32.71
		{"half a cent, away from zero", 27, 3, "12.5", true},
		{"a refund", -11900, -1900, "19", true},
		{"half a cent of a refund", -27, -3, "12.5", true},
		{"a receipt that rounds per line", 1000, 159, "19", false},
		{"a receipt with a tip without tax", 12900, 1900, "19", false},
		{"the largest amount", ledger.MaxAmount, 159663865546218, "19", true},
		{"no tax", 11900, 0, "19", false},
		{"a rate that is none", 11900, 1900, "", false},
		{"a rate with a word", 11900, 1900, "1x", false},
	}
	for _, test := range tests {
		if got := exporters.ComputesTax(expense(test.gross, test.tax, test.rate)); got != test.want {
			t.Errorf("%s: %d of %d at %s %%: %t, want %t", test.name, test.tax, test.gross, test.rate, got, test.want)
		}
	}
	tax := expense(11900, 1900, "19")
	tax.Kind = ledger.TaxPosting
	if exporters.ComputesTax(tax) {
		t.Error("the tax posting itself is computed from")
	}
}

// The whole numbers above agree with fractions.
func TestComputedTaxIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		gross := rapid.Int64Range(1, int64(ledger.MaxAmount)).Draw(t, "gross")
		rate := rapid.StringMatching(`[0-9]{1,2}\.[0-9]{1,4}`).Draw(t, "rate")
		percent, _ := new(big.Rat).SetString(rate)
		exact := new(big.Rat).Quo(new(big.Rat).Mul(big.NewRat(gross, 1), percent), new(big.Rat).Add(big.NewRat(100, 1), percent))
		doubled := new(big.Int).Add(new(big.Int).Mul(exact.Num(), big.NewInt(2)), exact.Denom())
		tax := new(big.Int).Div(doubled, new(big.Int).Mul(exact.Denom(), big.NewInt(2))).Int64()
		if want := tax != 0; exporters.ComputesTax(expense(ledger.Amount(gross), ledger.Amount(tax), rate)) != want {
			t.Fatalf("%d of %d at %s %% is not computed", tax, gross, rate)
		}
		if exporters.ComputesTax(expense(ledger.Amount(gross), ledger.Amount(tax+1), rate)) {
			t.Fatalf("%d of %d at %s %% is computed", tax+1, gross, rate)
		}
	})
}

func expense(gross, tax ledger.Amount, rate string) *ledger.Posting {
	return &ledger.Posting{Kind: ledger.ExpensePosting, BaseAmount: gross - tax, BaseTaxAmount: tax, TaxRate: rate}
}
