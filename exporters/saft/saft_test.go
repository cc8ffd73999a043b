package saft

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/test/schemas"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	schema = "Norwegian_SAF-T_Financial_Schema_v_1.30.xsd"
	// The number is that of the register itself.
	kystlinje = `{"registrationNumber": "974760673", "companyName": "Kystlinje AS", "contactFirstName": "Kari", "contactLastName": "Nordmann",
		"groupings": [
			{"accounts": "0", "category": "annenDriftskostnad", "code": "7700"},
			{"accounts": "26", "category": "kortsiktigGjeld", "code": "2740"},
			{"accounts": "2", "category": "kortsiktigGjeld", "code": "2910"},
			{"accounts": "3", "category": "annenDriftskostnad", "code": "7700"},
			{"accounts": "5", "category": "annenDriftskostnad", "code": "7165"},
			{"accounts": "6", "category": "annenDriftskostnad", "code": "7350"}
		],
		"standardTaxCodes": {"01": "1", "06": "13", "00": "0", "14": "1", "86": "86", "87": "87", "187": "86"}}`
)

// other has every option, and other values.
var other = strings.TrimSuffix(kystlinje, "}") + `, "contactTelephone": "+47 00 00 00 00", "contactEmail": "regnskap@kystlinje.example", "streetName": "Strandgata 1",
	"postalCode": "0101", "city": "Tromsø", "vatRegistered": false, "analysisTypes": {"region": "REG"}, "voucherType": "Reiseregning", "fileName": "saft.xml"}`

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, options := range []string{kystlinje, other} {
		t.Run(options[:80], func(t *testing.T) {
			conformance.Test(t, New(), []byte(options), conformance.ReadBack(readBack))
		})
	}
}

// TestSoftwareFromAbroadHasItsCode has the receipt of a case from practice: 100.00 without VAT, a service from abroad with the right to
// deduct. The list of standard tax codes (Skatteetaten, Standard_Tax_Codes.csv) has 86 for it.
func TestSoftwareFromAbroadHasItsCode(t *testing.T) {
	t.Parallel()
	books := conformance.EveryKind("NOK")
	claim := conformance.Kind("reverse charge", "NOK")
	claim.Lines = claim.Lines[:1]
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(kystlinje)), conformance.Map(t, books, []*ledger.Claim{claim}))
	if err != nil {
		t.Fatal(err)
	}
	schemas.Validate(t, schema, artifact.Files[0].Content)
	content := strings.Join(strings.Fields(string(artifact.Files[0].Content)), "")
	for _, want := range []string{
		"<AccountID>0990</AccountID>", "<DebitAmount><Amount>100.00</Amount></DebitAmount><TaxInformation><TaxType>MVA</TaxType><TaxCode>86</TaxCode>" +
			"<TaxPercentage>25</TaxPercentage><Country>NO</Country><TaxBase>100.00</TaxBase><DebitTaxAmount><Amount>25.00</Amount></DebitTaxAmount></TaxInformation>",
		"<AccountID>2645</AccountID>", "<AccountID>2614</AccountID>",
	} {
		if !strings.Contains(content, want) {
			t.Errorf("the file lacks %s", want)
		}
	}
}

// TestTheBaseRateIsWhatIsDeducted lets an auditor compute the tax again: base, rate and base rate make the tax that is deducted. By the
// schema, a base rate is "60 if only 60% of the total amount is tax deductible".
func TestTheBaseRateIsWhatIsDeducted(t *testing.T) {
	t.Parallel()
	books := conformance.EveryKind("NOK")
	claim := conformance.Kind("deducted in part", "NOK")
	claim.Lines = claim.Lines[:1]
	claim.Lines[0].Gross, claim.Lines[0].Tax = "125", "25"
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(kystlinje)), conformance.Map(t, books, []*ledger.Claim{claim}))
	if err != nil {
		t.Fatal(err)
	}
	schemas.Validate(t, schema, artifact.Files[0].Content)
	content := strings.Join(strings.Fields(string(artifact.Files[0].Content)), "")
	for _, want := range []string{
		"<TaxCode>14</TaxCode><TaxPercentage>25</TaxPercentage><Country>NO</Country><StandardTaxCode>1</StandardTaxCode><BaseRate>33.3</BaseRate>",
		"<TaxCode>87</TaxCode><TaxPercentage>25</TaxPercentage><Country>NO</Country><StandardTaxCode>87</StandardTaxCode><BaseRate>0</BaseRate>",
		"<TaxCode>86</TaxCode><TaxPercentage>25</TaxPercentage><Country>NO</Country><StandardTaxCode>86</StandardTaxCode><BaseRate>100</BaseRate>",
		"<TaxBase>100.00</TaxBase><DebitTaxAmount><Amount>8.33</Amount></DebitTaxAmount>", // 100.00 × 25 % × 33.3 %
	} {
		if !strings.Contains(content, want) {
			t.Errorf("the file lacks %s", want)
		}
	}
}

func TestMemory(t *testing.T) { conformance.TestMemory(t, New(), []byte(kystlinje)) }

func TestBounds(t *testing.T) { conformance.TestBounds(t, New(), kystlinje) }

// The golden files are also what docs/exporters/saft.md shows.
func TestFilesAreAsReviewed(t *testing.T) {
	t.Parallel()
	for _, options := range []string{kystlinje, other} {
		file := conformance.Sample(t, New(), "NOK", options).Files[0]
		golden := filepath.Join("testdata", strings.ReplaceAll(file.Name, " ", "_"))
		conformance.Golden(t, golden, file.Content, *update)
	}
}

func TestFilesAreValid(t *testing.T) {
	t.Parallel()
	for i, options := range []string{kystlinje, other} {
		for _, currency := range []string{"NOK", "EUR", "JPY"} {
			t.Run(fmt.Sprintf("%s %d", currency, i), func(t *testing.T) {
				t.Parallel()
				books := conformance.Books(currency)
				vouchers := conformance.Vouchers(t, books)
				for _, voucher := range conformance.Reversals(t, vouchers) {
					voucher.ClaimID = "0b8f7d5e-6f3a-4f0e-9a53-0e4c1d2b3a49"
					vouchers = append(vouchers, voucher)
				}
				for _, of := range [][]*ledger.Voucher{vouchers, nil} {
					artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(options)), of)
					if err != nil {
						t.Fatal(err)
					}
					schemas.Validate(t, schema, artifact.Files[0].Content)
				}
			})
		}
	}
}

// Claims of any amounts, texts and dimensions make a valid file whose sums are right.
func TestFilesOfAnyClaimsAreValid(t *testing.T) {
	t.Parallel()
	books := conformance.Books("NOK")
	books.Rounding.Limit, books.Vouchers.AcrossFiscalYears = "1000", v1alpha1.FiscalYearsPost
	text := rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9åæé€ <>&'"/;-]{1,300}`), rapid.StringMatching(`[ -~\x{a0}-\x{2ff}\x{4e00}-\x{4fff}\x{1f300}-\x{1f5ff}]{1,80}`))
	approved := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	claims := rapid.Custom(func(t *rapid.T) *ledger.Claim {
		claim := &ledger.Claim{ApprovedAt: approved, ClaimantID: text.Draw(t, "claimant"), Currency: rapid.SampledFrom([]string{"NOK", "EUR", "JPY", "KWD"}).Draw(t, "currency"), Description: text.Draw(t, "text")}
		if strings.TrimSpace(claim.ClaimantID) == "" {
			claim.ClaimantID = "7"
		}
		for number := 1; number <= rapid.IntRange(1, 4).Draw(t, "lines"); number++ {
			gross := rapid.Int64Range(-1_000_000, 1_000_000).Draw(t, "gross")
			line := ledger.Line{
				Number: number, ExpenseDate: approved.AddDate(0, 0, -rapid.IntRange(0, 900).Draw(t, "days")),
				Category: rapid.SampledFrom([]string{"travel", "dinner", "parking"}).Draw(t, "category"), Description: text.Draw(t, "line"),
				Gross: fmt.Sprint(gross), Tax: fmt.Sprint(gross / 5), Dimensions: map[string]string{"project": text.Draw(t, "project")},
			}
			if claim.Currency != "NOK" {
				line.BaseGross, line.BaseTax = fmt.Sprint(7*gross), fmt.Sprint(7*(gross/5))
			}
			claim.Lines = append(claim.Lines, line)
		}
		return claim
	})
	var all []*ledger.Claim
	for i := range 500 {
		claim := claims.Example(i)
		claim.ID = fmt.Sprintf("claim-%d", i)
		all = append(all, claim)
	}
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(kystlinje)), conformance.Map(t, books, all))
	if err != nil || len(artifact.Written) < 50 {
		t.Fatalf("%d written, %d held: %v", len(artifact.Written), len(artifact.Held), err)
	}
	if _, _, err := read(artifact.Files[0].Content); err != nil {
		t.Error(err)
	}
	schemas.Validate(t, schema, artifact.Files[0].Content)
}

func TestThePageOfTheExporterIsTrue(t *testing.T) {
	t.Parallel()
	content := string(conformance.Sample(t, New(), "NOK", kystlinje).Files[0].Content)
	_, entries, _ := strings.Cut(content, "  <GeneralLedgerEntries>")
	first, _, _ := strings.Cut(entries, "</Line>")
	header, _, _ := strings.Cut(content, "  <MasterFiles>")
	for _, part := range []string{header, first} {
		conformance.PageShows(t, "../../docs/exporters/saft.md", part)
	}
}

func TestTheFileSaysWhatTheVouchersSay(t *testing.T) {
	t.Parallel()
	file := conformance.Sample(t, New(), "NOK", kystlinje).Files[0]
	if want := "SAF-T Financial_974760673_20261201000005.xml"; file.Name != want {
		t.Errorf("the file is %s, want %s", file.Name, want)
	}
	f, _, err := read(file.Content)
	if err != nil {
		t.Fatal(err)
	}
	if h := f.Header; h.Version != "1.30" || h.Created != "2026-12-01" || h.VAT != "974760673MVA" || h.Currency != "NOK" || h.From != "2026-04-30" || h.To != "2026-11-03" {
		t.Errorf("the header is %+v", h)
	}
	var ids []string
	for _, transaction := range f.Entries.Journals[0].Transactions[:2] {
		ids = append(ids, fmt.Sprintf("%s %d/%d %s", transaction.ID, transaction.Period, transaction.Year, transaction.Date))
	}
	if want := []string{"E/2026/1 7/2026 2026-11-03", "E/2025/1 12/2025 2026-04-30"}; !slices.Equal(ids, want) {
		t.Errorf("transactions %q, want %q", ids, want)
	}
	first := f.Entries.Journals[0].Transactions[0]
	line := first.Lines[0]
	if line.Account != "5800" || line.Debit.Amount != "1000.00" || line.Tax.Code != "06" || line.Tax.Base != "1000.00" || line.Tax.Debit.Amount != "120.00" ||
		line.Quantity != "2.50" || line.Document != "claim-ordinary" || fmt.Sprint(line.Analyses) != "[{A 010} {P P 1}]" {
		t.Errorf("the first line is %+v", line)
	}
	if last := first.Lines[len(first.Lines)-1]; last.Credit == nil || last.Credit.Amount != "1700.00" || fmt.Sprint(last.Analyses) != "[{E 0042}]" || last.Tax != nil {
		t.Errorf("the last line is %+v", last)
	}
}

func TestForeignAmountsAreWrittenWhereTwoDecimalsCanSayThem(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		currency string
		amount   ledger.Amount
		want     string
	}{{"EUR", -1205, "-12.05"}, {"JPY", 12000, "12000"}, {"KWD", 31330, "31.33"}, {"KWD", 31337, ""}, {"CLF", 123400, "12.34"}, {"CLF", 123410, ""}} {
		currency, err := ledger.ParseCurrency(test.currency)
		if err != nil {
			t.Fatal(err)
		}
		if got, fits := twoDecimals(test.amount, currency); got != test.want || fits != (test.want != "") {
			t.Errorf("%d of %s: %q, want %q", test.amount, test.currency, got, test.want)
		}
	}
}

func TestAVoucherThatTheFileCanNotHaveIsHeld(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*ledger.Voucher)
		want  string
	}{
		{"a long project", func(v *ledger.Voucher) { v.Postings[0].Dimensions[1].Value = strings.Repeat("P", 36) }, "the dimension project of line 1 has more than 35 characters"},
		{"a long id of the claimant", func(v *ledger.Voucher) { v.Postings[len(v.Postings)-1].Subledger = strings.Repeat("1", 36) }, "the dimension employee of the Offset posting has more than 35"},
		{"a quantity that is no number", func(v *ledger.Voucher) { v.Postings[0].Quantity = "NaN" }, "the quantity of line 1 is not a decimal number"},
		{"a character that XML lacks", func(v *ledger.Voucher) { v.Text = "\ufffe" }, "a text of the voucher has the character U+FFFE"},
		{"a year before there were such files", func(v *ledger.Voucher) { v.FiscalYear = 1969 }, "the fiscal year of the posting date 2026-11-03 is not in the years 1970 to 2100"},
		{"more than the totals can say", func(v *ledger.Voucher) { v.Postings[0].BaseAmount += maxTotal; v.Postings[5].BaseAmount -= maxTotal }, "with this claim the totals of the file would have more than 18 digits"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conformance.Holds(t, New(), "NOK", kystlinje, test.spoil, test.want)
		})
	}
}

func TestAVoucherThatDoesNotBalanceEndsTheArtifact(t *testing.T) {
	t.Parallel()
	conformance.RefusesUnbalanced(t, New(), "NOK", kystlinje)
}

func TestBooksThatTheFileCanNotHaveAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*v1alpha1.ChartOfAccountsSpec)
		want  string
	}{
		{"three decimals", func(b *v1alpha1.ChartOfAccountsSpec) { b.Currency = "KWD" }, "the books are in KWD, which has 3 decimals"},
		{"an account without a grouping", func(b *v1alpha1.ChartOfAccountsSpec) { b.Accounts[0].Number = "9000" }, "groupings: has nothing for the account 9000"},
		{"a tax code without a standard one", func(b *v1alpha1.ChartOfAccountsSpec) { b.TaxCodes[0].Code = "X" }, `standardTaxCodes: has nothing for the tax code "X"`},
		{"an account name that XML lacks", func(b *v1alpha1.ChartOfAccountsSpec) { b.Accounts[0].Name = "\ufffe" }, "the name of the account 5800 of the chart has the character U+FFFE"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conformance.RefusesBooks(t, New(), "NOK", kystlinje, test.spoil, test.want)
		})
	}
}

func TestAnythingMayHaveNoCode(t *testing.T) {
	t.Parallel()
	options := strings.ReplaceAll(strings.ReplaceAll(kystlinje, `annenDriftskostnad", "code": "7350"`, `NA", "code": "NA"`), `"00": "0"`, `"00": "NA"`)
	if err := New().Validate([]byte(options)); err != nil {
		t.Error(err)
	}
}

// TestATransactionHasTheDateOfItsDocument: the schema says of TransactionDate "The date of the accounting document/voucher", and of
// GLPostingDate "Date posting to the general ledger account".
func TestATransactionHasTheDateOfItsDocument(t *testing.T) {
	t.Parallel()
	file := conformance.Sample(t, New(), "NOK", kystlinje, func(v *ledger.Voucher) bool {
		v.PostingDate = v.DocumentDate.AddDate(0, 0, 20)
		return conformance.Ordinary(v)
	}).Files[0]
	for _, want := range []string{"<TransactionDate>2026-11-03</TransactionDate>", "<GLPostingDate>2026-11-23</GLPostingDate>"} {
		if !strings.Contains(string(file.Content), want) {
			t.Errorf("there is no %s in the file", want)
		}
	}
}

func TestOptionsThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	with := func(field, value string) string {
		return strings.TrimSuffix(kystlinje, "}") + `, "` + field + `": ` + value + `}`
	}
	tests := []struct{ options, want string }{
		{``, `registrationNumber: is required`},
		{strings.ReplaceAll(kystlinje, "974760673", "974760674"), `registrationNumber: is not 9 digits`},
		{strings.ReplaceAll(kystlinje, "974760673", "97476067x"), `registrationNumber: is not 9 digits`},
		{strings.ReplaceAll(kystlinje, `"Kari"`, `"`+strings.Repeat("K", 36)+`"`), `contactFirstName: has more than 35 characters`},
		{strings.ReplaceAll(kystlinje, `"accounts": "26"`, `"accounts": "2"`), `groupings[2].accounts: "2" occurs twice`},
		{strings.ReplaceAll(kystlinje, `"code": "7350"`, `"code": ""`), `groupings[5].code: is required`},
		{strings.ReplaceAll(kystlinje, `"00": "0"`, `"00": "x"`), `standardTaxCodes.00: "x" is not a standard tax code`},
		// The lists are the tax authority's: github.com/Skatteetaten/saf-t, naeringsspesifikasjon.csv and Standard_Tax_Codes.csv.
		{strings.ReplaceAll(kystlinje, `"code": "7350"`, `"code": "9999"`), `groupings[5].code: "9999" is not a grouping code of the category annenDriftskostnad`},
		{strings.ReplaceAll(kystlinje, `kortsiktigGjeld", "code": "2740"`, `nonsense", "code": "1"`), `groupings[1].category: "nonsense" is not a grouping category`},
		{strings.ReplaceAll(kystlinje, `"00": "0"`, `"00": "99"`), `standardTaxCodes.00: "99" is not a standard tax code`},
		{strings.ReplaceAll(kystlinje, `"00": "0"`, `"00": "aN"`), `standardTaxCodes.00: "aN" is not a standard tax code`},
		{strings.ReplaceAll(kystlinje, `"00": "0"`, `"00": "2"`), `standardTaxCodes.00: "2" is not a standard tax code`},
		{with("analysisTypes", `{"project": "P", "order": "P"}`), `analysisTypes.project: has the type of "order"`},
		{with("analysisTypes", `{"project": ""}`), `analysisTypes.project: is empty`},
		{with("analysisTypes", `{"project": "PROJECT-NO"}`), `analysisTypes.project: has more than 9 characters`},
		{with("contactTelephone", `"\u0001"`), `contactTelephone: has the character U+0001`},
		{with("fileName", `".xml"`), `fileName: begins with a dot`},
	}
	for _, test := range tests {
		conformance.RefusesOptions(t, New(), test.options, test.want)
	}
}

func FuzzOptions(f *testing.F) { conformance.FuzzOptions(f, New(), kystlinje, other) }

func FuzzTexts(f *testing.F) {
	conformance.FuzzTexts(f, New(), []byte(kystlinje), conformance.ReadBack(readBack))
}

func BenchmarkWrite(b *testing.B) { conformance.Benchmark(b, New(), []byte(kystlinje)) }
