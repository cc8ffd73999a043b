package ledger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestEverythingThatIsWrongWithAChartIsSaid(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		change  func(*v1alpha1.ChartOfAccountsSpec)
		field   string
		problem string
	}{
		{"an unknown currency", func(c *v1alpha1.ChartOfAccountsSpec) { c.Currency = "XYZ" }, "spec.currency", "ISO 4217"},
		{"a day that no year has", func(c *v1alpha1.ChartOfAccountsSpec) { c.FiscalYearStart = "04-31" }, "spec.fiscalYearStart", `"04-31"`},
		{"a day that most years lack", func(c *v1alpha1.ChartOfAccountsSpec) { c.FiscalYearStart = "02-29" }, "spec.fiscalYearStart", `"02-29"`},
		{"an account twice", func(c *v1alpha1.ChartOfAccountsSpec) { c.Accounts = append(c.Accounts, c.Accounts[0]) }, "spec.accounts[7].number", `"7140" is there twice`},
		{"a tax code twice", func(c *v1alpha1.ChartOfAccountsSpec) { c.TaxCodes = append(c.TaxCodes, c.TaxCodes[0]) }, "spec.taxCodes[3].code", `"1" is there twice`},
		{"an undefined tax account", func(c *v1alpha1.ChartOfAccountsSpec) { c.TaxCodes[1].Account = "2" }, "spec.taxCodes[1].account", `account "2" is not in spec.accounts`},
		{"an undefined offset account", func(c *v1alpha1.ChartOfAccountsSpec) { c.Offset.Account = "2" }, "spec.offset.account", `"2"`},
		{"an undefined rounding account", func(c *v1alpha1.ChartOfAccountsSpec) { c.Rounding.Account = "2" }, "spec.rounding.account", `"2"`},
		{"a limit finer than the currency", func(c *v1alpha1.ChartOfAccountsSpec) { c.Rounding.Limit = "0.005" }, "spec.rounding.limit", `"0.005": more decimals`},
		{"an undefined suspense account", func(c *v1alpha1.ChartOfAccountsSpec) { c.Unmapped, c.SuspenseAccount = "Suspense", "2" }, "spec.suspenseAccount", `"2"`},
		{"no suspense account", func(c *v1alpha1.ChartOfAccountsSpec) { c.Unmapped = "Suspense" }, "spec.suspenseAccount", `""`},
		{"a rule with an undefined account", func(c *v1alpha1.ChartOfAccountsSpec) { c.Rules[2].Account = "2" }, "spec.rules[2].account", `"2"`},
		{"a rule with an undefined tax code", func(c *v1alpha1.ChartOfAccountsSpec) { c.Rules[1].TaxCode = "2" }, "spec.rules[1].taxCode", `tax code "2" is not in spec.taxCodes`},
		{"a match that does not compile", func(c *v1alpha1.ChartOfAccountsSpec) { c.Rules[0].Match.Expression = "line.category ==" }, "spec.rules[0].match.expression", "1:17"},
		{"a match that is no bool", func(c *v1alpha1.ChartOfAccountsSpec) { c.Rules[0].Match.Expression = "line.category" }, "spec.rules[0].match.expression", "string, not bool"},
		{"a match on a name", func(c *v1alpha1.ChartOfAccountsSpec) { c.Rules[0].Match.Expression = "claim.claimant_name == ''" }, "spec.rules[0].match.expression", "claim"},
		{"a match on a bank account", func(c *v1alpha1.ChartOfAccountsSpec) { c.Rules[0].Match.Expression = "claim.claimant_iban == ''" }, "spec.rules[0].match.expression", "claim"},
		{"an offset with an undefined account", func(c *v1alpha1.ChartOfAccountsSpec) {
			c.Offsets = []v1alpha1.PaidPosting{{Match: v1alpha1.PaymentMatch{PaymentMethods: []string{"card"}}, Account: "2"}}
		}, "spec.offsets[0].account", `"2"`},
		{"an offset for every line", func(c *v1alpha1.ChartOfAccountsSpec) { c.Offsets = []v1alpha1.PaidPosting{{Account: "2910"}} }, "spec.offsets[0].match", "spec.offset"},
		{"an offset whose match is no bool", func(c *v1alpha1.ChartOfAccountsSpec) {
			c.Offsets = []v1alpha1.PaidPosting{{Match: v1alpha1.PaymentMatch{Expression: "line.merchant"}, Account: "2910"}}
		}, "spec.offsets[0].match.expression", "string, not bool"},
		{"an offset that is owed to a card", func(c *v1alpha1.ChartOfAccountsSpec) { c.Offset.Subledger = v1alpha1.SubledgerPaymentReference }, "spec.offset.subledger", "owed to the claimant"},
		{"an undefined account of advances", func(c *v1alpha1.ChartOfAccountsSpec) { c.Advances = &v1alpha1.AdvancePosting{Account: "2"} }, "spec.advances.account", `"2"`},
		{"an advance to a card", func(c *v1alpha1.ChartOfAccountsSpec) {
			c.Advances = &v1alpha1.AdvancePosting{Account: "2910", Subledger: v1alpha1.SubledgerPaymentReference}
		}, "spec.advances.subledger", "to the claimant"},
		{"a dimension that is no string", func(c *v1alpha1.ChartOfAccountsSpec) { c.Rules[1].Dimensions["costCenter"] = "line.number" }, "spec.rules[1].dimensions[costCenter]", "int, not string"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chart := books()
			test.change(chart)
			_, err := ledger.NewMapper(chart, ledger.VoucherPolicy{})
			var wrong *ledger.ChartError
			if !errors.As(err, &wrong) || wrong.Field != test.field || !strings.Contains(wrong.Problem, test.problem) {
				t.Errorf("got %v, want %s: …%s…", err, test.field, test.problem)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("one mistake has several messages: %v", err)
			}
		})
	}
}

func TestAllProblemsAreSaidAtOnce(t *testing.T) {
	t.Parallel()
	chart := books()
	chart.Currency, chart.FiscalYearStart, chart.Offset.Account = "xyz", "13-01", "?"
	_, err := ledger.NewMapper(chart, ledger.VoucherPolicy{Posting: v1alpha1.PostingPolicy{OpenFrom: "01.10.2026"}})
	for _, field := range []string{"spec.currency", "spec.fiscalYearStart", "spec.offset.account", "spec.posting.openFrom"} {
		if err == nil || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("got %v, want a problem of %s", err, field)
		}
	}
}

func TestTheRoundingLimitHasItsDefault(t *testing.T) {
	t.Parallel()
	for code := range map[string]int{"NOK": 2, "JPY": 0, "KWD": 3, "CLF": 4} {
		chart := books()
		chart.Currency, chart.Rounding.Limit = code, ""
		mapper(t, chart, ledger.VoucherPolicy{})
	}
}

func TestEveryVariableOfAnExpressionHasItsValue(t *testing.T) {
	t.Parallel()
	claim := expense()
	claim.Lines[0] = ledger.Line{
		Number: 7, ExpenseDate: day("2026-10-12"), Category: "meals", Description: "Lunch", Gross: "125.50", Tax: "25.10", TaxCode: "1",
		Quantity: "2.5", Unit: "km", Dimensions: map[string]string{"project": "P1"},
		PaymentMethod: "card", PaymentReference: "4571", Merchant: "Grand", Country: "NO", DocumentNumber: "17",
	}
	for _, expression := range []string{
		"claim.id == 'c-1'", "claim.claimant_id == '17'", "claim.currency == 'NOK'", "claim.description == 'Visit to a customer'",
		"claim.approved_at == timestamp('2026-10-31T23:30:00Z')", "claim.approved_at.getMonth('Europe/Oslo') == 10",
		"line.number == 7", "line.category == 'meals'", "line.description == 'Lunch'", "line.gross == '125.50'", "line.tax == '25.10'",
		"line.gross_minor == 12550", "line.tax_minor == 2510", "line.tax_code == '1'", "line.expense_date == '2026-10-12'",
		"line.payment_method == 'card'", "line.payment_reference == '4571'", "line.merchant == 'Grand'", "line.country == 'NO'", "line.document_number == '17'",
		"line.quantity == '2.5'", "line.unit == 'km'", "line.dimensions['project'] == 'P1' && line.dimensions['other'] == '' && !('other' in line.dimensions)",
	} {
		chart := books()
		chart.Rules = []v1alpha1.MappingRule{{Match: v1alpha1.RuleMatch{Expression: expression}, Account: "7140"}}
		var voucher ledger.Voucher
		if err := mapInto(t.Context(), mapper(t, chart, ledger.VoucherPolicy{}), claim, &voucher); err != nil {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

func TestFiscalYears(t *testing.T) {
	t.Parallel()
	tests := []struct {
		start, date string
		year        int
		first, last string
	}{
		{"", "2026-12-31", 2026, "2026-01-01", "2026-12-31"},
		{"01-01", "2026-01-01", 2026, "2026-01-01", "2026-12-31"},
		{"07-01", "2026-06-30", 2025, "2025-07-01", "2026-06-30"},
		{"07-01", "2026-07-01", 2026, "2026-07-01", "2027-06-30"},
		{"03-01", "2024-02-29", 2023, "2023-03-01", "2024-02-29"},
	}
	for _, test := range tests {
		start, err := ledger.ParseFiscalYearStart(test.start)
		if err != nil {
			t.Fatal(err)
		}
		first, last := start.Range(test.year)
		if start.Year(day(test.date)) != test.year || !first.Equal(day(test.first)) || !last.Equal(day(test.last)) {
			t.Errorf("year from %q with %s: %d from %s to %s", test.start, test.date, start.Year(day(test.date)), first, last)
		}
	}
	for _, wrong := range []string{"1-1", "13-01", "02-29", "00-10", "2026-01-01", "x"} {
		if _, err := ledger.ParseFiscalYearStart(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestPeriodsAreMonthsOfTheFiscalYear(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		start, date string
		want        int
	}{
		{"01-01", "2026-11-03", 11}, {"05-01", "2026-05-01", 1}, {"05-01", "2027-04-30", 12},
		{"04-06", "2026-04-06", 1}, {"04-06", "2026-05-05", 1}, {"04-06", "2026-05-06", 2}, {"04-06", "2027-04-05", 12},
	} {
		start, err := ledger.ParseFiscalYearStart(test.start)
		if err != nil {
			t.Fatal(err)
		}
		date, err := time.Parse(time.DateOnly, test.date)
		if err != nil {
			t.Fatal(err)
		}
		if got := start.Period(date); got != test.want {
			t.Errorf("%s in a year from %s is in period %d, want %d", test.date, test.start, got, test.want)
		}
	}
}
