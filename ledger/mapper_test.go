package ledger_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestVouchers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		chart  func(*v1alpha1.ChartOfAccountsSpec)
		policy ledger.VoucherPolicy
		claim  func() *ledger.Claim
	}{
		{name: "one line without tax", claim: expense},
		{name: "tax as on the receipt, code of the rule, dimensions", claim: func() *ledger.Claim {
			return lines(ledger.Line{Category: "hotel", Gross: "1250.00", Tax: "249.97", TaxCode: "unknown", Dimensions: map[string]string{"project": "P\n2", "cost_center": ""}})
		}},
		{name: "tax code of the line", claim: func() *ledger.Claim {
			return lines(ledger.Line{Category: "meals", Gross: "115.00", Tax: "15.00", TaxCode: "11", Quantity: "2.5", Unit: "pcs", ReceiptURI: "s3://receipts/1"})
		}},
		{name: "tax that is not deductible stays on the expense", claim: func() *ledger.Claim {
			return lines(ledger.Line{Category: "meals", Gross: "115.00", Tax: "15.00"}, ledger.Line{Category: "meals", Gross: "115.00", Tax: "15.00", TaxCode: "0"})
		}},
		{name: "tax code without tax", claim: func() *ledger.Claim {
			return lines(ledger.Line{Category: "hotel", Gross: "115.00", Tax: "0"})
		}},
		{name: "a line that is all tax", chart: func(chart *v1alpha1.ChartOfAccountsSpec) { chart.TaxTolerance = "20" }, claim: func() *ledger.Claim {
			return lines(ledger.Line{Category: "hotel", Gross: "25.00", Tax: "25.00"})
		}},
		{name: "a refund", claim: func() *ledger.Claim {
			return lines(ledger.Line{Category: "hotel", Gross: "-1250.00", Tax: "-250.00"})
		}},
		{name: "a claim of nothing", claim: func() *ledger.Claim {
			return lines(ledger.Line{Category: "meals", Gross: "0"}, ledger.Line{Category: "meals", Gross: "0.00", Tax: "0.00"})
		}},
		{name: "lines of nothing among others are left out", claim: func() *ledger.Claim {
			return lines(ledger.Line{Category: "meals", Gross: "0"}, ledger.Line{Category: "meals", Gross: "5"}, ledger.Line{Category: "meals", Gross: "0"})
		}},
		{name: "a purchase and its refund", claim: func() *ledger.Claim {
			return lines(ledger.Line{Category: "meals", Gross: "5"}, ledger.Line{Category: "meals", Gross: "-5"})
		}},
		{name: "the first rule that matches", claim: func() *ledger.Claim {
			return lines(
				ledger.Line{Category: "travel", Gross: "1", Dimensions: map[string]string{"project": "P1"}},
				ledger.Line{Category: "travel", Gross: "2", Dimensions: map[string]string{"project": "P2", "cost_center": "10"}},
				ledger.Line{Category: "office/paper", Gross: "3"},
			)
		}},
		{name: "suspense takes what no rule matches", chart: func(chart *v1alpha1.ChartOfAccountsSpec) {
			chart.Unmapped, chart.SuspenseAccount = v1alpha1.UnmappedSuspense, "0999"
		}, claim: func() *ledger.Claim {
			return lines(ledger.Line{Category: "boats", Gross: "125", Tax: "25", TaxCode: "unknown"}, ledger.Line{Category: "hotel", Gross: "125", Tax: "25"})
		}},
		{name: "no subledger", chart: func(chart *v1alpha1.ChartOfAccountsSpec) { chart.Offset.Subledger = v1alpha1.SubledgerNone }, claim: func() *ledger.Claim {
			claim := expense()
			claim.ClaimantID = ""
			return claim
		}},
		{name: "a foreign claim", claim: func() *ledger.Claim {
			claim := abroad("1150.00", "57.505")
			claim.Lines[0].Category, claim.Lines[0].Tax, claim.Lines[0].BaseTax = "hotel", "2.00", "230.004"
			return claim
		}},
		{name: "a residue of rounding up", claim: func() *ledger.Claim { return abroad("1.004", "1.004", "1.004") }},
		{name: "a residue of rounding down", claim: func() *ledger.Claim { return abroad("1.005", "1.005") }},
		{name: "rounding of a refund", claim: func() *ledger.Claim {
			claim := abroad("-1.005", "-1.005")
			claim.Lines[0].Gross, claim.Lines[1].Gross = "-10", "-10"
			return claim
		}},
		{name: "worth less than the smallest coin", claim: func() *ledger.Claim { return abroad("0.0049") }},
		{name: "base amounts that say the same", claim: func() *ledger.Claim {
			claim := expense()
			claim.Lines[0].Currency, claim.Lines[0].BaseGross, claim.Lines[0].BaseTax = "NOK", "125.000", "0"
			return claim
		}},
		{name: "texts are put on one line", claim: func() *ledger.Claim {
			claim := lines(ledger.Line{Category: "meals", Gross: "5", Description: " \tLunch\r\nand  coffee\n"}, ledger.Line{Category: "meals", Gross: "6", Description: " \n"})
			claim.Description = "\n"
			return claim
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chart := books()
			if test.chart != nil {
				test.chart(chart)
			}
			test.policy.Series = "E"
			golden(t, test.name, voucherOf(t, chart, test.policy, test.claim()))
		})
	}
}

// golden compares a voucher with the file of that name.
func golden(t *testing.T, name string, v *ledger.Voucher) {
	t.Helper()
	got := []byte(text(v))
	file := filepath.Join("testdata", "vouchers", strings.NewReplacer(" ", "-", ",", "").Replace(name)+".txt")
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant (%v)\n%s", got, err, want)
	}
}

// lines makes a claim of lines, numbered and dated.
func lines(lines ...ledger.Line) *ledger.Claim {
	claim := expense()
	for i := range lines {
		lines[i].Number, lines[i].ExpenseDate = i+1, day("2026-10-12")
	}
	claim.Lines = lines
	return claim
}

// text writes a voucher for people.
func text(v *ledger.Voucher) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s %q claim %s of %s, approved %s by %s\n", v.ID(), v.PostingDate.Format(time.DateOnly), v.Text, v.ClaimID, v.ClaimantID,
		v.ApprovedAt.Format(time.RFC3339), v.ApprovedBy)
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, p := range v.Postings {
		fmt.Fprintf(table, "%s\t%s %s\t%s %s\t%s %s\t%q\t", p.Kind, p.Account, p.AccountName,
			p.Amount.Decimal(v.Currency), v.Currency.Code(), p.BaseAmount.Decimal(v.BaseCurrency), v.BaseCurrency.Code(), p.Text)
		if p.TaxCode != "" {
			fmt.Fprintf(table, "tax %s at %s: %s, %s; ", p.TaxCode, p.TaxRate, p.TaxAmount.Decimal(v.Currency), p.BaseTaxAmount.Decimal(v.BaseCurrency))
		}
		if p.LineNumber != 0 {
			fmt.Fprintf(table, "line %d of %s, %s %s%s %s; ", p.LineNumber, p.ExpenseDate.Format(time.DateOnly), p.Category, p.Quantity, p.Unit, p.ReceiptURI)
		}
		if p.Subledger != "" {
			fmt.Fprintf(table, "subledger %s; ", p.Subledger)
		}
		for _, dimension := range p.Dimensions {
			fmt.Fprintf(table, "%s=%s; ", dimension.Name, dimension.Value)
		}
		fmt.Fprintln(table)
	}
	_ = table.Flush()
	return out.String()
}

func TestTheVoucherHasWhatTheClaimSays(t *testing.T) {
	t.Parallel()
	claim := expense()
	v := voucherOf(t, books(), ledger.VoucherPolicy{Series: "E"}, claim)
	if v.ClaimantName != claim.ClaimantName || v.ClaimantIBAN != claim.ClaimantIBAN || v.ApprovedBy != claim.ApprovedBy || !v.ApprovedAt.Equal(claim.ApprovedAt) ||
		v.ClaimantBIC != claim.ClaimantBIC || v.ClaimantAddress != claim.ClaimantAddress {
		t.Errorf("got %+v", v)
	}
	if v.Number != 0 || v.Debit() != 12500 {
		t.Errorf("number %d, debit %d; want none, and 12500", v.Number, v.Debit())
	}
}

func TestAVoucherIsPostedOnTheDateOfThePolicy(t *testing.T) {
	t.Parallel()
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	cutoff := time.Date(2026, 12, 31, 23, 30, 0, 0, time.UTC)
	tests := []struct {
		name     string
		policy   v1alpha1.PostingPolicy
		location *time.Location
		start    string
		want     string
		year     int
	}{
		{"the latest expense", v1alpha1.PostingPolicy{Date: v1alpha1.PostOnExpenseDate}, oslo, "", "2026-10-14", 2026},
		{"the latest expense where nothing is said", v1alpha1.PostingPolicy{}, nil, "", "2026-10-14", 2026},
		{"approval, in Oslo", v1alpha1.PostingPolicy{Date: v1alpha1.PostOnApprovalDate}, oslo, "", "2026-11-01", 2026},
		{"approval, in UTC", v1alpha1.PostingPolicy{Date: v1alpha1.PostOnApprovalDate}, time.UTC, "", "2026-10-31", 2026},
		{"the run, in Oslo", v1alpha1.PostingPolicy{Date: v1alpha1.PostOnRunDate}, oslo, "", "2027-01-01", 2027},
		{"the run, in UTC", v1alpha1.PostingPolicy{Date: v1alpha1.PostOnRunDate}, time.UTC, "", "2026-12-31", 2026},
		{"the first open day", v1alpha1.PostingPolicy{OpenFrom: "2026-10-15"}, oslo, "", "2026-10-15", 2026},
		{"an open day", v1alpha1.PostingPolicy{OpenFrom: "2026-10-14"}, oslo, "", "2026-10-14", 2026},
		{"the last day of a fiscal year", v1alpha1.PostingPolicy{}, oslo, "10-15", "2026-10-14", 2025},
		{"the first day of a fiscal year", v1alpha1.PostingPolicy{}, oslo, "10-14", "2026-10-14", 2026},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chart := books()
			chart.FiscalYearStart, chart.Vouchers.AcrossFiscalYears = test.start, v1alpha1.FiscalYearsPost
			claim := lines(ledger.Line{Category: "meals", Gross: "1"}, ledger.Line{Category: "meals", Gross: "1"}, ledger.Line{Category: "meals", Gross: "1"})
			claim.Lines[1].ExpenseDate = day("2026-10-14")
			v := voucherOf(t, chart, ledger.VoucherPolicy{Posting: test.policy, Location: test.location, Cutoff: cutoff}, claim)
			if got := v.PostingDate.Format(time.RFC3339); got != test.want+"T00:00:00Z" || v.FiscalYear != test.year {
				t.Errorf("posted on %s in %d, want %s in %d", got, v.FiscalYear, test.want, test.year)
			}
		})
	}
}

func TestAClaimWithoutApprovalIsNotPostedOnIt(t *testing.T) {
	t.Parallel()
	claim := expense()
	claim.ApprovedAt = time.Time{}
	m := mapper(t, books(), ledger.VoucherPolicy{Posting: v1alpha1.PostingPolicy{Date: v1alpha1.PostOnApprovalDate, OpenFrom: "2026-10-01"}})
	if err := mapInto(t.Context(), m, claim, &ledger.Voucher{}); err == nil || !strings.Contains(err.Error(), "NotDated") {
		t.Errorf("got %v, want a hold for NotDated", err)
	}
}

func BenchmarkMap(b *testing.B) {
	domestic := lines(
		ledger.Line{Category: "meals", Description: "Lunch with a customer", Gross: "115.00", Tax: "15.00", TaxCode: "11"},
		ledger.Line{Category: "meals", Description: "Coffee", Gross: "49.90", Tax: "0.00"},
		ledger.Line{Category: "meals", Description: "Dinner", Gross: "1250.00", Tax: "163.04", TaxCode: "11"},
	)
	withRules := lines(
		ledger.Line{Category: "travel", Gross: "115.00", Tax: "15.00", Dimensions: map[string]string{"project": "P2", "cost_center": "10"}},
		ledger.Line{Category: "hotel", Gross: "49.90", Tax: "0.00"},
		ledger.Line{Category: "travel", Gross: "1250.00", Tax: "163.04"},
	)
	for name, claim := range map[string]*ledger.Claim{"plain": domestic, "expressions": withRules, "converted": abroad("115.00451", "49.90123", "1250.00999")} {
		b.Run(name, func(b *testing.B) {
			m := mapper(b, books(), ledger.VoucherPolicy{Series: "E"})
			var voucher ledger.Voucher
			b.ReportAllocs()
			for b.Loop() {
				if err := mapInto(b.Context(), m, claim, &voucher); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(claim.Lines)), "ns/line")
		})
	}
}
