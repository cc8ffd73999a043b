package ledger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestAClaimIsHeld(t *testing.T) {
	t.Parallel()
	type change = func(*ledger.Claim)
	line := func(f func(*ledger.Line)) change { return func(c *ledger.Claim) { f(&c.Lines[0]) } }
	long := strings.Repeat("x", ledger.MaxTextLength+1)
	tests := []struct {
		name   string
		change change
		reason ledger.HoldReason
		words  string
	}{
		{"that has no lines", func(c *ledger.Claim) { c.Lines = nil }, ledger.HoldNoLines, "no lines"},
		{"that names no claimant", func(c *ledger.Claim) { c.ClaimantID = " " }, ledger.HoldNoClaimant, "claimant_id"},
		{"whose currency is unknown", func(c *ledger.Claim) { c.Currency = "XYZ" }, ledger.HoldUnknownCurrency, `"XYZ"`},
		{"whose currency is a novel", func(c *ledger.Claim) { c.Currency = long }, ledger.HoldUnknownCurrency, "…"},
		{"with a line in another currency", line(func(l *ledger.Line) { l.Currency = "SEK" }), ledger.HoldMixedCurrencies, `line 1 is in "SEK"`},
		{"whose base amount differs in the same currency", line(func(l *ledger.Line) { l.BaseGross = "124.99" }), ledger.HoldMixedCurrencies, "line 1"},
		{"whose base tax differs in the same currency", line(func(l *ledger.Line) { l.BaseTax = "1" }), ledger.HoldMixedCurrencies, "line 1"},
		{"whose base amount is no number in the same currency", line(func(l *ledger.Line) { l.BaseGross = "x" }), ledger.HoldMixedCurrencies, "line 1"},
		{"without an amount", line(func(l *ledger.Line) { l.Gross = "" }), ledger.HoldInvalidAmount, "gross_amount of line 1"},
		{"with NaN for an amount", line(func(l *ledger.Line) { l.Gross = "NaN" }), ledger.HoldInvalidAmount, "gross_amount of line 1"},
		{"with NaN for tax", line(func(l *ledger.Line) { l.Tax = "NaN" }), ledger.HoldInvalidAmount, "tax_amount of line 1"},
		{"with too large an amount", line(func(l *ledger.Line) { l.Gross = "1" + strings.Repeat("0", 20) }), ledger.HoldInvalidAmount, "larger"},
		{"with too large a sum", func(c *ledger.Claim) {
			c.Lines[0].Gross = "10000000000000"
			c.Lines = append(c.Lines, c.Lines[0])
			c.Lines[1].Number = 2
		}, ledger.HoldInvalidAmount, "the sum of the claim"},
		{"with a line twice", func(c *ledger.Claim) { c.Lines = append(c.Lines, c.Lines[0]) }, ledger.HoldDuplicateLine, "two lines have the number 1"},
		{"with an endless quantity", line(func(l *ledger.Line) { l.Quantity = "Infinity" }), ledger.HoldInvalidQuantity, "quantity of line 1 is Infinity"},
		{"with a quantity that is none", line(func(l *ledger.Line) { l.Quantity = "NaN" }), ledger.HoldInvalidQuantity, "quantity of line 1 is NaN"},
		{"that was approved at no time", func(c *ledger.Claim) { c.ApprovedAt = time.Time{} }, ledger.HoldNotDated, "approved_at"},
		{"that was approved before Christ", func(c *ledger.Claim) { c.ApprovedAt = time.Date(-44, 3, 15, 0, 0, 0, 0, time.UTC) }, ledger.HoldNotDated, "approved_at"},
		{"that was held where it was read", func(c *ledger.Claim) {
			c.Held = &ledger.Hold{ClaimID: c.ID, Reason: ledger.HoldDuplicateClaim, Message: "twice"}
		}, ledger.HoldDuplicateClaim, "twice"},
		{"with an amount finer than its currency", line(func(l *ledger.Line) { l.Gross = "1.005" }), ledger.HoldAmountTooPrecise, "gross_amount of line 1 has more than the 2 decimals of NOK"},
		{"with a tax finer than its currency", line(func(l *ledger.Line) { l.Tax = "1.005" }), ledger.HoldAmountTooPrecise, "tax_amount of line 1"},
		{"with more tax than amount", line(func(l *ledger.Line) { l.Tax = "125.01" }), ledger.HoldTaxExceedsAmount, "line 1"},
		{"with tax of the other sign", line(func(l *ledger.Line) { l.Tax = "-1.00" }), ledger.HoldTaxExceedsAmount, "line 1"},
		{"with tax on nothing", line(func(l *ledger.Line) { l.Gross, l.Tax = "0", "1" }), ledger.HoldTaxExceedsAmount, "line 1"},
		{"with a refund of too much tax", line(func(l *ledger.Line) { l.Gross, l.Tax = "-5", "-6" }), ledger.HoldTaxExceedsAmount, "line 1"},
		{"whose tax code is undefined", line(func(l *ledger.Line) { l.TaxCode = "77" }), ledger.HoldUndefinedTaxCode, `line 1 has the tax code "77"`},
		{"that no rule matches", line(func(l *ledger.Line) { l.Category = "boats" }), ledger.HoldUnmapped, `line 1 with category "boats"`},
		{"whose category is long and matches no rule", line(func(l *ledger.Line) { l.Category = strings.Repeat("ø", 200) }), ledger.HoldUnmapped, "ø…"},
		{"whose only rule wants another amount", line(func(l *ledger.Line) { l.Category, l.Gross = "office/paper", "1000.00" }), ledger.HoldUnmapped, "office/paper"},
		{"without an expense date", line(func(l *ledger.Line) { l.ExpenseDate = time.Time{} }), ledger.HoldInvalidDate, "expense_date of line 1"},
		{"from the far future", line(func(l *ledger.Line) { l.ExpenseDate = day("3000-01-01") }), ledger.HoldInvalidDate, "expense_date of line 1"},
		{"with a text of a megabyte", line(func(l *ledger.Line) { l.Description = strings.Repeat("x", 1<<20) }), ledger.HoldInvalidText, "description of line 1 has 1048576 bytes"},
		{"with a control character in a line", line(func(l *ledger.Line) { l.Description = "a\x00b" }), ledger.HoldInvalidText, "description of line 1 has control characters"},
		{"with a C1 control character", line(func(l *ledger.Line) { l.Unit = "k\u0085m" }), ledger.HoldInvalidText, "unit of line 1"},
		{"with a text that is not UTF-8", line(func(l *ledger.Line) { l.Category = "caf\xe9" }), ledger.HoldInvalidText, "category of line 1 is not UTF-8"},
		{"with a control character in a dimension", line(func(l *ledger.Line) { l.Dimensions = map[string]string{"p": "\x1b"} }), ledger.HoldInvalidText, "a dimension of line 1"},
		{"with a control character in its description", func(c *ledger.Claim) { c.Description = "a\x7fb" }, ledger.HoldInvalidText, "description of the claim"},
		{"with a line break in its id", func(c *ledger.Claim) { c.ID = "c1\n" }, ledger.HoldInvalidText, "id of the claim has a line break"},
		{"with a tab in the employee number", func(c *ledger.Claim) { c.ClaimantID = "10\t42" }, ledger.HoldInvalidText, "claimant_id of the claim has a line break or a tab"},
		{"with too long a name", func(c *ledger.Claim) { c.ClaimantName = long }, ledger.HoldInvalidText, "claimant_name of the claim"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			claim := expense()
			test.change(claim)
			wantHold(t, books(), claim, test.reason, test.words)
		})
	}
}

func TestAForeignClaimIsHeld(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*ledger.Line)
		reason ledger.HoldReason
		words  string
	}{
		{"without base amount", func(l *ledger.Line) { l.BaseGross = "" }, ledger.HoldMissingBaseAmount, "line 1 is in EUR and has no base_gross_amount in NOK"},
		{"without base tax", func(l *ledger.Line) { l.Tax = "1" }, ledger.HoldMissingBaseAmount, "no base_tax_amount"},
		{"with an infinite base amount", func(l *ledger.Line) { l.BaseGross = "Infinity" }, ledger.HoldInvalidAmount, "base_gross_amount of line 1"},
		{"with a base amount in exponent notation", func(l *ledger.Line) { l.BaseGross = "1e3" }, ledger.HoldInvalidAmount, "base_gross_amount of line 1"},
		{"with a base amount of a thousand decimals", func(l *ledger.Line) { l.BaseGross = "1." + strings.Repeat("3", 1000) }, ledger.HoldInvalidAmount, "longer than 100"},
		{"whose base tax is no number", func(l *ledger.Line) { l.Tax, l.BaseTax = "1", "one" }, ledger.HoldInvalidAmount, "base_tax_amount of line 1"},
		{"with more base tax than base amount", func(l *ledger.Line) { l.Tax, l.BaseTax = "1", "200" }, ledger.HoldTaxExceedsAmount, "base_tax_amount of line 1"},
		{"with base tax and no tax", func(l *ledger.Line) { l.BaseTax = "1" }, ledger.HoldMixedCurrencies, "line 1"},
		{"whose base amount has the other sign", func(l *ledger.Line) { l.BaseGross = "-115" }, ledger.HoldMixedCurrencies, "line 1"},
		{"of nothing that is worth something", func(l *ledger.Line) { l.Gross = "0" }, ledger.HoldMixedCurrencies, "line 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			claim := abroad("115.00")
			test.change(&claim.Lines[0])
			wantHold(t, books(), claim, test.reason, test.words)
		})
	}
}

func TestAClaimIsHeldForWhatItsChartSays(t *testing.T) {
	t.Parallel()
	failing := func(dimension string) *v1alpha1.ChartOfAccountsSpec {
		chart := books()
		chart.Rules[2].Dimensions = map[string]string{"d": dimension}
		return chart
	}
	t.Run("where a residue exceeds the limit", func(t *testing.T) {
		t.Parallel()
		chart := books()
		chart.Rounding.Limit = "0.01"
		wantHold(t, chart, abroad("1.004", "1.004", "1.004", "1.004"), ledger.HoldRoundingExceeded, "leaves 0.02")
	})
	t.Run("where a residue has no account", func(t *testing.T) {
		t.Parallel()
		chart := books()
		chart.Rounding = nil
		wantHold(t, chart, abroad("1.004", "1.004"), ledger.HoldRoundingExceeded, "leaves 0.01")
	})
	t.Run("where a match cannot be evaluated", func(t *testing.T) {
		t.Parallel()
		chart := books()
		chart.Rules[2].Match.Expression = "int(claim.description) > 1"
		wantHold(t, chart, expense(), ledger.HoldExpressionFailed, `spec.rules[2].match.expression of the chart of accounts cannot be evaluated for line 1 with category "meals": 1:4`)
	})
	t.Run("where a dimension cannot be evaluated", func(t *testing.T) {
		t.Parallel()
		wantHold(t, failing("line.unit.substring(2)"), expense(), ledger.HoldExpressionFailed, "spec.rules[2].dimensions[d]")
	})
	t.Run("where a dimension costs too much", func(t *testing.T) {
		t.Parallel()
		claim := expense()
		claim.Description = strings.Repeat("x", ledger.MaxTextLength)
		wantHold(t, failing("claim.description.replace('', claim.description.substring(0, 1000))"), claim, ledger.HoldExpressionFailed, "cost limit exceeded")
	})
	t.Run("where a dimension is too long", func(t *testing.T) {
		t.Parallel()
		claim := expense()
		claim.Description = strings.Repeat("x", ledger.MaxTextLength)
		wantHold(t, failing("claim.description + '!'"), claim, ledger.HoldInvalidText, "spec.rules[2].dimensions[d]")
	})
	t.Run("and failed if the chart wants that", func(t *testing.T) {
		t.Parallel()
		chart := books()
		chart.Unmapped = v1alpha1.UnmappedFail
		claim := expense()
		claim.Lines[0].Category = "boats"
		wantHold(t, chart, claim, ledger.HoldUnmapped, "boats")
	})
}

func TestOneHeldClaimLeavesNothingBehindForTheNext(t *testing.T) {
	t.Parallel()
	m := mapper(t, books(), ledger.VoucherPolicy{})
	held := abroad("1.004", "1.004", "")
	var voucher ledger.Voucher
	if err := mapInto(t.Context(), m, held, &voucher); err == nil {
		t.Fatal("want a hold")
	}
	if err := mapInto(t.Context(), m, expense(), &voucher); err != nil || len(voucher.Postings) != 2 || !voucher.Balanced() {
		t.Errorf("the next claim: %v, %+v", err, voucher.Postings)
	}
}

func TestAClaimIsNotPostedAfterTheCutoffOfItsRun(t *testing.T) {
	t.Parallel()
	cutoff := time.Date(2026, 11, 30, 22, 0, 0, 0, time.UTC)
	for date, held := range map[string]bool{"2026-11-30": false, "2026-12-01": false, "2026-12-02": true, "2027-02-01": true} {
		claim := expense()
		claim.Lines[0].ExpenseDate = day(date)
		var why *ledger.Hold
		err := mapInto(t.Context(), mapper(t, books(), ledger.VoucherPolicy{Series: "E", Cutoff: cutoff}), claim, &ledger.Voucher{})
		if errors.As(err, &why) != held || held && why.Reason != ledger.HoldFutureDate {
			t.Errorf("an expense of %s returns %v, want held=%t", date, err, held)
		}
	}
}
