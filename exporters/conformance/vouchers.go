package conformance

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// Books are books in a currency, with two tax codes, three dimensions, and a fiscal year that begins in May.
func Books(currency string) *v1alpha1.ChartOfAccountsSpec {
	dimensions := map[string]string{
		"costCenter": "line.dimensions['cost_center']", "project": "line.dimensions['project']", "region": "line.dimensions['region']",
	}
	return &v1alpha1.ChartOfAccountsSpec{
		Currency: currency, FiscalYearStart: "05-01",
		Accounts: []v1alpha1.Account{
			{Number: "5800", Name: "Resekostnader"}, {Number: "6071", Name: "Representation, avdragsgill"}, {Number: "0990", Name: `Övrigt "annat"`},
			{Number: "2641", Name: "Debiterad ingående moms"}, {Number: "2890", Name: "Skuld till anställda"}, {Number: "3740", Name: "Öres- och kronutjämning"},
		},
		TaxCodes: []v1alpha1.TaxCode{{Code: "01", Rate: "25", Account: "2641"}, {Code: "06", Rate: "12.5", Account: "2641"}, {Code: "00", Rate: "0"}},
		Rules: []v1alpha1.MappingRule{
			{Match: v1alpha1.RuleMatch{Categories: []string{"travel"}}, Account: "5800", TaxCode: "06", Dimensions: dimensions},
			{Match: v1alpha1.RuleMatch{Categories: []string{"dinner"}}, Account: "6071", TaxCode: "01", Dimensions: dimensions},
			{Match: v1alpha1.RuleMatch{Categories: []string{"book"}}, Account: "0990", TaxCode: "00", Dimensions: dimensions},
			{Account: "0990", Dimensions: dimensions},
		},
		Offset:       v1alpha1.OffsetPosting{Account: "2890", Subledger: v1alpha1.SubledgerClaimant},
		Rounding:     &v1alpha1.RoundingPosting{Account: "3740", Limit: "5"},
		TaxTolerance: "999999999", // the receipts of tests say anything
	}
}

// Batch is a batch of a run of 30 November 2026 in Stockholm, in the fiscal year that began in May 2026.
func Batch(books *v1alpha1.ChartOfAccountsSpec, options []byte) exporters.Batch {
	stockholm := time.FixedZone("CET", 3600)
	return exporters.Batch{
		RunID: "0b8f7d5e-6f3a-4f0e-9a53-0e4c1d2b3a49", Namespace: "acme", Export: "monthly", Run: "monthly-29934120",
		OrganizationID: "3f2c9a1e-0000-4000-8000-000000000001",
		CreatedAt:      time.Date(2026, 12, 1, 0, 0, 5, 0, stockholm), Cutoff: time.Date(2026, 11, 30, 23, 0, 0, 0, stockholm),
		Series: "E", Books: books, Options: options,
		Credentials: map[string][]byte{"token": []byte("cr3dential-of-the-system")},
		Program:     "Ledgerport", ProgramVersion: "1.0",
	}
}

// Vouchers are what is hard about vouchers: refunds, several tax codes, currencies with none, two and three decimals,
// conversion that leaves a residue, characters that encodings lack and formats give a meaning, longest texts, a previous
// fiscal year. They are made by the rules of the books, and not numbered.
func Vouchers(t testing.TB, books *v1alpha1.ChartOfAccountsSpec) []*ledger.Voucher {
	t.Helper()
	return Map(t, books, claims(books.Currency))
}

// Readable leaves out the vouchers that are hard because they are long or many, so that a person can review a golden file.
func Readable(vouchers []*ledger.Voucher) []*ledger.Voucher {
	return slices.DeleteFunc(slices.Clone(vouchers), func(v *ledger.Voucher) bool {
		return v.ClaimID == "claim-longest" || v.ClaimID == "claim-many" || v.ClaimID == "claim-tax"
	})
}

// Map makes vouchers from claims by the rules of the books. None may be held.
func Map(t testing.TB, books *v1alpha1.ChartOfAccountsSpec, claims []*ledger.Claim) []*ledger.Voucher {
	t.Helper()
	mapper, err := ledger.NewMapper(books, ledger.VoucherPolicy{Series: "E", Location: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	var vouchers []*ledger.Voucher
	for _, claim := range claims {
		made, err := mapper.Map(context.Background(), claim)
		if err != nil {
			t.Fatal(err)
		}
		for i := range made {
			vouchers = append(vouchers, keep(&made[i]))
		}
	}
	return vouchers
}

// keep copies a voucher, whose memory the mapper uses again.
func keep(voucher *ledger.Voucher) *ledger.Voucher {
	kept := *voucher
	kept.Postings, kept.Receipts = slices.Clone(kept.Postings), slices.Clone(kept.Receipts)
	for i := range kept.Postings {
		kept.Postings[i].Dimensions = slices.Clone(kept.Postings[i].Dimensions)
	}
	return &kept
}

func claims(base string) []*ledger.Claim {
	previous := claim("previous-year", base, "", line("travel", "Tåg", 100, 0))
	previous.Lines[0].ExpenseDate = date("2026-04-30")
	return []*ledger.Claim{
		ordinaryClaim(base),
		previous,
		claim("refund", base, "Återbetalning", line("dinner", "Middag", -250, -50), line("travel", "Tåg", 100, 0)),
		claim("nothing", base, "Belopp noll", line("dinner", "Middag", 0, 0)),
		converted("dinars", base, "KWD", "Hotell i Kuwait", "31.337", "1085.5049"),
		converted("yen", base, "JPY", "Hotell i Osaka", "12000", "814.3351"),
		claim("quotes", base, `"Citat"; komma, apostrof ' och \omvänt snedstreck\`, line("parking", `slut\`, 10, 0), line("parking", `"`, 11, 0)),
		claim("formula", base, "=HYPERLINK(\"https://example.org\")", line("parking", "@SUM(A1)", 10, 0), line("parking", "-1+1", 11, 0)),
		claim("braces", base, "{} #TRANS #VER ~^|\t;", line("parking", "0012", 12, 0)),
		claim("latin", base, "Łukasz Zażółć: “Gęślą jaźń” – 5 € ½ ß Ærø…", line("parking", "e\u0301 o\u0308 A\u030a", 12, 0)),
		claim("cyrillic", base, "Командировка", line("parking", "Метро", 12, 0)),
		claim("emoji", base, "Lunch 🍜👩‍💻", line("parking", "日本", 12, 0)),
		claim("longest", base, strings.Repeat("å", ledger.MaxTextLength/2), line("parking", strings.Repeat("\"", ledger.MaxTextLength), 12, 0)),
		many(base),
		taxes(base),
		claim("large", base, "Stort belopp", line("parking", "", 900_000_000_000, 0)),
	}
}

// ordinaryClaim has three lines, with tax codes and dimensions.
func ordinaryClaim(base string) *ledger.Claim {
	ordinary := claim("ordinary", base, "Kundbesök i Göteborg",
		line("travel", "Tåg Malmö–Göteborg", 1120, 120), line("dinner", "Middag", 500, 100), line("parking", "", 80, 0))
	ordinary.Lines[0].Dimensions = map[string]string{"cost_center": "010", "project": "P 1"}
	ordinary.Lines[1].Dimensions = map[string]string{"cost_center": "020", "region": "Väst"}
	ordinary.Lines[0].Quantity, ordinary.Lines[0].Unit, ordinary.Lines[0].ReceiptURI = "2.50", "h", "https://receipts.example/1"
	return ordinary
}

// many has a hundred lines.
func many(base string) *ledger.Claim {
	c := claim("many", base, "Hundra rader")
	for i := range 100 {
		l := line("travel", "Rad "+strconv.Itoa(i+1), 8+i, i%8)
		l.Number = i + 1
		c.Lines = append(c.Lines, l)
	}
	return c
}

// taxes has every tax code, with and without tax, as expense and refund: a code of zero per cent, and a receipt without the
// tax that its code stands for, too.
func taxes(base string) *ledger.Claim {
	return claim("tax", base, "Alla momskoder",
		line("travel", "Tåg", 112, 12), line("dinner", "Middag", 250, 50), line("book", "Bok", 80, 0),
		line("travel", "Tåg utan moms", 100, 0), line("dinner", "Middag åter", -125, -25), line("book", "Bok åter", -30, 0))
}

// Reversals are vouchers that reverse others, as the ledger makes them, by the numbers that the others have.
func Reversals(t testing.TB, of []*ledger.Voucher) []*ledger.Voucher {
	t.Helper()
	mapper, err := ledger.NewMapper(Books("SEK"), ledger.VoucherPolicy{Series: "E"})
	if err != nil {
		t.Fatal(err)
	}
	reversals := make([]*ledger.Voucher, len(of))
	for i, voucher := range of {
		reversal := *voucher
		reversal.Postings = slices.Clone(voucher.Postings)
		mapper.Reverse(&reversal)
		reversals[i] = &reversal
	}
	return reversals
}

// payableAccount is an IBAN with the right check digits.
const payableAccount = "SE4550000000058398257466"

func claim(name, currency, description string, lines ...ledger.Line) *ledger.Claim {
	for i := range lines {
		lines[i].Number = i + 1
	}
	return &ledger.Claim{
		ID: "claim-" + name, ClaimantID: "0042", ClaimantName: "Test Testsson", ClaimantIBAN: payableAccount,
		ClaimantBIC: "SWEDSESS", ClaimantAddress: ledger.Address{Street: "Storgatan", Building: "7", PostCode: "211 42", Town: "Malmö", Country: "SE"},
		Currency: currency, ApprovedAt: time.Date(2026, 11, 3, 22, 30, 0, 0, time.UTC), ApprovedBy: "0007", Description: description, Lines: lines,
	}
}

// line has whole amounts, so that every currency can have them.
func line(category, description string, gross, tax int) ledger.Line {
	return ledger.Line{
		ExpenseDate: date("2026-11-03"), Category: category, Description: description,
		Gross: strconv.Itoa(gross), Tax: strconv.Itoa(tax),
	}
}

// converted is a claim of two lines in a currency that is foreign, unless the books are in it.
func converted(name, base, currency, description, gross, baseGross string) *ledger.Claim {
	if base == currency {
		baseGross = gross
	}
	lines := []ledger.Line{line("travel", "Hotell", 0, 0), line("parking", "Taxi", 0, 0)}
	for i := range lines {
		lines[i].Gross, lines[i].BaseGross, lines[i].BaseTax = gross, baseGross, "0"
	}
	return claim(name, currency, description, lines...)
}

func date(text string) time.Time {
	parsed, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(fmt.Sprintf("the date %q of a test: %s", text, err))
	}
	return parsed
}
