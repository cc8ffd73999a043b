package csv

import (
	"bytes"
	"cmp"
	gocsv "encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/exporters/table"
	"github.com/ledgerport/ledgerport/ledger"
)

var update = flag.Bool("update", false, "write the golden files")

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("default", func(t *testing.T) { conformance.Test(t, New(), nil, conformance.ReadBack(readDefault)) })
	for name, options := range map[string]string{
		"UTF-8 with a mark":            `{"encoding": "utf-8-bom", "quote": "always", "delimiter": ";", "decimalMark": ","}`,
		"UTF-16 with tabs":             `{"encoding": "utf-16le", "delimiter": "\t"}`,
		"Windows-1252 with line feeds": `{"encoding": "windows-1252", "lineEnding": "lf"}`,
		"Latin 9 without a guard":      `{"encoding": "iso-8859-15", "formulaGuard": false, "transliterate": true}`,
		"fixed widths":                 fixed,
		"rows of lines":                lines,
		"a column of an expression":    `{"header": false, "columns": [{"value": "left(line.text, 30) + date(voucher.date, 'YYMMDD')"}]}`,
	} {
		t.Run(name, func(t *testing.T) { conformance.Test(t, New(), []byte(options)) })
	}
	for name, options := range map[string]string{
		"receipts of vouchers":           `{"columns": [{"name": "voucher", "value": "voucher.id"}, {"name": "receipts", "value": "voucher.receipts"}]}`,
		"receipts of lines and vouchers": `{"delimiter": ";", "quote": "always", "columns": [{"name": "line", "value": "line.receipts"}, {"name": "all", "value": "voucher.receipts"}]}`,
	} {
		t.Run(name, func(t *testing.T) { conformance.TestReceipts(t, New(), []byte(options), conformance.NamesReceipts()) })
	}
}

func TestMemory(t *testing.T) { conformance.TestMemory(t, New(), nil) }

// TestBounds has as many columns as options have room for, with as much of a voucher as each format can have.
func TestBounds(t *testing.T) {
	for name, test := range map[string]struct{ options, column string }{
		"widest":   {`"format": "fixed", `, `{"name":"a","value":"line.category","width":10000},`},
		"constant": {`"header": false, `, `{"value":"('x'+batch.run).replace('x', ['a', 'b'].join('c'))"},`},
	} {
		t.Run(name, func(t *testing.T) {
			columns := strings.Repeat(test.column, (exporters.MaxOptionsSize-100)/len(test.column))
			conformance.TestBounds(t, New(), `{`+test.options+`"columns": [`+strings.TrimSuffix(columns, ",")+`]}`)
		})
	}
}

func FuzzOptions(f *testing.F) {
	conformance.FuzzOptions(f, New(), `{"columns": [{"name": "a", "value": "date(voucher.date, 'YYYY')"}]}`, `{"delimiter": "\t", "encoding": "utf-16le"}`)
}

func FuzzTexts(f *testing.F) {
	conformance.FuzzTexts(f, New(), nil, conformance.ReadBack(readDefault))
}

// FuzzColumns compiles and evaluates expressions over every posting.
func FuzzColumns(f *testing.F) {
	for _, seed := range []string{"voucher.id", "left(line.text, 30)", "100 / (line.number - 1)", "line.dimensions['a'] + string(line.amount)", "-line.quantity"} {
		f.Add(seed)
	}
	books := conformance.Books("SEK")
	vouchers := conformance.Readable(conformance.Vouchers(f, books))
	f.Fuzz(func(t *testing.T, expression string) {
		options, err := json.Marshal(map[string]any{"columns": []map[string]string{{"name": "a", "value": expression}}})
		if err != nil {
			t.Fatal(err)
		}
		var refused *exporters.OptionError
		if _, err := conformance.Render(t.Context(), New(), conformance.Batch(books, options), vouchers); err != nil && !errors.As(err, &refused) {
			t.Errorf("%q: %v", expression, err)
		}
	})
}

// readDefault reads the default columns, in the books' currency.
func readDefault(files []conformance.File) ([]conformance.Found, error) {
	rows, err := gocsv.NewReader(bytes.NewReader(files[0].Content)).ReadAll()
	if err != nil {
		return nil, err
	}
	var found []conformance.Found
	last := ""
	for _, row := range rows[1:] {
		if row[0] != last {
			found, last = append(found, conformance.Found{Currency: row[8]}), row[0]
		}
		currency, err := ledger.ParseCurrency(row[8])
		if err != nil {
			return nil, err
		}
		amount, err := ledger.ParseAmount(cmp.Or(row[9], "-"+row[10]), currency)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", row, err)
		}
		voucher := &found[len(found)-1]
		voucher.Amounts = append(voucher.Amounts, amount)
		if row[2] == "2890" { // the offset account of conformance.Books
			voucher.Owed -= amount
		}
	}
	return found, nil
}

// What the page shows of fixed widths and JSON Lines.
const (
	fixed = `{"format": "fixed", "header": false, "encoding": "windows-1252", "transliterate": true, "columns": [
		{"value": "voucher.number", "width": 8, "pad": "0"}, {"value": "date(voucher.date, 'YYYYMMDD')", "width": 8}, {"value": "line.account", "width": 6},
		{"value": "line.base_amount", "width": 18, "pad": "0"}, {"value": "line.tax_code", "width": 3, "align": "right"}, {"value": "line.text", "width": 20}]}`
	lines = `{"format": "jsonl", "columns": [{"name": "voucher", "value": "voucher.id"}, {"name": "line", "value": "line.number"},
		{"name": "account", "value": "line.account"}, {"name": "amount", "value": "line.base_amount"}, {"name": "tax", "value": "line.kind == 'Tax'"},
		{"name": "cost_center", "value": "line.dimensions['costCenter']"}, {"name": "text", "value": "line.text", "width": 40}]}`
)

// golden cases are also what docs/exporters/csv.md shows.
func TestFilesAreAsReviewed(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, options string }{
		{"default.csv", ``},
		{"widths.txt", fixed},
		{"lines.jsonl", lines},
		{"german.csv", `{
			"delimiter": ";", "decimalMark": ",", "encoding": "windows-1252", "fileName": "Buchungen.csv",
			"columns": [
				{"name": "Belegnummer", "value": "voucher.number"},
				{"name": "Belegdatum", "value": "date(voucher.date, 'DD.MM.YYYY')"},
				{"name": "Konto", "value": "line.account"},
				{"name": "Betrag", "value": "abs(line.base_amount)"},
				{"name": "Soll/Haben", "value": "sign(line.base_amount) < 0 ? 'H' : 'S'"},
				{"name": "Steuersatz", "value": "line.tax_rate"},
				{"name": "Kostenstelle", "value": "line.dimensions['costCenter']"},
				{"name": "Buchungstext", "value": "left(line.text, 60)"},
				{"name": "Mitarbeiter", "value": "line.kind == 'Offset' ? voucher.claimant_name : ''"}
			]}`},
		{"quoted.csv", `{"header": false, "quote": "always", "lineEnding": "lf", "columns": [
				{"value": "'EXP'"}, {"value": "batch.run"}, {"value": "voucher.series + string(voucher.number)"}, {"value": "voucher.approved_at"},
				{"value": "-line.amount"}, {"value": "voucher.currency"}, {"value": "line.quantity"}, {"value": "line.number"}, {"value": "line.kind == 'Tax'"}
			]}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file := render(t, test.options)
			golden := filepath.Join("testdata", test.name)
			conformance.Golden(t, golden, file.Content, *update)
		})
	}
}

func TestNameAndMediaTypeFollowTheOptions(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]string{
		``:                             "monthly-29934120.csv text/csv; charset=utf-8; header=present",
		`{"encoding": "utf-8-bom"}`:    "monthly-29934120.csv text/csv; charset=utf-8; header=present",
		`{"encoding": "windows-1252"}`: "monthly-29934120.csv text/csv; charset=windows-1252; header=present",
		fixed:                          "monthly-29934120.txt text/plain; charset=windows-1252",
		lines:                          "monthly-29934120.jsonl application/jsonl; charset=utf-8",
		`{"fileName": "gl.txt", "header": false, "encoding": "utf-16le"}`: "gl.txt text/csv; charset=utf-16le; header=absent",
	} {
		if file := render(t, options); file.Name+" "+file.MediaType != want {
			t.Errorf("%s: %s %s, want %s", options, file.Name, file.MediaType, want)
		}
	}
}

func TestDebitAndCreditAreEqualInEveryVoucher(t *testing.T) {
	t.Parallel()
	for _, currency := range []string{"SEK", "JPY", "KWD"} {
		books := conformance.Books(currency)
		batch := conformance.Batch(books, []byte(`{"columns": [{"name": "v", "value": "voucher.id"}, {"name": "c", "value": "voucher.currency"},
			{"name": "d", "value": "line.debit"}, {"name": "k", "value": "line.credit"},
			{"name": "bd", "value": "line.base_debit"}, {"name": "bk", "value": "line.base_credit"}]}`))
		vouchers := conformance.Vouchers(t, books)
		artifact, err := conformance.Render(t.Context(), New(), batch, vouchers)
		if err != nil || len(artifact.Held) > 0 {
			t.Fatal(err, artifact.Held)
		}
		sums, rows := map[string]ledger.Amount{}, 0
		for _, record := range records(t, artifact.Files[0].Content, ',')[1:] {
			own, base := parseCurrency(t, record[1]), parseCurrency(t, currency)
			sums[record[0]] += amount(t, record[2], own) - amount(t, record[3], own)
			sums["base "+record[0]] += amount(t, record[4], base) - amount(t, record[5], base)
			rows++
		}
		postings := 0
		for _, voucher := range vouchers {
			postings += len(voucher.Postings)
		}
		if rows != postings || len(sums) != 2*len(vouchers) {
			t.Errorf("%s: %d rows of %d vouchers, want %d of %d", currency, rows, len(sums)/2, postings, len(vouchers))
		}
		for id, sum := range sums {
			if sum != 0 {
				t.Errorf("%s: %s differs by %d", currency, id, sum)
			}
		}
	}
}

func TestUTF16SaysTheSameAsUTF8(t *testing.T) {
	t.Parallel()
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Bytes(render(t, `{"encoding": "utf-16le"}`).Content)
	if err != nil || !bytes.Equal(wide, render(t, ``).Content) {
		t.Errorf("the texts differ (%v)", err)
	}
	if marked := render(t, `{"encoding": "utf-8-bom"}`).Content; !bytes.Equal(marked, append([]byte("\xef\xbb\xbf"), render(t, ``).Content...)) {
		t.Error("utf-8-bom is not a byte order mark and UTF-8")
	}
}

func TestRowsOfFixedWidthsAreAsLongAsEachOther(t *testing.T) {
	t.Parallel()
	utf := strings.Replace(fixed, "windows-1252", "utf-8", 1)
	for options, length := range map[string]func(string) int{fixed: func(s string) int { return len(s) }, utf: utf8.RuneCountInString} {
		rows := strings.Split(strings.TrimSuffix(string(render(t, options).Content), "\r\n"), "\r\n")
		for i, row := range rows {
			if length(row) != 63 || len(rows) < 20 {
				t.Errorf("row %d of %d has %d characters: %q", i+1, len(rows), length(row), row)
			}
		}
	}
}

func TestEachJSONLineIsAnObjectWithExactDecimals(t *testing.T) {
	t.Parallel()
	type object struct {
		Voucher, Account, Amount string
		Line                     int
		Tax                      bool
		CostCenter               *string `json:"cost_center"`
		Text                     string
	}
	decoder := json.NewDecoder(bytes.NewReader(render(t, lines).Content))
	decoder.DisallowUnknownFields()
	sums, rows := map[string]ledger.Amount{}, 0
	for ; decoder.More(); rows++ {
		var o object
		if err := decoder.Decode(&o); err != nil {
			t.Fatal(err)
		}
		sums[o.Voucher] += amount(t, o.Amount, parseCurrency(t, "SEK"))
		if rows == 1 && (o != object{Voucher: "E/2026/1", Line: 1, Account: "2641", Amount: "120.00", Tax: true, Text: "Tåg Malmö–Göteborg"}) {
			t.Errorf("the second is %+v", o)
		}
	}
	for id, sum := range sums {
		if sum != 0 || rows < 20 {
			t.Errorf("%s of %d rows differs by %d", id, rows, sum)
		}
	}
}

func TestWhatTheEncodingLacksIsReplacedWhereTheOptionsSaySo(t *testing.T) {
	t.Parallel()
	content := render(t, `{"encoding": "windows-1252", "transliterate": true}`).Content
	if !bytes.Contains(content, []byte("Lukasz Zaz\xf3lc: \x93Gesla jazn\x94")) {
		t.Errorf("there is no text without Polish letters in\n%s", content)
	}
}

func TestAVoucherThatCanNotBeWrittenIsHeld(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, options string
		reason        ledger.HoldReason
		held          map[string]string // claim → words of its message
	}{
		{"the encoding lacks a character", `{"encoding": "windows-1252"}`, ledger.HoldUnsupportedByFormat, map[string]string{
			"claim-latin":    `the column "text" of the Offset posting has the character U+0141, which windows-1252 lacks`,
			"claim-cyrillic": `the column "text" of the Expense posting of line 1 has the character U+041C`,
			"claim-emoji":    "U+65E5",
		}},
		{"a code is wider than its column", `{"columns": [{"name": "a", "value": "voucher.claim_id", "width": 12}]}`, ledger.HoldUnsupportedByFormat, map[string]string{
			"claim-ordinary": `the column "a" of the voucher is longer than the width 12 of the column; widen it, or cut the text by left(…, 12)`,
		}},
		{"an amount is wider than its column", `{"format": "fixed", "header": false, "columns": [{"value": "line.base_amount", "width": 9}]}`, ledger.HoldUnsupportedByFormat, map[string]string{
			"claim-large": `the column "number 1" of the Expense posting of line 1 is longer than the width 9`,
		}},
		{"an expression fails for a posting", `{"columns": [{"name": "n", "value": "100 / (line.number - 100)"}]}`, ledger.HoldExpressionFailed, map[string]string{
			"claim-many": `the column "n" cannot be evaluated for the Expense posting of line 100: 1:5: division by zero`,
		}},
		{"an expression fails for a whole voucher", `{"header": false, "columns": [{"value": "date(voucher.text, 'YYYY')"}]}`, ledger.HoldExpressionFailed, map[string]string{
			"claim-many": `the column "number 1" cannot be evaluated for the voucher: 1:5: a function refused its argument`,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			books := conformance.Books("SEK")
			artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(test.options)), conformance.Vouchers(t, books))
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, hold := range artifact.Held {
				if hold.Reason != test.reason {
					t.Errorf("%s is held for %s", hold.ClaimID, hold.Reason)
				}
				if words, ok := test.held[hold.ClaimID]; ok && strings.Contains(hold.Message, words) {
					found++
				}
			}
			if found != len(test.held) {
				t.Errorf("held %v, want %v among them", artifact.Held, test.held)
			}
		})
	}
}

func TestOptionsThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ options, want string }{
		{`{"delimeter": ";"}`, `delimeter: is not an option of this exporter`},
		{`{"Delimiter": ";"}`, `Delimiter: is not an option of this exporter; options are case-sensitive`},
		{`{"delimiter": ";", "delimiter": ","}`, `delimiter: occurs twice`},
		{`{"delimiter": ""}`, `delimiter: "" is not one of`},
		{`{"delimiter": ";;"}`, `delimiter: ";;" is not one of`},
		{`{"delimiter": "5"}`, `delimiter: "5" is not one of`},
		{`{"delimiter": 5}`, `delimiter: is or has a JSON number where a string belongs`},
		{`{"header": "no"}`, `header: is or has a JSON string where a boolean belongs`},
		{`{"decimalMark": "'"}`, `decimalMark: "'" is not one of ["." ","]`},
		{`{"encoding": "latin1"}`, `encoding: "latin1" is not one of ["utf-8" "utf-8-bom" "windows-1252"`},
		{`{"quote": "never"}`, `quote: "never" is not one of`},
		{`{"lineEnding": "cr"}`, `lineEnding: "cr" is not one of ["crlf" "lf"]`},
		{`{"fileName": "../gl.csv"}`, `fileName: begins with a dot`},
		{`{"fileName": "a/gl.csv"}`, `fileName: has a path separator`},
		{`{"fileName": "manifest.json"}`, `fileName: is the name of the manifest`},
		{`{"columns": []}`, `columns: is empty`},
		{`{"format": "xml"}`, `format: "xml" is not one of ["delimited" "fixed" "jsonl"]`},
		{`{"format": "fixed"}`, `columns[0].width: is required in a file of fixed widths`},
		{`{"format": "jsonl", "encoding": "utf-16le"}`, `encoding: "utf-16le" is not utf-8, as JSON always is`},
		{`{"format": "jsonl", "columns": [{"name": "a", "value": "'x'"}, {"name": "a", "value": "'y'"}]}`, `columns[1].name: is that of another column`},
		{`{"columns": [{"name": "a", "value": "'x'", "pad": "ab"}]}`, `columns[0].pad: "ab" is not one printable character`},
		{`{"columns": [{"name": "a", "value": "'x'", "align": "middle"}]}`, `columns[0].align: "middle" is not one of ["left" "right"]`},
		{`{"columns": {}}`, `columns: is or has a JSON object where a list belongs`},
		{`{"columns": [{"name": "a", "value": "line.account"}, {"value": "line.account"}]}`, `columns[1].name: is empty`},
		{`{"columns": [{"name": "ł", "value": "line.account"}], "encoding": "iso-8859-1"}`, `columns[0].name: has the character U+0142, which iso-8859-1 lacks`},
		{`{"columns": [{"name": "a", "valu": "line.account"}]}`, `columns[0].valu: is not an option`},
		{`{"columns": [{"name": "a"}]}`, `columns[0].value: is required`},
		{`{"columns": [{"name": "a", "value": "line.account"}, {"name": "b", "value": "line.colour"}]}`, `columns[1].value: the expression does not compile: 1:`},
		{`{"columns": [{"name": "a", "value": "line.amount + 1"}]}`, `columns[0].value: the expression does not compile: 1:13`},
		{`{"columns": [{"name": "a", "value": "[line.text]"}]}`, `columns[0].value: the expression returns a value of type list(string)`},
		{`{"columns": [{"name": "a", "value": "date(voucher.date, 'dd.mm.yyyy')"}]}`, `columns[0].value: the expression does not compile: 1:20: a date pattern is made of`},
		{`[]`, `the options are a JSON array, not an object`},
		{`{`, `the options are not JSON`},
		{`{"fileName": "` + strings.Repeat("x", exporters.MaxOptionsSize) + `"}`, `the options have`},
	}
	for _, test := range tests {
		conformance.RefusesOptions(t, New(), test.options, test.want)
	}
}

// render makes the file of the readable vouchers of the suite.
func render(t *testing.T, options string) conformance.File {
	t.Helper()
	files := conformance.Sample(t, New(), "SEK", options).Files
	if len(files) != 1 {
		t.Fatalf("%d files", len(files))
	}
	return files[0]
}

func records(t *testing.T, content []byte, delimiter rune) [][]string {
	t.Helper()
	reader := gocsv.NewReader(bytes.NewReader(content))
	reader.Comma = delimiter
	all, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func parseCurrency(t *testing.T, code string) ledger.Currency {
	t.Helper()
	currency, err := ledger.ParseCurrency(code)
	if err != nil {
		t.Fatal(err)
	}
	return currency
}

// amount reads a cell that may be empty.
func amount(t *testing.T, cell string, currency ledger.Currency) ledger.Amount {
	t.Helper()
	if cell == "" {
		return 0
	}
	a, err := ledger.ParseAmount(cell, currency)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func BenchmarkWrite(b *testing.B) {
	for name, options := range map[string]string{
		"default": ``,
		"windows": `{"encoding": "windows-1252", "quote": "always", "delimiter": ";", "decimalMark": ","}`,
		"utf-16":  `{"encoding": "utf-16le"}`,
		"cel": `{"columns": [{"name": "d", "value": "date(voucher.date, 'YYYYMMDD')"}, {"name": "k", "value": "line.account"},
			{"name": "a", "value": "abs(line.amount)"}, {"name": "s", "value": "sign(line.amount) < 0 ? 'C' : 'D'"},
			{"name": "c", "value": "line.dimensions['costCenter']"}, {"name": "t", "value": "left(line.text, 30)"}]}`,
	} {
		b.Run(name, func(b *testing.B) { conformance.Benchmark(b, New(), []byte(options)) })
	}
}

func TestThePageOfTheExporterIsTrue(t *testing.T) {
	t.Parallel()
	const page = "../../docs/exporters/csv.md"
	for _, name := range table.VariableNames() {
		conformance.PageShows(t, page, "`"+name+"`")
	}
	for golden, lines := range map[string]int{"default.csv": 3, "german.csv": 7, "widths.txt": 3, "lines.jsonl": 2} {
		file, err := os.ReadFile(filepath.Join("testdata", golden))
		if err != nil {
			t.Fatal(err)
		}
		if golden == "german.csv" || golden == "widths.txt" {
			if file, err = charmap.Windows1252.NewDecoder().Bytes(file); err != nil {
				t.Fatal(err)
			}
		}
		conformance.PageShows(t, page, strings.Join(strings.Split(strings.ReplaceAll(string(file), "\r\n", "\n"), "\n")[:lines], "\n"))
	}
}
