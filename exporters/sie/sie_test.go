package sie

import (
	"flag"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

var update = flag.Bool("update", false, "write the golden files")

const acme = `{"companyName": "Acme AB", "organizationNumber": "556000-0000"}`

const withObjects = `{"companyName": "Acme AB", "objects": true, "dimensions": {"costCenter": 1, "employee": 7, "region": 20}}`

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{
		"default":                 acme,
		"objects":                 withObjects,
		"numbers of the importer": `{"companyName": "Acme", "numbering": "importer", "series": "UTL", "accountingPlan": "", "dimensions": {}}`,
	} {
		t.Run(name, func(t *testing.T) { conformance.Test(t, New(), []byte(options), conformance.ReadBack(readBack)) })
	}
}

func TestMemory(t *testing.T) { conformance.TestMemory(t, New(), []byte(acme)) }

func TestBounds(t *testing.T) { conformance.TestBounds(t, New(), withObjects) }

func FuzzOptions(f *testing.F) {
	conformance.FuzzOptions(f, New(), acme, `{"companyName": "A", "numbering": "importer", "dimensions": {"a": 1, "b": 20}}`)
}

func FuzzTexts(f *testing.F) {
	conformance.FuzzTexts(f, New(), []byte(acme), conformance.ReadBack(readBack))
}

// The golden files are also what docs/exporters/sie.md shows.
func TestFilesAreAsReviewed(t *testing.T) {
	t.Parallel()
	for _, file := range conformance.Sample(t, New(), "SEK", acme).Files {
		golden := filepath.Join("testdata", file.Name)
		conformance.Golden(t, golden, file.Content, *update)
	}
}

func TestEachFiscalYearHasAFileOfItsOwn(t *testing.T) {
	t.Parallel()
	var names, years []string
	for _, file := range conformance.Sample(t, New(), "SEK", acme).Files {
		d := mustRead(t, file.Content)
		names = append(names, file.Name+" "+file.MediaType)
		for _, year := range d.head["#RAR"] {
			years = append(years, year[0].text+" "+year[1].text+"–"+year[2].text)
		}
	}
	if want := []string{"monthly-29934120.si text/plain; charset=cp437", "monthly-29934120-2025.si text/plain; charset=cp437"}; !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
	if want := []string{"0 20260501–20270430", "-1 20250501–20260430", "0 20250501–20260430", "-1 20240501–20250430"}; !slices.Equal(years, want) {
		t.Errorf("years %q, want %q", years, want)
	}
}

func TestTheFileSaysWhatTheVouchersSay(t *testing.T) {
	t.Parallel()
	artifact := conformance.Sample(t, New(), "SEK", acme)
	d := mustRead(t, artifact.Files[0].Content)
	head := map[string]string{"#ORGNR": "556000-0000", "#FNAMN": "Acme AB", "#KPTYP": "EUBAS97", "#GEN": "20261201"}
	for label, want := range head {
		if got := d.head[label]; len(got) != 1 || got[0][0].text != want {
			t.Errorf("%s is %v, want %s", label, got, want)
		}
	}
	want := verification{
		series: "E", number: "1", date: "20261103", text: "Kundbesök i Göteborg", registered: "20261201",
		transactions: []transaction{
			{account: "5800", objects: []string{"1", "010", "6", "P 1"}, amount: "1000.00", text: "Tåg Malmö-Göteborg", quantity: "2.50"},
			{account: "2641", objects: []string{}, amount: "120.00", text: "Tåg Malmö-Göteborg"},
			{account: "6071", objects: []string{"1", "020"}, amount: "400.00", text: "Middag"},
			{account: "2641", objects: []string{}, amount: "100.00", text: "Middag"},
			{account: "0990", objects: []string{}, amount: "80.00", text: "parking"},
			{account: "2890", objects: []string{"7", "0042"}, amount: "-1700.00", text: "Kundbesök i Göteborg"},
		},
	}
	if !reflect.DeepEqual(d.vouchers[0], want) {
		t.Errorf("the first voucher is\n%v, want\n%v", d.vouchers[0], want)
	}
}

func TestDebitsAreThoseOfTheVouchers(t *testing.T) {
	t.Parallel()
	for _, currency := range []string{"SEK", "EUR", "JPY"} {
		books := conformance.Books(currency)
		artifact := conformance.Sample(t, New(), currency, acme)
		held := map[string]bool{}
		for _, hold := range artifact.Held {
			held[hold.ClaimID] = true
		}
		var want, got ledger.Amount
		for _, voucher := range conformance.Readable(conformance.Vouchers(t, books)) {
			if !held[voucher.ClaimID] {
				want += voucher.Debit()
			}
		}
		if currency == "JPY" {
			want *= 100 // the reader counts hundredths
		}
		for _, file := range artifact.Files {
			d := mustRead(t, file.Content)
			if declared := len(d.head["#VALUTA"]) > 0; declared != (currency != "SEK") {
				t.Errorf("%s: #VALUTA is %v", currency, d.head["#VALUTA"])
			}
			for _, v := range d.vouchers {
				got += v.sum(func(a ledger.Amount) bool { return a > 0 })
			}
		}
		if got != want {
			t.Errorf("%s: the debits are %d, want %d", currency, got, want)
		}
	}
}

func TestObjectsAreDeclaredBeforeTheVouchersThatHaveThem(t *testing.T) {
	t.Parallel()
	files := conformance.Sample(t, New(), "SEK", withObjects).Files
	var declared []string
	for _, o := range mustRead(t, files[0].Content).head["#OBJEKT"] {
		declared = append(declared, strings.Join([]string{o[0].text, o[1].text, o[2].text}, "|"))
	}
	if want := []string{"1|010|010", "1|020|020", "7|0042|Test Testsson", "20|Väst|Väst"}; !slices.Equal(declared, want) {
		t.Errorf("declared are %q, want %q", declared, want)
	}
	if len(files) != 2 || files[1].Name != "monthly-29934120-2025.si" || len(mustRead(t, files[1].Content).head["#OBJEKT"]) != 1 {
		t.Errorf("%d files; want one of each year, each with its objects", len(files))
	}
	if len(mustRead(t, conformance.Sample(t, New(), "SEK", acme).Files[0].Content).head["#OBJEKT"]) > 0 {
		t.Error("objects are declared without being asked for")
	}
}

func TestNumbersLeftToTheImporterStayInTheText(t *testing.T) {
	t.Parallel()
	d := mustRead(t, conformance.Sample(t, New(), "SEK", `{"companyName": "A", "numbering": "importer", "series": "UTL"}`).Files[0].Content)
	if v := d.vouchers[1]; v.series != "UTL" || v.number != "" || v.text != "E/2026/2 Återbetalning" {
		t.Errorf("series %q, number %q, text %q", v.series, v.number, v.text)
	}
}

func TestAVoucherThatSIECanNotHaveIsHeld(t *testing.T) {
	t.Parallel()
	messages := map[string]string{}
	for _, hold := range conformance.Sample(t, New(), "SEK", acme).Held {
		messages[hold.ClaimID] = hold.Message
	}
	for claim, words := range map[string]string{
		"claim-cyrillic": "the text of the voucher has the character U+041A",
		"claim-emoji":    "the text of the voucher has the character U+1F35C",
	} {
		if !strings.HasPrefix(messages[claim], words) {
			t.Errorf("%s: %q, want %q…", claim, messages[claim], words)
		}
	}
	if len(messages) != 2 {
		t.Errorf("held %q, want two", messages)
	}
	tests := []struct {
		name  string
		spoil func(*ledger.Voucher)
		want  string
	}{
		{"a date far from the run", func(v *ledger.Voucher) { v.FiscalYear = 2016 }, "the posting date 2026-11-03 is not within 9 fiscal years before"},
		{"a project code that would become another", func(v *ledger.Voucher) { v.Postings[0].Dimensions[1].Value = "Ø1" }, "the dimension project of line 1 has the character U+00D8"},
		{"a quantity that is no number", func(v *ledger.Voucher) { v.Postings[0].Quantity = "NaN" }, "the quantity of line 1 is not a decimal number"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conformance.Holds(t, New(), "SEK", acme, test.spoil, test.want)
		})
	}
}

func TestAVoucherThatDoesNotBalanceEndsTheArtifact(t *testing.T) {
	t.Parallel()
	conformance.RefusesUnbalanced(t, New(), "SEK", acme)
}

func TestBooksThatSIECanNotHaveAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*v1alpha1.ChartOfAccountsSpec)
		want  string
	}{
		{"three decimals", func(b *v1alpha1.ChartOfAccountsSpec) { b.Currency = "KWD" }, "the books are in KWD, which has 3 decimals"},
		{"an account that is no number", func(b *v1alpha1.ChartOfAccountsSpec) { b.Accounts[0].Number = "A1" }, `the chart of accounts has the account "A1"`},
		{"an account name in Cyrillic", func(b *v1alpha1.ChartOfAccountsSpec) { b.Accounts[0].Name = "Я" }, "a name in the chart of accounts has the character U+042F"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conformance.RefusesBooks(t, New(), "SEK", acme, test.spoil, test.want)
		})
	}
}

func TestOptionsThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ options, want string }{
		{``, `companyName: is required`},
		{`{"companyName": " "}`, `companyName: is required`},
		{`{"companyName": "Я"}`, `companyName: has the character U+042F`},
		{`{"companyName": "A", "organisationNumber": "556000-0000"}`, `organisationNumber: is not an option`},
		{`{"companyName": "A", "organizationNumber": "5560000000"}`, `organizationNumber: is not of the form`},
		{`{"companyName": "A", "accountingPlan": "BAS 96"}`, `accountingPlan: is not a type`},
		{`{"companyName": "A", "series": "A-1"}`, `series: is not a few letters or digits`},
		{`{"companyName": "A", "numbering": "none"}`, `numbering: "none" is not one of ["run" "importer"]`},
		{`{"companyName": "A", "fileName": "a\\b"}`, `fileName: has a path separator`},
		{`{"companyName": "A", "dimensions": {"project": 3}}`, `dimensions.project: 3 is not a dimension of SIE`},
		{`{"companyName": "A", "dimensions": {"project": 6, "order": 6}}`, `dimensions.project: has the number of "order"`},
		{`{"companyName": "A", "dimensions": {"project": "6"}}`, `dimensions: is or has a JSON string where a whole number belongs`},
		{`{"companyName": "A", "dimensions": {"проект": 6}}`, `dimensions.проект: has the character U+043F`},
	}
	for _, test := range tests {
		conformance.RefusesOptions(t, New(), test.options, test.want)
	}
}

func BenchmarkWrite(b *testing.B) { conformance.Benchmark(b, New(), []byte(acme)) }

func TestThePageOfTheExporterIsTrue(t *testing.T) {
	t.Parallel()
	content := decode(t, conformance.Sample(t, New(), "SEK", acme).Files[0].Content)
	firstVoucher, _, _ := strings.Cut(strings.ReplaceAll(content, "\r\n", "\n"), "}\n")
	conformance.PageShows(t, "../../docs/exporters/sie.md", firstVoucher+"}\n")
}
