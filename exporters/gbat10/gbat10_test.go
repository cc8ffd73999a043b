package gbat10

import (
	"flag"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	norwegian = `{"vatCodes": {"01": "1", "06": "13"}, "project": ""}`
	unicode   = `{"encoding": "utf-8", "subledger": "none", "project": "", "decimalMark": ",", "voucherType": 7, "noVatCode": "00", "iban": true, "fileName": "gl.txt"}`
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, options := range []string{norwegian, unicode} {
		t.Run(options, func(t *testing.T) {
			conformance.Test(t, New(), []byte(options), conformance.ReadBack(readBack), conformance.Lacks("reverse charge, half"))
		})
	}
}

// TestSoftwareFromAbroadHasItsCode has the receipt of a case from practice: 100.00 without VAT, a service from abroad with the right to
// deduct (mval § 3-30; standard tax code 86), and one without (87). The importing system makes the tax from the code, and ignores the rows with F.
func TestSoftwareFromAbroadHasItsCode(t *testing.T) {
	t.Parallel()
	books := conformance.EveryKind("NOK")
	claim := conformance.Kind("reverse charge", "NOK")
	claim.Lines = append(claim.Lines[:1], conformance.Kind("reverse charge, none", "NOK").Lines[0])
	claim.Lines[1].Number = 2
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(norwegian)), conformance.Map(t, books, []*ledger.Claim{claim}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range mustRead(t, artifact.Files[0].Content)[0].rows {
		got = append(got, strings.Join([]string{row[6], row[7], row[8], row[26], row[27]}, ";"))
	}
	want := []string{
		"0990;86;100.00;T;100.00", "2645;0;25.00;F;0.00", "2614;0;-25.00;F;0.00",
		"0990;87;101.00;T;101.00", "0990;0;25.25;F;0.00", "2614;0;-25.25;F;0.00", "2890;0;-201.00;T;-201.00",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTaxDeductedInPartIsPostedAsItIs: no VAT code deducts a part, so the system makes nothing of it.
func TestTaxDeductedInPartIsPostedAsItIs(t *testing.T) {
	t.Parallel()
	books := conformance.EveryKind("NOK")
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(norwegian)), conformance.Map(t, books, []*ledger.Claim{conformance.Kind("deducted in part", "NOK")}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range mustRead(t, artifact.Files[0].Content)[0].rows {
		got = append(got, strings.Join([]string{row[6], row[7], row[8], row[26], row[27]}, ";"))
	}
	want := []string{
		"0990;0;81.00;T;81.00", "2641;0;6.66;T;6.66", "6072;0;13.34;T;13.34",
		"0990;0;-41.00;T;-41.00", "2641;0;-3.33;T;-3.33", "6072;0;-6.67;T;-6.67", "2890;0;-50.00;T;-50.00",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAVATCodeThatIsNotTheTaxCodesOwnHoldsTheVoucher(t *testing.T) {
	t.Parallel()
	books := conformance.EveryKind("NOK")
	for options, want := range map[string]string{
		`{"vatCodes": {"87": "86"}}`: `the tax code "86" of line 1 has the same code in the option vatCodes as the tax code "87"`,
		`{"vatCodes": {"86": "0"}}`:  `the tax code "86" of line 1 has the VAT code 0, which is the one without VAT`,
	} {
		vouchers := conformance.Map(t, books, []*ledger.Claim{conformance.Kind("reverse charge", "NOK")})
		artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(options)), vouchers)
		if err != nil || len(artifact.Held) != 1 || !strings.HasPrefix(artifact.Held[0].Message, want) {
			t.Errorf("%s: held %v (%v), want %s", options, artifact.Held, err, want)
		}
	}
}

func TestMemory(t *testing.T) { conformance.TestMemory(t, New(), []byte(norwegian)) }

func TestBounds(t *testing.T) { conformance.TestBounds(t, New(), norwegian) }

func FuzzOptions(f *testing.F) { conformance.FuzzOptions(f, New(), norwegian, unicode, `{}`) }

func FuzzTexts(f *testing.F) {
	conformance.FuzzTexts(f, New(), []byte(norwegian), conformance.ReadBack(readBackKronor))
}

// The golden file is also what docs/exporters/gbat10.md shows.
func TestFilesAreAsReviewed(t *testing.T) {
	t.Parallel()
	for _, file := range conformance.Sample(t, New(), "NOK", norwegian).Files {
		golden := filepath.Join("testdata", file.Name)
		conformance.Golden(t, golden, file.Content, *update)
	}
}

func TestEachPostingIsARow(t *testing.T) {
	t.Parallel()
	j := mustRead(t, conformance.Sample(t, New(), "NOK", norwegian, conformance.Ordinary).Files[0].Content)[0]
	want := []string{
		// 120 of 1120 is no 12.5 per cent: the tax is posted as it is on the receipt, and no VAT code makes it again.
		"GBAT10;1;20261103;10;7;2026;5800;0;1000.00;;;;;;;;;;;;Tåg Malmö–Göteborg;;;;010;;T;1000.00;;",
		"GBAT10;1;20261103;10;7;2026;2641;0;120.00;;;;;;;;;;;;Tåg Malmö–Göteborg;;;;;;T;120.00;;",
		// 100 of 500 is 25 per cent: the system makes it of the gross amount, or takes the row F.
		"GBAT10;1;20261103;10;7;2026;6071;1;400.00;;;;;;;;;;;;Middag;;;;020;;T;500.00;;",
		"GBAT10;1;20261103;10;7;2026;2641;0;100.00;;;;;;;;;;;;Middag;;;;;;F;0.00;;",
		"GBAT10;1;20261103;10;7;2026;0990;0;80.00;;;;;;;;;;;;parking;;;;;;T;80.00;;",
		"GBAT10;1;20261103;10;7;2026;2890;0;-1700.00;;0042;Test Testsson;;;;E/2026/1;;;;;Kundbesök i Göteborg;Kundbesök i Göteborg;;;;;T;-1700.00;;",
	}
	for i, row := range j.rows {
		if got := strings.Join(row, ";"); i >= len(want) || got != want[i] {
			t.Errorf("row %d is\n%s", i+1, got)
		}
	}
}

// Mamut takes a file for one journal ("used to separate journals from each other", of column 1), and Tripletex ignores the columns
// of period and year (article 4411155692945).
func TestEachFiscalYearHasAFile(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for _, file := range conformance.Sample(t, New(), "NOK", norwegian).Files {
		for _, journal := range mustRead(t, file.Content) {
			for _, row := range journal.rows {
				files[row[5]+" in "+file.Name] = file.Name
			}
		}
	}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, []string{"2025 in monthly-29934120-2025.csv", "2026 in monthly-29934120.csv"}) {
		t.Errorf("the years are %q", got)
	}
}

// TestAnAdvanceIsNotInTheItemOfTheClaim has a claim of 112.00 of which 100.00 were paid before: 12.00 are open under its number.
func TestAnAdvanceIsNotInTheItemOfTheClaim(t *testing.T) {
	t.Parallel()
	books := conformance.EveryKind("NOK")
	vouchers := conformance.Map(t, books, []*ledger.Claim{conformance.Kind("advance", "NOK")})
	vouchers[0].Number = 1
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(norwegian)), append(vouchers, conformance.Reversals(t, vouchers)...))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, journal := range mustRead(t, artifact.Files[0].Content) {
		for _, row := range journal.rows {
			if row[10] != "" {
				got = append(got, strings.Join([]string{row[6], row[8], row[10], row[15]}, ";"))
			}
		}
	}
	want := []string{"2898;-100.00;0042;", "2890;-12.00;0042;E/2026/1", "2898;100.00;0042;", "2890;12.00;0042;E/2026/1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestAReversalClearsTheItemThatItReverses: the item of a supplier is known by its invoice number.
func TestAReversalClearsTheItemThatItReverses(t *testing.T) {
	t.Parallel()
	books := conformance.Books("NOK")
	original := conformance.Vouchers(t, books)[0]
	original.Number = 7
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(norwegian)), conformance.Reversals(t, []*ledger.Voucher{original}))
	if err != nil {
		t.Fatal(err)
	}
	rows := mustRead(t, artifact.Files[0].Content)[0].rows
	if last := rows[len(rows)-1]; last[15] != "E/2026/7" || last[20] != "Reverses E/2026/7: Kundbesök i Göteborg" || last[1] != "1" {
		t.Errorf("the last row is %q", last)
	}
}

func TestTheClaimantIsWhereTheOptionsSay(t *testing.T) {
	t.Parallel()
	for options, want := range map[string][]string{
		`{"project": "", "subledger": "customer"}`:                {"0042", "", "Test Testsson", ""},
		`{"project": "", "subledger": "none"}`:                    {"", "", "", ""},
		`{"project": "", "iban": true}`:                           {"", "0042", "Test Testsson", "SE4550000000058398257466"},
		`{"project": "", "subledger": "none", "iban": true}`:      {"", "", "", "SE4550000000058398257466"},
		`{"project": "", "subledger": "supplier", "iban": false}`: {"", "0042", "Test Testsson", ""},
	} {
		rows := mustRead(t, conformance.Sample(t, New(), "NOK", options, conformance.Ordinary).Files[0].Content)[0].rows
		last := rows[len(rows)-1]
		if got := []string{last[9], last[10], last[11], last[28]}; !slices.Equal(got, want) || rows[0][28] != "" {
			t.Errorf("%s: %q, want %q", options, got, want)
		}
	}
}

func TestTextsHaveNothingThatWouldEndACell(t *testing.T) {
	t.Parallel()
	for _, j := range mustRead(t, conformance.Sample(t, New(), "NOK", norwegian).Files[0].Content) {
		if last := j.rows[len(j.rows)-1]; strings.HasPrefix(last[20], "'Citat'") && last[20] != `'Citat', komma, apostrof ' och \omvänt snedstreck\` {
			t.Errorf("the text is %q", last[20])
		}
	}
}

func TestAVoucherThatGBAT10CanNotHaveIsHeld(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*ledger.Voucher)
		want  string
	}{
		{"a department of five digits", func(v *ledger.Voucher) { v.Postings[0].Dimensions[0].Value = "10000" }, "the dimension costCenter of line 1 is not a number of at most 4 digits"},
		{"a department with a letter", func(v *ledger.Voucher) { v.Postings[0].Dimensions[0].Value = "1A" }, "the dimension costCenter of line 1 is not a number"},
		{"an employee with a letter", func(v *ledger.Voucher) { v.Postings[5].Subledger = "A1" }, "the claimant's id is not a number"},
		{"a text in Cyrillic", func(v *ledger.Voucher) { v.Postings[0].Text = "Я" }, "the text of line 1 has the character U+042F"},
		{"an amount that is too long", func(v *ledger.Voucher) { v.Postings[0].BaseAmount = 1_000_000_000_000_00 }, "the amount of line 1 has more than 15 characters"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { conformance.Holds(t, New(), "NOK", norwegian, test.spoil, test.want) })
	}
	held := map[string]bool{}
	for _, hold := range conformance.Sample(t, New(), "NOK", norwegian).Held {
		held[hold.ClaimID] = true
	}
	if got := slices.Sorted(maps.Keys(held)); !slices.Equal(got, []string{"claim-cyrillic", "claim-emoji", "claim-large"}) {
		t.Errorf("held are %q", got)
	}
}

func TestBooksThatGBAT10CanNotHaveAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		options string
		spoil   func(*v1alpha1.ChartOfAccountsSpec)
		want    string
	}{
		{norwegian, func(b *v1alpha1.ChartOfAccountsSpec) { b.Currency = "KWD" }, "the books are in KWD, which has 3 decimals"},
		{norwegian, func(b *v1alpha1.ChartOfAccountsSpec) { b.Accounts[0].Number = "58000000" }, `the chart of accounts has the account "58000000"`},
		{norwegian, func(b *v1alpha1.ChartOfAccountsSpec) { b.Accounts[0].Number = "A" }, `the chart of accounts has the account "A"`},
		{`{}`, func(b *v1alpha1.ChartOfAccountsSpec) { b.TaxCodes[0].Code = "I25" }, `vatCodes: the tax code "I25" of the chart`},
		{norwegian, func(b *v1alpha1.ChartOfAccountsSpec) { b.TaxCodes = b.TaxCodes[1:] }, `vatCodes.01: is not a tax code of the chart`},
	}
	for _, test := range tests {
		conformance.RefusesBooks(t, New(), "NOK", test.options, test.spoil, test.want)
	}
}

func TestOptionsThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]string{
		`{"voucherType": 1000}`:         `voucherType: 1000 is not within 0 to 999`,
		`{"vatCodes": {"1": "A"}}`:      `vatCodes.1: is not a number of one to five digits`,
		`{"noVatCode": ""}`:             `noVatCode: is not a number of one to five digits`,
		`{"subledger": "employee"}`:     `subledger: "employee" is not one of ["supplier" "customer" "none"]`,
		`{"decimalMark": "'"}`:          `decimalMark: "'" is not one of`,
		`{"encoding": "cp437"}`:         `encoding: "cp437" is not one of ["windows-1252" "iso-8859-1" "utf-8"]`,
		`{"fileName": "../gl"}`:         `fileName: begins with a dot`,
		`{"project": 1}`:                `project: is or has a JSON number where a string belongs`,
		`{"department": "", "dep": ""}`: `dep: is not an option`,
	} {
		conformance.RefusesOptions(t, New(), options, want)
	}
}

func BenchmarkWrite(b *testing.B) { conformance.Benchmark(b, New(), []byte(norwegian)) }

func TestThePageOfTheExporterIsTrue(t *testing.T) {
	t.Parallel()
	rows := strings.Split(decode(t, conformance.Sample(t, New(), "NOK", norwegian).Files[0].Content), "\r\n")
	conformance.PageShows(t, "../../docs/exporters/gbat10.md", strings.Join(rows[:6], "\n"))
}

func mustRead(t *testing.T, content []byte) []journal {
	t.Helper()
	journals, err := read([]byte(decode(t, content)))
	if err != nil {
		t.Fatalf("%v in\n%s", err, content)
	}
	return journals
}

func decode(t *testing.T, content []byte) string {
	t.Helper()
	text, err := charmap.Windows1252.NewDecoder().Bytes(content)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
