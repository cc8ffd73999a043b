package ledger_test

import (
	"errors"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// TestEveryVoucherBalancesAndSaysWhatTheReceiptsSay also uses one mapper for several claims, as the pipeline does.
func TestEveryVoucherBalancesAndSaysWhatTheReceiptsSay(t *testing.T) {
	t.Parallel()
	var mapped, rounded int
	rapid.Check(t, func(t *rapid.T) {
		chart := books()
		chart.Currency = rapid.SampledFrom([]string{"NOK", "JPY", "KWD"}).Draw(t, "base")
		chart.Rules = append(chart.Rules, v1alpha1.MappingRule{Account: "6800"})
		chart.TaxTolerance = "999999999" // any tax
		m, err := ledger.NewMapper(chart, ledger.VoucherPolicy{Series: "E"})
		if err != nil {
			t.Fatal(err)
		}
		claim := anyClaim(t, chart.Currency)
		var reused ledger.Voucher
		_ = mapInto(t.Context(), m, anyClaim(t, chart.Currency), &reused) // held or not
		err = mapInto(t.Context(), m, claim, &reused)
		if hold := (*ledger.Hold)(nil); errors.As(err, &hold) {
			if hold.Reason != ledger.HoldRoundingExceeded {
				t.Fatalf("held: %v", hold)
			}
			return
		} else if err != nil {
			t.Fatal(err)
		}
		mapped++
		if slices.ContainsFunc(reused.Postings, func(p ledger.Posting) bool { return p.Kind == ledger.RoundingPosting }) {
			rounded++
		}
		checkVoucher(t, claim, &reused)
		var fresh ledger.Voucher
		if err := mapInto(t.Context(), mapper(t, chart, ledger.VoucherPolicy{Series: "E"}), claim, &fresh); err != nil || text(&fresh) != text(&reused) {
			t.Fatalf("the same claim by a fresh mapper (%v):\n%s\nfirst:\n%s", err, text(&fresh), text(&reused))
		}
	})
	if mapped == 0 || rounded == 0 {
		t.Errorf("%d vouchers, %d of them with a rounding posting: the property says nothing", mapped, rounded)
	}
}

// checkVoucher compares a voucher with its claim, by arithmetic of its own.
func checkVoucher(t *rapid.T, claim *ledger.Claim, v *ledger.Voucher) {
	if !v.Balanced() {
		t.Fatalf("not balanced:\n%s", text(v))
	}
	want, base, wantTax := new(big.Rat), new(big.Rat), map[int]string{}
	for _, line := range claim.Lines {
		want.Add(want, rat(line.Gross))
		base.Add(base, rat(line.BaseGross))
		wantTax[line.Number] = line.Tax
	}
	got, owed := new(big.Rat), new(big.Rat)
	for i, p := range v.Postings {
		switch p.Kind {
		case ledger.OffsetPosting:
			owed.Neg(rat(p.BaseAmount.Decimal(v.BaseCurrency)))
		case ledger.ExpensePosting:
			got.Add(got, rat((p.Amount + p.TaxAmount).Decimal(v.Currency)))
		case ledger.TaxPosting:
			expense := v.Postings[i-1]
			if rat(wantTax[p.LineNumber]).Cmp(rat(p.Amount.Decimal(v.Currency))) != 0 || expense.TaxAmount != p.Amount || expense.BaseTaxAmount != p.BaseAmount ||
				expense.TaxCode != p.TaxCode || expense.LineNumber != p.LineNumber {
				t.Fatalf("the tax posting %d does not say what the receipt and its expense posting say:\n%s", i, text(v))
			}
		case ledger.NonDeductiblePosting, ledger.ReverseChargePosting, ledger.PaidPosting, ledger.AdvancePosting:
			t.Fatalf("the chart makes no posting of the kind %s:\n%s", p.Kind, text(v))
		case ledger.RoundingPosting:
			behind := v.Postings[i+1:]
			atEnd := len(behind) == 0 && want.Sign() == 0 // nothing is owed
			if p.Amount != 0 || !atEnd && (len(behind) != 1 || behind[0].Kind != ledger.OffsetPosting) {
				t.Fatalf("the rounding posting is in the claim's currency, or not before the offset:\n%s", text(v))
			}
		}
		if p.AccountName == "" || p.Text == "" {
			t.Fatalf("posting %d lacks account name or text:\n%s", i, text(v))
		}
	}
	if got.Cmp(want) != 0 {
		t.Fatalf("expenses and tax are %s, the lines %s:\n%s", got, want, text(v))
	}
	if claim.Currency == v.BaseCurrency.Code() {
		base = want
	}
	unit := new(big.Rat).SetFrac64(1, 2)
	for range v.BaseCurrency.Exponent() {
		unit.Quo(unit, big.NewRat(10, 1))
	}
	if off := new(big.Rat).Sub(owed, base); off.Abs(off).Cmp(unit) > 0 {
		t.Fatalf("%s is owed, the lines are worth %s:\n%s", owed.FloatString(6), base.FloatString(6), text(v))
	}
}

func rat(decimal string) *big.Rat {
	if decimal == "" {
		return new(big.Rat)
	}
	r, ok := new(big.Rat).SetString(decimal)
	if !ok {
		panic(decimal)
	}
	return r
}

// anyClaim draws a claim that is sound: in one currency, with tax within its amounts, and with base amounts where needed.
func anyClaim(t *rapid.T, base string) *ledger.Claim {
	claim := expense()
	claim.Currency = rapid.SampledFrom([]string{"NOK", "EUR", "JPY", "KWD"}).Draw(t, "currency")
	c := currency(t, claim.Currency)
	claim.Lines = nil
	for i := range rapid.IntRange(1, 8).Draw(t, "lines") {
		gross := rapid.Int64Range(-1_000_000, 1_000_000).Draw(t, "gross")
		percent := rapid.Int64Range(0, 100).Draw(t, "percent")
		tax := gross * percent / 100
		line := ledger.Line{
			Number: i + 1, ExpenseDate: day("2026-10-12"), Gross: ledger.Amount(gross).Decimal(c), Tax: ledger.Amount(tax).Decimal(c),
			Category:   rapid.SampledFrom([]string{"travel", "hotel", "meals", "office/x", "other"}).Draw(t, "category"),
			TaxCode:    rapid.SampledFrom([]string{"", "0", "1", "11"}).Draw(t, "code"),
			Dimensions: map[string]string{"project": rapid.SampledFrom([]string{"", "P1", "P2"}).Draw(t, "project")},
		}
		if claim.Currency != base {
			rate := rapid.Int64Range(1, 99_999).Draw(t, "rate") // in thousandths
			line.BaseGross, line.BaseTax = converted(gross, rate, c), converted(tax, rate, c)
		}
		claim.Lines = append(claim.Lines, line)
	}
	return claim
}

// converted multiplies exactly: its result has the currency's decimals and three more.
func converted(minor, thousandths int64, c ledger.Currency) string {
	value := new(big.Rat).SetFrac64(minor*thousandths, 1000)
	for range c.Exponent() {
		value.Quo(value, big.NewRat(10, 1))
	}
	return value.FloatString(c.Exponent() + 3)
}
