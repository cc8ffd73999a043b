package conformance

import (
	"maps"
	"slices"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// Lacks names the kinds of vouchers that a format cannot express with these options: they must be held, and all others be in the files.
// KindNames lists them.
func Lacks(kinds ...string) Setting { return func(s *suite) { s.lacks = kinds } }

// EveryKind are Books that use all of a chart of accounts: company cards, cash, advances, reverse charge, tax that is deducted in part,
// and rules that divide a line.
func EveryKind(currency string) *v1alpha1.ChartOfAccountsSpec {
	books := Books(currency)
	books.Accounts = append(books.Accounts, v1alpha1.Account{Number: "2897", Name: "Kassa"}, v1alpha1.Account{Number: "2899", Name: "Företagskort"},
		v1alpha1.Account{Number: "2898", Name: "Övriga förskott"})
	books.Offsets = []v1alpha1.PaidPosting{
		{
			Match: v1alpha1.PaymentMatch{PaymentMethods: []string{"company_card"}}, Account: "2899", Subledger: v1alpha1.SubledgerPaymentReference,
			Dimensions: map[string]string{"project": "line.dimensions['project']"},
		},
		{Match: v1alpha1.PaymentMatch{Expression: "line.payment_method == 'cash'"}, Account: "2897"},
	}
	books.Accounts = append(books.Accounts, v1alpha1.Account{Number: "2614", Name: "Utgående moms omvänd skattskyldighet"},
		v1alpha1.Account{Number: "2645", Name: "Beräknad ingående moms"}, v1alpha1.Account{Number: "6072", Name: "Representation, ej avdragsgill"})
	owed := &v1alpha1.ReverseCharge{Account: "2614"}
	books.TaxCodes = append(books.TaxCodes,
		v1alpha1.TaxCode{Code: "86", Rate: "25", Account: "2645", ReverseCharge: owed},
		v1alpha1.TaxCode{Code: "87", Rate: "25", Deductible: "0", ReverseCharge: owed},
		v1alpha1.TaxCode{Code: "187", Rate: "25", Account: "2645", Deductible: "50", ReverseCharge: owed},
		v1alpha1.TaxCode{Code: "14", Rate: "25", Account: "2641", Deductible: "33.3", NonDeductibleAccount: "6072"})
	books.Rules = append([]v1alpha1.MappingRule{{
		Match: v1alpha1.RuleMatch{Categories: []string{"entertainment"}}, TaxCode: "01",
		Split: []v1alpha1.SplitPart{{Percent: "70", Account: "6071"}, {Percent: "30", Account: "6072"}},
	}}, books.Rules...)
	books.Advances = &v1alpha1.AdvancePosting{Account: "2898", Subledger: v1alpha1.SubledgerClaimant}
	return books
}

// kinds are claims for EveryKind, by what is peculiar to them. Their texts are ASCII, so that a format
// without other characters is judged by the kinds alone.
func kinds(base string) map[string]*ledger.Claim {
	advance := claim("advance", base, "Advance", line("travel", "Train", 112, 12))
	advance.Advance = "100"
	settled := claim("settled", base, "Advance of all", line("travel", "Train", 112, 12))
	settled.Advance = "112"
	abroad := converted("advance-abroad", base, "KWD", "Advance in Kuwait", "31.337", "1085.5049")
	abroad.Advance, abroad.BaseAdvance = "20", "692.79"
	if base == "KWD" {
		abroad.BaseAdvance = ""
	}
	coded := func(code string, l ledger.Line) ledger.Line {
		l.TaxCode = code
		return l
	}
	software := func(gross int) ledger.Line { return line("software", "Software", gross, 0) }
	softwareAbroad := converted("reverse-abroad", base, "KWD", "Software", "31.337", "1085.5049")
	softwareAbroad.Lines[1].Category, softwareAbroad.Lines[1].TaxCode = "software", "86"
	return map[string]*ledger.Claim{
		"reverse charge":        claim("reverse", base, "Reverse charge", coded("86", software(100)), line("travel", "Train", 112, 12), coded("86", software(-50))),
		"reverse charge, card":  claim("reverse-card", base, "Reverse charge, card", onCard(coded("86", software(100)))),
		"reverse charge abroad": softwareAbroad,
		"reverse charge, half":  claim("reverse-half", base, "Reverse charge, half", coded("187", software(101))),
		"reverse charge, none":  claim("reverse-none", base, "Reverse charge, none", coded("87", software(101)), coded("87", software(-50))),
		"deducted in part":      claim("in-part", base, "Deducted in part", coded("14", line("lunch", "Lunch", 101, 20)), coded("14", line("lunch", "Refund", -51, -10))),
		"split":                 claim("split", base, "Split", line("entertainment", "Dinner", 250, 50), line("entertainment", "Without tax", 7, 0)),
		"split on a card":       claim("split-card", base, "Split on a card", onCard(line("entertainment", "Dinner", 251, 50))),
		"card":                  claim("card", base, "Company card", onCard(line("dinner", "Dinner", 500, 100)), line("travel", "Train", 112, 12)),
		"card alone":            claim("card-alone", base, "Company card alone", onCard(line("travel", "Hotel", 1120, 120)), onCard(line("book", "Refund", -50, 0))),
		"card and cash":         claim("card-cash", base, "Card and cash", onCard(line("travel", "Train", 112, 12)), inCash(line("parking", "", 10, 0)), line("parking", "", 7, 0)),
		"advance":               advance,
		"advance of all":        settled,
		"advance abroad":        abroad,
	}
}

// KindNames lists the kinds of vouchers that the suite has beside the usual ones.
func KindNames() []string { return slices.Sorted(maps.Keys(kinds("SEK"))) }

// Kind returns a claim of a kind, for books of EveryKind.
func Kind(name, currency string) *ledger.Claim { return kinds(currency)[name] }

func onCard(l ledger.Line) ledger.Line {
	l.PaymentMethod, l.PaymentReference, l.Merchant, l.Country, l.DocumentNumber = "company_card", "45711234", "Grand Hotel", "SE", "2026-17"
	l.Dimensions = map[string]string{"project": "11"}
	return l
}

func inCash(l ledger.Line) ledger.Line {
	l.PaymentMethod = "cash"
	return l
}

// TestKinds is the part of the suite that is about kinds of vouchers, for options that Books cannot have and EveryKind can.
func TestKinds(t *testing.T, exporter exporters.Exporter, options []byte, settings ...Setting) {
	s := &suite{exporter: exporter, options: options}
	for _, set := range settings {
		set(s)
	}
	s.testKinds(t, "SEK")
}

// testKinds renders vouchers of every kind, each alone and all together: what the format can express is in the files, and sums up.
func (s *suite) testKinds(t *testing.T, currency string) {
	books := EveryKind(currency)
	batch := Batch(books, s.options)
	// A reader may need a voucher with fractions to know the currency.
	all := Map(t, books, []*ledger.Claim{converted("dinars", currency, "KWD", "Hotell i Kuwait", "31.337", "1085.5049")})
	for _, name := range KindNames() {
		voucher := Map(t, books, []*ledger.Claim{kinds(currency)[name]})[0]
		all = append(all, voucher)
		t.Run(name, func(t *testing.T) {
			artifact := s.testKind(t, batch, []*ledger.Voucher{all[0], voucher})
			if lacks := slices.Contains(s.lacks, name); lacks != (len(artifact.Held) == 1) {
				t.Errorf("held: %v; that the format cannot express it: %t", artifact.Held, lacks)
			}
		})
	}
	t.Run("several vouchers of a claim", func(t *testing.T) { s.testSeveral(t, currency, all[0]) })
	whole := s.testKind(t, batch, all)
	s.testKind(t, batch, Reversals(t, whole.Written))
}

// testSeveral renders a claim that becomes a voucher for each fiscal year and payment method: each is in the files, with its own date.
func (s *suite) testSeveral(t *testing.T, currency string, first *ledger.Voucher) {
	books := EveryKind(currency)
	books.Vouchers.SplitBy = []v1alpha1.VoucherSplit{v1alpha1.SplitByPaymentMethod, v1alpha1.SplitByFiscalYear}
	c := claim("several", currency, "Several", line("travel", "Train", 112, 12), onCard(line("dinner", "Dinner", 500, 100)), line("travel", "Train before", 56, 6), line("parking", "", 20, 0))
	c.Advance, c.Lines[2].ExpenseDate = "100", date("2026-04-30")
	vouchers := Map(t, books, []*ledger.Claim{c})
	if len(vouchers) != 3 || vouchers[0].FiscalYear == vouchers[2].FiscalYear {
		t.Fatalf("the claim becomes %d vouchers", len(vouchers))
	}
	artifact := s.testKind(t, Batch(books, s.options), append([]*ledger.Voucher{first}, vouchers...))
	if len(artifact.Held) > 0 {
		t.Errorf("held: %v", artifact.Held)
	}
}

func (s *suite) testKind(t *testing.T, batch exporters.Batch, vouchers []*ledger.Voucher) Artifact {
	t.Helper()
	artifact, err := Render(t.Context(), s.exporter, batch, vouchers)
	if err != nil {
		t.Fatal(err)
	}
	for _, hold := range artifact.Held {
		if hold.Reason == "" || hold.Message == "" {
			t.Errorf("the hold %v lacks a reason or a message", hold)
		}
	}
	s.testTotals(t, artifact)
	return artifact
}
