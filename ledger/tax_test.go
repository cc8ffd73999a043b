package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// withTaxes lets a chart have tax that is owed by reverse charge, tax that is deducted in part, and rules that divide lines.
func withTaxes(chart *v1alpha1.ChartOfAccountsSpec) {
	withCards(chart)
	chart.Accounts = append(chart.Accounts, v1alpha1.Account{Number: "2701", Name: "VAT owed"}, v1alpha1.Account{Number: "7165", Name: "VAT not deducted"},
		v1alpha1.Account{Number: "7161", Name: "Meals not deductible"})
	chart.TaxCodes = append(chart.TaxCodes,
		v1alpha1.TaxCode{Code: "86", Rate: "25", Account: "2710", ReverseCharge: &v1alpha1.ReverseCharge{Account: "2701"}},
		v1alpha1.TaxCode{Code: "86/2", Rate: "25", Account: "2710", Deductible: "50", ReverseCharge: &v1alpha1.ReverseCharge{Account: "2701"}},
		v1alpha1.TaxCode{Code: "87", Rate: "25", Deductible: "0", NonDeductibleAccount: "7165", ReverseCharge: &v1alpha1.ReverseCharge{Account: "2701"}},
		v1alpha1.TaxCode{Code: "1/2", Rate: "25", Account: "2710", Deductible: "50"},
		v1alpha1.TaxCode{Code: "1/3", Rate: "25", Account: "2710", Deductible: "33.3333", NonDeductibleAccount: "7165"})
	dimensions := map[string]string{"project": "line.dimensions['project']", "costCenter": "'10'"}
	chart.Rules = append([]v1alpha1.MappingRule{
		{Match: v1alpha1.RuleMatch{Categories: []string{"dinner"}}, TaxCode: "1", Dimensions: dimensions, Split: []v1alpha1.SplitPart{
			{Percent: "70", Account: "7160"}, {Percent: "30", Account: "7161", Dimensions: map[string]string{"costCenter": "'99'"}},
		}},
		{Match: v1alpha1.RuleMatch{Categories: []string{"thirds"}}, Split: []v1alpha1.SplitPart{
			{Percent: "33.3333", Account: "7140"}, {Percent: "33.3333", Account: "7160", TaxCode: "0"}, {Percent: "33.3334", Account: "6800"},
		}},
	}, chart.Rules...)
	chart.Rules = append(chart.Rules, v1alpha1.MappingRule{Account: "6800", Dimensions: dimensions})
}

func TestTaxIsPostedAsTheChartSays(t *testing.T) {
	t.Parallel()
	software := func(code, gross string) ledger.Line {
		return ledger.Line{Category: "software", TaxCode: code, Gross: gross, Quantity: "2", Dimensions: map[string]string{"project": "P1"}}
	}
	foreign := abroad("1150.005")
	foreign.Lines[0].Category, foreign.Lines[0].TaxCode, foreign.Lines[0].Gross = "software", "86/2", "100.01"
	dinnerAbroad := abroad("1150.00")
	dinnerAbroad.Lines[0].Category, dinnerAbroad.Lines[0].Gross, dinnerAbroad.Lines[0].Tax, dinnerAbroad.Lines[0].BaseTax = "dinner", "100.01", "20.00", "229.995"
	for name, claim := range map[string]*ledger.Claim{
		"reverse charge":                              lines(software("86", "100.00")),
		"reverse charge of a refund":                  lines(software("86", "-100.00")),
		"reverse charge that is deducted in part":     lines(software("86/2", "100.01")),
		"reverse charge that is not deducted":         lines(software("87", "100.00")),
		"reverse charge of next to nothing":           lines(software("86", "0.01")),
		"reverse charge on a company card":            lines(onCard(software("86", "100.00"))),
		"reverse charge abroad":                       foreign,
		"half of the tax is deducted":                 lines(ledger.Line{Category: "meals", TaxCode: "1/2", Gross: "100.00", Tax: "19.99"}),
		"a third of the tax is deducted":              lines(ledger.Line{Category: "meals", TaxCode: "1/3", Gross: "-100.00", Tax: "-20.00"}),
		"so little tax that none of it is deducted":   lines(ledger.Line{Category: "meals", TaxCode: "1/3", Gross: "0.05", Tax: "0.01"}),
		"seventy and thirty":                          lines(ledger.Line{Category: "dinner", Gross: "119.00", Tax: "19.00", Quantity: "4", Dimensions: map[string]string{"project": "P1"}}),
		"seventy and thirty abroad":                   dinnerAbroad,
		"seventy and thirty of a cent":                lines(ledger.Line{Category: "dinner", Gross: "0.01"}),
		"thirds, of which the last has the rest":      lines(ledger.Line{Category: "thirds", TaxCode: "1", Gross: "100.00", Tax: "20.00"}, ledger.Line{Category: "thirds", Gross: "-0.02"}),
		"tax of its rate, and what receipts round up": lines(ledger.Line{Category: "meals", TaxCode: "1", Gross: "100.00", Tax: "20.10"}),
		"next to nothing without its tax":             lines(ledger.Line{Category: "meals", TaxCode: "1", Gross: "0.50"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chart := books()
			withTaxes(chart)
			golden(t, name, voucherOf(t, chart, ledger.VoucherPolicy{Series: "E"}, claim))
		})
	}
}

func TestAClaimIsHeldForItsTax(t *testing.T) {
	t.Parallel()
	rounded := abroad("100.00")
	rounded.Lines[0].TaxCode, rounded.Lines[0].Tax, rounded.Lines[0].BaseTax = "1", "1.00", "20.114"
	for _, test := range []struct {
		name   string
		claim  *ledger.Claim
		reason ledger.HoldReason
		words  string
	}{
		{"above the rate", lines(ledger.Line{Category: "meals", TaxCode: "1", Gross: "100.00", Tax: "20.11"}), ledger.HoldTaxExceedsRate,
			`line 1 has 20.11 of tax in 100.00 NOK, and the tax code "1" with its 25 % makes 20.00`},
		{"of a refund above the rate", lines(ledger.Line{Category: "meals", TaxCode: "1", Gross: "-100.00", Tax: "-20.11"}), ledger.HoldTaxExceedsRate, "makes -20.00"},
		{"above the rate in the currency of the books", rounded, ledger.HoldTaxExceedsRate, "20.11 of tax in 100.00 NOK"},
		{"above the rate of a part", lines(ledger.Line{Category: "dinner", TaxCode: "11", Gross: "100.00", Tax: "21.00"}), ledger.HoldTaxExceedsRate, "21.00 of tax in 100.00"},
		{"that a foreign supplier does not charge", lines(ledger.Line{Category: "meals", TaxCode: "86", Gross: "100.00", Tax: "0.01"}), ledger.HoldTaxExceedsRate, "for receipts without"},
		{"that its code is about", lines(ledger.Line{Category: "meals", TaxCode: "1", Gross: "100.00", Tax: "0"}), ledger.HoldTaxMissing, "reverseCharge"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chart := books()
			withTaxes(chart)
			wantHold(t, chart, test.claim, test.reason, test.words)
		})
	}
}

// TestTaxOf19PerCentUnderACodeOf7IsHeld has the receipt of a case from practice: 19.00 of 119.00 under a code of 7 %, whose account is
// for tax of 7 %. The tax that is deductible is that of its rate (UStG §§ 12, 15).
func TestTaxOf19PerCentUnderACodeOf7IsHeld(t *testing.T) {
	t.Parallel()
	chart := books()
	chart.Currency = "EUR"
	chart.Accounts = append(chart.Accounts, v1alpha1.Account{Number: "1571", Name: "Abziehbare Vorsteuer 7 %"})
	chart.TaxCodes = append(chart.TaxCodes, v1alpha1.TaxCode{Code: "7", Rate: "7", Account: "1571"})
	claim := lines(ledger.Line{Category: "meals", Description: "19 of 119 at code 7 %", Gross: "119.00", Tax: "19.00", TaxCode: "7"})
	claim.Currency = "EUR"
	wantHold(t, chart, claim, ledger.HoldTaxExceedsRate, `19.00 of tax in 119.00 EUR, and the tax code "7" with its 7 % makes 7.79`)
	chart.TaxTolerance = "11.21"
	voucherOf(t, chart, ledger.VoucherPolicy{}, claim)
}

func TestEverythingThatIsWrongWithTheTaxOfAChartIsSaid(t *testing.T) {
	t.Parallel()
	part := func(percent string) v1alpha1.SplitPart { return v1alpha1.SplitPart{Percent: percent, Account: "7140"} }
	divided := func(parts ...v1alpha1.SplitPart) func(*v1alpha1.ChartOfAccountsSpec) {
		return func(c *v1alpha1.ChartOfAccountsSpec) { c.Rules[0].Account, c.Rules[0].Split = "", parts }
	}
	for _, test := range []struct {
		name    string
		change  func(*v1alpha1.ChartOfAccountsSpec)
		field   string
		problem string
	}{
		{"a rate that is none", func(c *v1alpha1.ChartOfAccountsSpec) { c.TaxCodes[0].Rate = "1e3" }, "spec.taxCodes[0].rate", `"1e3"`},
		{"more deducted than there is", func(c *v1alpha1.ChartOfAccountsSpec) { c.TaxCodes[0].Deductible = "100.1" }, "spec.taxCodes[0].deductible", "at most 100"},
		{"an undefined account of the rest", func(c *v1alpha1.ChartOfAccountsSpec) { c.TaxCodes[0].NonDeductibleAccount = "2" }, "spec.taxCodes[0].nonDeductibleAccount", `"2"`},
		{"an undefined account of tax owed", func(c *v1alpha1.ChartOfAccountsSpec) {
			c.TaxCodes[0].ReverseCharge = &v1alpha1.ReverseCharge{Account: "2"}
		},
			"spec.taxCodes[0].reverseCharge.account", `"2"`},
		{"reverse charge of nothing", func(c *v1alpha1.ChartOfAccountsSpec) {
			c.TaxCodes[2].ReverseCharge, c.TaxCodes[2].Deductible = &v1alpha1.ReverseCharge{Account: "2910"}, "0"
		}, "spec.taxCodes[2].rate", "above 0"},
		{"reverse charge that nothing takes", func(c *v1alpha1.ChartOfAccountsSpec) {
			c.TaxCodes[0].ReverseCharge, c.TaxCodes[0].Account = &v1alpha1.ReverseCharge{Account: "2910"}, ""
		}, "spec.taxCodes[0].account", "is missing"},
		{"a tolerance finer than the currency", func(c *v1alpha1.ChartOfAccountsSpec) { c.TaxTolerance = "0.001" }, "spec.taxTolerance", "more decimals"},
		{"parts of less than all", divided(part("50"), part("49.9999")), "spec.rules[0].split", "sum to 100"},
		{"parts of more than all", divided(part("50"), part("50.0001")), "spec.rules[0].split", "sum to 100"},
		{"a part that is no percentage", divided(part("50"), part("half")), "spec.rules[0].split[1].percent", `"half"`},
		{"a part on an undefined account", divided(part("50"), v1alpha1.SplitPart{Percent: "50", Account: "2"}), "spec.rules[0].split[1].account", `"2"`},
		{"a part with an undefined code", divided(part("50"), v1alpha1.SplitPart{Percent: "50", Account: "7140", TaxCode: "2"}), "spec.rules[0].split[1].taxCode", `"2"`},
		{"a part whose dimension does not compile", divided(part("50"), v1alpha1.SplitPart{Percent: "50", Account: "7140", Dimensions: map[string]string{"project": "("}}),
			"spec.rules[0].split[1].dimensions[project]", "1:"},
		{"an account beside the parts", func(c *v1alpha1.ChartOfAccountsSpec) { c.Rules[0].Split = []v1alpha1.SplitPart{part("50"), part("50")} }, "spec.rules[0].account", "split"},
		{"eleven parts", divided(part("10"), part("10"), part("10"), part("10"), part("10"), part("10"), part("10"), part("10"), part("10"), part("5"), part("5")),
			"spec.rules[0].split", "more than 10"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chart := books()
			test.change(chart)
			_, err := ledger.NewMapper(chart, ledger.VoucherPolicy{})
			var wrong *ledger.ChartError
			if !errors.As(err, &wrong) || wrong.Field != test.field || !strings.Contains(wrong.Problem, test.problem) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %s: …%s…", err, test.field, test.problem)
			}
		})
	}
}

func TestAClaimWhoseLinesAreDividedIntoTooManyPostingsIsHeld(t *testing.T) {
	t.Parallel()
	chart := books()
	withTaxes(chart)
	claim := lines(ledger.Line{Category: "dinner", Gross: "119.00", Tax: "19.00"})
	repeatLine(claim, ledger.MaxLines)
	wantHold(t, chart, claim, ledger.HoldTooLarge, "30000 postings")
}
