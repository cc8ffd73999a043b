package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// overTheYear has a hotel of 2025 on a card, a taxi of January, and of February a taxi and a dinner on a card.
func overTheYear() *ledger.Claim {
	claim := lines(ledger.Line{Category: "meals", Gross: "400.00"}, ledger.Line{Category: "meals", Gross: "50.00"},
		ledger.Line{Category: "meals", Gross: "30.00"}, ledger.Line{Category: "meals", Gross: "20.00"})
	for i, date := range []string{"2025-12-30", "2026-01-02", "2026-02-03", "2026-02-04"} {
		claim.Lines[i].ExpenseDate = day(date)
	}
	claim.Lines[0], claim.Lines[3] = onCard(claim.Lines[0]), onCard(claim.Lines[3])
	claim.ApprovedAt = time.Date(2026, 2, 10, 0, 0, 0, 0, time.UTC)
	return claim
}

// brief says of vouchers which lines they have, when they are posted, and of when their documents are.
func brief(vouchers []ledger.Voucher) string {
	var all []string
	for i := range vouchers {
		v := &vouchers[i]
		var numbers []int
		for _, p := range v.Postings {
			if p.LineNumber > 0 {
				numbers = append(numbers, p.LineNumber)
			}
		}
		all = append(all, fmt.Sprintf("%v %s", slices.Compact(numbers), v.PostingDate.Format(time.DateOnly)))
		if !v.DocumentDate.Equal(v.PostingDate) {
			all[i] += " of " + v.DocumentDate.Format(time.DateOnly)
		}
	}
	return strings.Join(all, ", ")
}

func TestAClaimBecomesSeveralVouchers(t *testing.T) {
	t.Parallel()
	const method, year, month, line = v1alpha1.SplitByPaymentMethod, v1alpha1.SplitByFiscalYear, v1alpha1.SplitByMonth, v1alpha1.SplitByLine
	for _, test := range []struct {
		name   string
		by     []v1alpha1.VoucherSplit
		policy v1alpha1.PostingPolicy
		want   string
	}{
		{"by fiscal year", []v1alpha1.VoucherSplit{year}, v1alpha1.PostingPolicy{}, "[1] 2025-12-30, [2 3 4] 2026-02-04"},
		{"by month", []v1alpha1.VoucherSplit{month}, v1alpha1.PostingPolicy{}, "[1] 2025-12-30, [2] 2026-01-02, [3 4] 2026-02-04"},
		{"by line", []v1alpha1.VoucherSplit{line}, v1alpha1.PostingPolicy{}, "[1] 2025-12-30, [2] 2026-01-02, [3] 2026-02-03, [4] 2026-02-04"},
		{"by payment method and fiscal year", []v1alpha1.VoucherSplit{method, year}, v1alpha1.PostingPolicy{}, "[1] 2025-12-30, [2 3] 2026-02-03, [4] 2026-02-04"},
		{"by month and fiscal year", []v1alpha1.VoucherSplit{year, month}, v1alpha1.PostingPolicy{}, "[1] 2025-12-30, [2] 2026-01-02, [3 4] 2026-02-04"},
		{"by fiscal year, posted on the approval where that is of the year", []v1alpha1.VoucherSplit{year}, v1alpha1.PostingPolicy{Date: v1alpha1.PostOnApprovalDate},
			"[1] 2025-12-30, [2 3 4] 2026-02-10 of 2026-02-04"},
		{"by month, posted on the approval where that is of the month", []v1alpha1.VoucherSplit{month}, v1alpha1.PostingPolicy{Date: v1alpha1.PostOnApprovalDate},
			"[1] 2025-12-30, [2] 2026-01-02, [3 4] 2026-02-10 of 2026-02-04"},
		{"by line, posted on the approval", []v1alpha1.VoucherSplit{line}, v1alpha1.PostingPolicy{Date: v1alpha1.PostOnApprovalDate},
			"[1] 2026-02-10 of 2025-12-30, [2] 2026-02-10 of 2026-01-02, [3] 2026-02-10 of 2026-02-03, [4] 2026-02-10 of 2026-02-04"},
		{"by fiscal year, with the first closed", []v1alpha1.VoucherSplit{year}, v1alpha1.PostingPolicy{OpenFrom: "2026-01-01"},
			"[1] 2026-01-01 of 2025-12-30, [2 3 4] 2026-02-04"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chart := books()
			withTaxes(chart)
			chart.Vouchers.SplitBy = test.by
			vouchers, err := mapper(t, chart, ledger.VoucherPolicy{Posting: test.policy}).Map(t.Context(), overTheYear())
			if err != nil || brief(vouchers) != test.want {
				t.Errorf("got %s (%v), want %s", brief(vouchers), err, test.want)
			}
			for i := range vouchers {
				if !vouchers[i].Balanced() || vouchers[i].FiscalYear != vouchers[i].PostingDate.Year() {
					t.Errorf("voucher %d: %s", i, text(&vouchers[i]))
				}
			}
		})
	}
}

func TestAClaimThatIsSplitIsHeldAsAWhole(t *testing.T) {
	t.Parallel()
	chart := books()
	withTaxes(chart)
	for name, test := range map[string]struct {
		by     v1alpha1.VoucherSplit
		policy v1alpha1.PostingPolicy
		reason ledger.HoldReason
		change func(*ledger.Claim)
	}{
		"if a voucher is of two years": {v1alpha1.SplitByPaymentMethod, v1alpha1.PostingPolicy{}, ledger.HoldSeveralYears, func(*ledger.Claim) {}},
		"if one is of a closed period": {v1alpha1.SplitByMonth, v1alpha1.PostingPolicy{OpenFrom: "2026-01-01", Closed: v1alpha1.ClosedHold}, ledger.HoldClosedPeriod, func(*ledger.Claim) {}},
		"if the last has no amount":    {v1alpha1.SplitByLine, v1alpha1.PostingPolicy{}, ledger.HoldInvalidAmount, func(c *ledger.Claim) { c.Lines[3].Gross = "x" }},
		"if it becomes too many vouchers": {v1alpha1.SplitByLine, v1alpha1.PostingPolicy{}, ledger.HoldTooLarge, func(c *ledger.Claim) {
			for i := range ledger.MaxVouchers {
				c.Lines = append(c.Lines, ledger.Line{Number: 5 + i, ExpenseDate: day("2026-02-04"), Category: "meals", Gross: "1"})
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chart := chart.DeepCopy()
			chart.Vouchers.SplitBy = []v1alpha1.VoucherSplit{test.by}
			claim := overTheYear()
			test.change(claim)
			vouchers, err := mapper(t, chart, ledger.VoucherPolicy{Posting: test.policy}).Map(t.Context(), claim)
			if err == nil || !strings.Contains(err.Error(), string(test.reason)) || vouchers != nil {
				t.Errorf("got %d vouchers and %v, want a hold for %s", len(vouchers), err, test.reason)
			}
		})
	}
}

// TestAnAdvanceIsSettledByEachVoucherThatOwesSomething: so that no payment is made for what was paid before.
func TestAnAdvanceIsSettledByEachVoucherThatOwesSomething(t *testing.T) {
	t.Parallel()
	for advance, want := range map[string]string{
		"0": "0.00 50.00 30.00 0.00", "20": "0.00 30.00 30.00 0.00", "50": "0.00 0.00 30.00 0.00", "60": "0.00 0.00 20.00 0.00",
		"80": "0.00 0.00 0.00 0.00", "100": "0.00 0.00 0.00 -20.00",
	} {
		chart := books()
		withTaxes(chart)
		chart.Vouchers.SplitBy = []v1alpha1.VoucherSplit{v1alpha1.SplitByLine}
		claim := overTheYear()
		claim.Advance = advance
		vouchers, err := mapper(t, chart, ledger.VoucherPolicy{}).Map(t.Context(), claim)
		if err != nil {
			t.Fatal(err)
		}
		var payable []string
		for i := range vouchers {
			amount, _ := vouchers[i].Payable()
			payable = append(payable, amount.Decimal(vouchers[i].Currency))
		}
		if got := strings.Join(payable, " "); got != want {
			t.Errorf("an advance of %s leaves %s, want %s", advance, got, want)
		}
	}
}
