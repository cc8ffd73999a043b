package exporters_test

import (
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestTaxCodesThatASystemCanNotTellApartAreHeld(t *testing.T) {
	t.Parallel()
	owed := &v1alpha1.ReverseCharge{Account: "2701"}
	books := &v1alpha1.ChartOfAccountsSpec{TaxCodes: []v1alpha1.TaxCode{
		{Code: "25", Rate: "25", Account: "2710"}, {Code: "25-b", Rate: "25.0", Account: "2711", Deductible: "100"}, {Code: "12", Rate: "12", Account: "2710"},
		{Code: "half", Rate: "25", Account: "2710", Deductible: "50"}, {Code: "none", Rate: "25", Account: "2710", Deductible: "0"},
		{Code: "owed", Rate: "25", Account: "2710", ReverseCharge: owed}, {Code: "owed-none", Rate: "25", Deductible: "0", ReverseCharge: owed},
		{Code: "owed-half", Rate: "25", Account: "2710", Deductible: "50", ReverseCharge: owed}, {Code: "no tax", Rate: "25"},
	}}
	for name, test := range map[string]struct {
		codes []string // that have the same code of the system
		held  bool
	}{
		"the same treatment":               {[]string{"25", "25-b"}, false},
		"another rate":                     {[]string{"25", "12"}, true},
		"one of them owed":                 {[]string{"25", "owed"}, true},
		"one of them not deducted":         {[]string{"owed", "owed-none"}, true},
		"those that no code is written of": {[]string{"25", "half", "none", "owed-half", "no tax"}, false},
	} {
		byCode := map[string]string{"other": "1"}
		for _, code := range test.codes {
			byCode[code] = "1"
		}
		codes := exporters.NewSystemCodes("taxKeys", byCode, books)
		posting := &ledger.Posting{Kind: ledger.ExpensePosting, TaxCode: test.codes[0], LineNumber: 1}
		err := codes.Check(&ledger.Voucher{ClaimID: "c"}, posting)
		if (err != nil) != test.held || test.held && !strings.Contains(err.Error(), "has the same code in the option taxKeys as the tax code") {
			t.Errorf("%s: %v", name, err)
		}
		if err := codes.Check(&ledger.Voucher{ClaimID: "c", Reverses: "E/2026/1"}, posting); err != nil {
			t.Errorf("%s: a reversal is held: %v", name, err)
		}
	}
}

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

// TestTheTaxOfEachPartOfAReceiptIsComputed divides receipts of which a system computes the tax: it computes that of their parts, too, so
// that they keep their tax code. The parts are within a few minor units of their percentages.
func TestTheTaxOfEachPartOfAReceiptIsComputed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rate  string
		share []string
		most  ledger.Amount
	}{
		{"7", []string{"70", "30"}, 9}, {"12", []string{"70", "30"}, 6}, {"19", []string{"70", "30"}, 5}, {"25", []string{"70", "30"}, 4},
		{"25", []string{"33.3", "33.3", "33.4"}, 4},
	} {
		t.Run(test.rate+" per cent in "+strings.Join(test.share, ", "), func(t *testing.T) {
			t.Parallel()
			mapper := dividing(t, test.rate, test.share)
			percent, _ := ledger.ParsePercent(test.rate)
			first, _ := ledger.ParsePercent(test.share[0])
			for gross := ledger.Amount(500); gross < 30_000; gross += 7 {
				tax := (2*gross*ledger.Amount(percent) + 1_000_000 + ledger.Amount(percent)) / (2 * (1_000_000 + ledger.Amount(percent)))
				if gross%2 == 1 {
					gross, tax = -gross, -tax // a refund
				}
				parts := divided(t, mapper, gross, tax)
				var sum, taxes ledger.Amount
				for i := range parts {
					if !exporters.ComputesTax(&parts[i]) {
						t.Fatalf("%d of %d: the tax of part %d, %d of %d, is not what %s %% compute", tax, gross, i+1, parts[i].TaxAmount, parts[i].Amount, test.rate)
					}
					sum, taxes = sum+parts[i].Amount+parts[i].TaxAmount, taxes+parts[i].TaxAmount
				}
				if sum != gross || taxes != tax || len(parts) != len(test.share) {
					t.Fatalf("%d of %d: %d parts sum up to %d of %d", tax, gross, len(parts), taxes, sum)
				}
				if off := (parts[0].Amount + parts[0].TaxAmount - gross*ledger.Amount(first)/1_000_000); max(off, -off) > test.most {
					t.Fatalf("%d of %d: the first part is off by %d", tax, gross, off)
				}
				gross = max(gross, -gross)
			}
		})
	}
}

// dividing is a mapper for claims of one line, which it divides.
func dividing(t *testing.T, rate string, share []string) *ledger.Mapper {
	t.Helper()
	parts := make([]v1alpha1.SplitPart, len(share))
	for i := range share {
		parts[i] = v1alpha1.SplitPart{Percent: share[i], Account: "4650"}
	}
	mapper, err := ledger.NewMapper(&v1alpha1.ChartOfAccountsSpec{
		Currency: "EUR", Accounts: []v1alpha1.Account{{Number: "4650", Name: "Entertainment"}, {Number: "1576", Name: "Input tax"}, {Number: "1740", Name: "Owed"}},
		TaxCodes: []v1alpha1.TaxCode{{Code: "1", Rate: rate, Account: "1576"}},
		Rules:    []v1alpha1.MappingRule{{TaxCode: "1", Split: parts}}, Offset: v1alpha1.OffsetPosting{Account: "1740"},
	}, ledger.VoucherPolicy{Series: "E"})
	if err != nil {
		t.Fatal(err)
	}
	return mapper
}

// divided returns the expense postings of a line.
func divided(t *testing.T, mapper *ledger.Mapper, gross, tax ledger.Amount) []ledger.Posting {
	t.Helper()
	euro, err := ledger.ParseCurrency("EUR")
	if err != nil {
		t.Fatal(err)
	}
	date := time.Date(2026, 11, 14, 0, 0, 0, 0, time.UTC)
	claim := &ledger.Claim{ID: "c-1", ClaimantID: "17", Currency: "EUR", ApprovedAt: date, Lines: []ledger.Line{
		{Number: 1, ExpenseDate: date, Category: "entertainment", Gross: gross.Decimal(euro), Tax: tax.Decimal(euro)},
	}}
	vouchers, err := mapper.Map(t.Context(), claim)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Clone(vouchers[0].Postings), func(p ledger.Posting) bool { return p.Kind != ledger.ExpensePosting })
}

func expense(gross, tax ledger.Amount, rate string) *ledger.Posting {
	return &ledger.Posting{Kind: ledger.ExpensePosting, BaseAmount: gross - tax, BaseTaxAmount: tax, TaxRate: rate}
}
