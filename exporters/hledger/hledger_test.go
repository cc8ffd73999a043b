package hledger

import (
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

var update = flag.Bool("update", false, "write the golden files")

const asBeancount = `{"format": "beancount"}`

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{
		"default":                ``,
		"beancount":              asBeancount,
		"accounts under topics":  `{"declarations": false, "fileName": "claims.ledger", "accountName": "{name}:{number}", "topLevel": {"0": "Kosten", "5": "Kosten", "6": "Kosten", "2": "Schulden", "26": "Vermögen", "3": "Kosten"}}`,
		"beancount with numbers": `{"format": "beancount", "declarations": false, "accountName": "{number}"}`,
	} {
		t.Run(name, func(t *testing.T) { conformance.Test(t, New(), []byte(options), conformance.ReadBack(readBack)) })
	}
}

func TestMemory(t *testing.T) { conformance.TestMemory(t, New(), nil) }

// TestBounds has the longest names of accounts.
func TestBounds(t *testing.T) {
	for _, format := range []string{"hledger", beancountFormat} {
		conformance.TestBounds(t, New(), `{"format": "`+format+`", "accountName": "{number} `+strings.Repeat("x", 400)+`"}`)
	}
}

// The golden files are also what docs/exporters/hledger.md shows.
func TestFilesAreAsReviewed(t *testing.T) {
	t.Parallel()
	for _, options := range []string{``, asBeancount} {
		for _, file := range conformance.Sample(t, New(), "SEK", options).Files {
			golden := filepath.Join("testdata", file.Name)
			conformance.Golden(t, golden, file.Content, *update)
		}
	}
}

func TestThePageOfTheExporterIsTrue(t *testing.T) {
	t.Parallel()
	for _, options := range []string{``, asBeancount} {
		file := conformance.Sample(t, New(), "SEK", options).Files[0]
		head, rest, _ := strings.Cut(string(file.Content), "2026-11-03")
		first, _, _ := strings.Cut(rest, "\n\n")
		conformance.PageShows(t, "../../docs/exporters/hledger.md", head+"2026-11-03"+first)
	}
}

// Every program must accept the hard vouchers of the suite, and count what the vouchers say.
func TestProgramsReadWhatTheVouchersSay(t *testing.T) {
	t.Parallel()
	for _, program := range programs {
		for _, currency := range []string{"SEK", "JPY", "KWD"} {
			t.Run(program.name+" "+currency, func(t *testing.T) {
				t.Parallel()
				books := conformance.Books(currency)
				vouchers := append(conformance.Vouchers(t, books), reversal(t, books))
				testProgram(t, &program, books, vouchers)
			})
		}
	}
}

// Claims in any currency with any amounts and rates, of several lines, balance in every program to the last minor unit.
func TestProgramsBalanceClaimsInForeignCurrencies(t *testing.T) {
	t.Parallel()
	for _, program := range programs {
		t.Run(program.name, func(t *testing.T) {
			t.Parallel()
			books := conformance.Books("SEK")
			books.Rounding.Limit = "1000"
			claims := rapid.Custom(anyClaim)
			var all []*ledger.Claim
			for i := range 300 {
				claim := claims.Example(i)
				claim.ID = fmt.Sprintf("claim-%d", i)
				all = append(all, claim)
			}
			testProgram(t, &program, books, conformance.Map(t, books, all))
		})
	}
}

// anyClaim draws a claim of one to five lines in one of five currencies.
func anyClaim(t *rapid.T) *ledger.Claim {
	approved := conformance.Batch(conformance.Books("SEK"), nil).Cutoff.AddDate(0, 0, -1)
	claim := &ledger.Claim{ClaimantID: "0042", ApprovedAt: approved, Currency: rapid.SampledFrom([]string{"SEK", "EUR", "JPY", "KWD", "IDR"}).Draw(t, "currency"), Description: "Any"}
	for number := 1; number <= rapid.IntRange(1, 5).Draw(t, "lines"); number++ {
		gross := rapid.Int64Range(-1_000_000, 1_000_000).Draw(t, "gross")
		line := ledger.Line{
			Number: number, ExpenseDate: approved,
			Category: rapid.SampledFrom([]string{"travel", "dinner", "parking"}).Draw(t, "category"),
			Gross:    fmt.Sprint(gross), Tax: fmt.Sprint(gross / 5),
		}
		if claim.Currency != "SEK" {
			rate := rapid.Int64Range(1, 40_000).Draw(t, "rate")
			line.BaseGross, line.BaseTax = thousandths(gross*rate), thousandths(gross/5*rate)
		}
		claim.Lines = append(claim.Lines, line)
	}
	return claim
}

func thousandths(amount int64) string {
	sign := ""
	if amount < 0 {
		sign, amount = "-", -amount
	}
	return fmt.Sprintf("%s%d.%03d", sign, amount/1000, amount%1000)
}

func testProgram(t *testing.T, program *program, books *v1alpha1.ChartOfAccountsSpec, vouchers []*ledger.Voucher) {
	t.Helper()
	options := []byte(`{"format": "` + program.format + `"}`)
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, options), vouchers)
	if err != nil || len(artifact.Held) > 0 {
		t.Fatalf("held %v (%v), want none", artifact.Held, err)
	}
	content := artifact.Files[0].Content
	program.run(t, program.check, content)
	o, err := decodeOptions(options)
	if err != nil {
		t.Fatal(err)
	}
	d := map[string]dialect{"hledger": journal{}, beancountFormat: beancount{}}[program.format]
	names, err := nameAccounts(o, d, books)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]ledger.Amount{}
	for _, voucher := range vouchers {
		for _, posting := range voucher.Postings {
			want[names[posting.Account]] += posting.BaseAmount
		}
	}
	maps.DeleteFunc(want, func(_ string, amount ledger.Amount) bool { return amount == 0 })
	if got := program.balancesOf(t, content, vouchers[0].BaseCurrency); !maps.Equal(got, want) {
		t.Errorf("the balances are\n%v, want\n%v", got, want)
	}
}

// reversal of the first voucher of the suite.
func reversal(t *testing.T, books *v1alpha1.ChartOfAccountsSpec) *ledger.Voucher {
	voucher := conformance.Vouchers(t, books)[0]
	voucher.ClaimID, voucher.Reverses = "claim-ordinary", "E/2026/1"
	for i := range voucher.Postings {
		posting := &voucher.Postings[i]
		posting.Amount, posting.BaseAmount = -posting.Amount, -posting.BaseAmount
	}
	return voucher
}

func TestTextsThatProgramsReadAMeaningInto(t *testing.T) {
	t.Parallel()
	hard := []string{
		"; comment", "a, date: 2020-01-01", "[2020-01-01]", "[=2020-01-01]", ":a:b:", "date:x", "!", "*", "(x)", "|", "=", "a  ;b", "\\", `"`,
		"{1}", "@@ 1 EUR", "%", "#", "'", "a:: b", "::", "٣", "\u00a0", "\u3000",
	}
	for _, program := range programs {
		t.Run(program.name, func(t *testing.T) {
			t.Parallel()
			books := conformance.Books("SEK")
			var vouchers []*ledger.Voucher
			for i, text := range hard {
				voucher := conformance.Vouchers(t, books)[0]
				voucher.ClaimID, voucher.Text = fmt.Sprintf("claim-%d", i), text
				for p := range voucher.Postings {
					voucher.Postings[p].Text = text + " " // another than the voucher's
				}
				vouchers = append(vouchers, voucher)
			}
			testProgram(t, &program, books, vouchers)
		})
	}
}

func TestACodeThatATagCanNotHaveHoldsTheVoucher(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*ledger.Voucher)
		want  string
	}{
		{"a comma in a project", func(v *ledger.Voucher) { v.Postings[0].Dimensions[1].Value = "P,1" }, "the dimension project of line 1 has a comma or a bracket"},
		{"a bracket in the id of the claim", func(v *ledger.Voucher) { v.ClaimID = "claim [1]" }, "the claim's id has a comma or a bracket"},
		{"a line break in the id of the claim", func(v *ledger.Voucher) { v.ClaimID = "1\n2" }, "the claim's id has a line break or a tab"},
		{"a long id of the claimant", func(v *ledger.Voucher) { v.Postings[len(v.Postings)-1].Subledger = strings.Repeat("1", 2001) }, "the claimant's id has more than 2000 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conformance.Holds(t, New(), "SEK", "", test.spoil, test.want)
		})
	}
}

func TestAVoucherThatDoesNotBalanceEndsTheArtifact(t *testing.T) {
	t.Parallel()
	conformance.RefusesUnbalanced(t, New(), "SEK", "")
}

func TestAccountsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	tests := []struct{ options, number, want string }{
		{``, "5800", "Expenses:5800 Resekostnader"},
		{``, "2890", "Liabilities:2890 Skuld till anställda"},
		{``, "2641", "Assets:2641 Debiterad ingående moms"},
		{asBeancount, "0990", "Expenses:0990-Övrigt-annat"},
		{asBeancount, "3740", "Expenses:3740-Öres-och-kronutjämning"},
		{`{"format": "beancount", "accountName": "{name}:{number}"}`, "2890", "Liabilities:Skuld-till-anställda:2890"},
		{`{"format": "beancount", "accountName": "{name}"}`, "3740", "Expenses:Öres-och-kronutjämning"},
		{`{"topLevel": {"2": "skulder", "26": "tillgångar", "0": "kostnader", "3": "kostnader", "5": "kostnader", "6": "kostnader"}}`, "2641", "tillgångar:2641 Debiterad ingående moms"},
	}
	for _, test := range tests {
		o, err := decodeOptions([]byte(test.options))
		if err != nil {
			t.Fatal(err)
		}
		d := map[string]dialect{"hledger": journal{}, beancountFormat: beancount{}}[o.Format]
		names, err := nameAccounts(o, d, conformance.Books("SEK"))
		if err != nil || names[test.number] != test.want {
			t.Errorf("%s: %q (%v), want %q", test.options, names[test.number], err, test.want)
		}
	}
}

func TestComponentsOfBeancountBeginWithACapitalOrADigit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"travel": "Travel", "öres & kr": "Öres-kr", "5800": "5800", " -x- ": "X", "日本": "X-日本", "Å": "Å", "ßo": "X-ßo", "": "",
	} {
		if got := (beancount{}).component(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestBooksThatNoFileCanHaveAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, options string
		spoil         func(*v1alpha1.ChartOfAccountsSpec)
		want          string
	}{
		{"two accounts of one name", `{"accountName": "{name}"}`, func(b *v1alpha1.ChartOfAccountsSpec) { b.Accounts[1].Name = "Resekostnader" },
			`accountName: makes one account "Expenses:Resekostnader" of the accounts 5800 and 6071`},
		{"an account without a top-level account", `{"topLevel": {"5": "Expenses"}}`, func(*v1alpha1.ChartOfAccountsSpec) {}, "topLevel: has no prefix of the account 6071"},
		{"a dimension with a space", ``, func(b *v1alpha1.ChartOfAccountsSpec) { b.Rules[0].Dimensions = map[string]string{"cost centre": "''"} },
			`the dimension "cost centre" of the chart of accounts cannot be a tag`},
		{"a dimension that dates postings", ``, func(b *v1alpha1.ChartOfAccountsSpec) { b.Rules[0].Dimensions = map[string]string{"date": "''"} },
			`the dimension "date" of the chart of accounts is a tag that hledger gives a meaning`},
		{"a dimension that is a tag already", ``, func(b *v1alpha1.ChartOfAccountsSpec) { b.Rules[0].Dimensions = map[string]string{"claim": "''"} },
			`the dimension "claim" of the chart of accounts is a tag that the exporter uses`},
		{"a dimension with a capital", asBeancount, func(b *v1alpha1.ChartOfAccountsSpec) { b.Rules[0].Dimensions = map[string]string{"Project": "''"} },
			`the dimension "Project" of the chart of accounts cannot be metadata`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conformance.RefusesBooks(t, New(), "SEK", test.options, test.spoil, test.want)
		})
	}
}

func TestOptionsThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ options, want string }{
		{`{"format": "gnucash"}`, `format: "gnucash" is not one of ["hledger" "beancount"]`},
		{`{"accountName": "account"}`, `accountName: has neither {number} nor {name}`},
		{`{"topLevel": {"1": "a;b"}}`, `topLevel.1: "a;b" is not a word or a few`},
		{`{"topLevel": {"1": ""}}`, `topLevel.1: "" is not a word or a few`},
		{`{"format": "beancount", "topLevel": {"1": "Aktiva"}}`, `topLevel.1: "Aktiva" is not one of`},
		{`{"fileName": "a/b"}`, `fileName: has a path separator`},
		{`{"declarations": "no"}`, `declarations: is or has a JSON string where a boolean belongs`},
	}
	for _, test := range tests {
		conformance.RefusesOptions(t, New(), test.options, test.want)
	}
}

func FuzzOptions(f *testing.F) {
	conformance.FuzzOptions(f, New(), asBeancount, `{"topLevel": {"0": "Expenses"}}`, `{"accountName": "{name}:{number}"}`)
}

func FuzzTextsOfAJournal(f *testing.F) {
	conformance.FuzzTexts(f, New(), nil, conformance.ReadBack(readBack))
}

func FuzzTextsForBeancount(f *testing.F) {
	conformance.FuzzTexts(f, New(), []byte(asBeancount), conformance.ReadBack(readBack))
}

func BenchmarkWrite(b *testing.B) { conformance.Benchmark(b, New(), nil) }

// TestADocumentOfAnotherDayThanThePostingIsDated: a posting that was moved into an open period loses no date.
func TestADocumentOfAnotherDayThanThePostingIsDated(t *testing.T) {
	t.Parallel()
	books := conformance.EveryKind("SEK")
	vouchers := conformance.Map(t, books, []*ledger.Claim{conformance.Kind("advance", "SEK")})
	moved := *vouchers[0]
	moved.PostingDate = moved.DocumentDate.AddDate(0, 1, 0)
	for format, says := range map[string]string{"hledger": "; document_date: ", "beancount": "document_date: \""} {
		artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(`{"format": "`+format+`"}`)), []*ledger.Voucher{vouchers[0], &moved})
		if err != nil {
			t.Fatal(err)
		}
		if content := string(artifact.Files[0].Content); strings.Count(content, says+moved.DocumentDate.Format(time.DateOnly)) != 1 {
			t.Errorf("%s has %s not once:\n%s", format, says, content)
		}
	}
}
