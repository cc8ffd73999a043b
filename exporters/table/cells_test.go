package table

import (
	"bytes"
	gocsv "encoding/csv"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestTextsThatASpreadsheetWouldRunAreGuarded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"=1+1": "'=1+1", "+47 22": "'+47 22", "-1+1": "'-1+1", "@SUM": "'@SUM", "\tx": "'\tx", "\rx": "\"'\rx\"",
		"": "", "a=1": "a=1", "'x": "'x", "0012": "0012", "-": "'-", "--1": "'--1",
		"-12": "-12", "-12.50": "-12.50", "-12,50": `"'-12,50"`, "-1.2.3": "'-1.2.3", "-1.": "'-1.",
	} {
		got, err := newCells(layout(nil)).text(nil, &compiledColumn{}, text)
		if err != nil || string(got) != want {
			t.Errorf("%q becomes %q (%v), want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"\uff1d1+1": "'=1+1", "\u200b=1+1": "'=1+1", "\ufeff@SUM": "'@SUM", "\u22121+1": "'-1+1", "\uff0b47": "'+47",
	} {
		got, err := newCells(layout(func(l *Layout) { l.Encoding, l.Transliterate = "windows-1252", true })).text(nil, &compiledColumn{}, text)
		if err != nil || string(got) != want {
			t.Errorf("transliterated, %q becomes %q (%v), want %q", text, got, err, want)
		}
	}
	if got, err := newCells(layout(nil)).text(nil, &compiledColumn{}, "\uff1d1+1"); err != nil || string(got) != "'\uff1d1+1" {
		t.Errorf("an equals sign of full width becomes %q (%v)", got, err)
	}
	unguarded, _ := newCells(layout(func(l *Layout) { l.FormulaGuard = false })).text(nil, &compiledColumn{}, "=1+1")
	if string(unguarded) != "=1+1" {
		t.Errorf("without the guard =1+1 becomes %q", unguarded)
	}
}

func TestExpressionsOfColumns(t *testing.T) {
	t.Parallel()
	tests := []struct{ value, want string }{
		{"voucher.id", "E/2026/7"},
		{"voucher.number", "7"},
		{"voucher.fiscal_year", "2026"},
		{"voucher.date", "2026-11-03"},
		{"voucher.approved_at", "2026-11-03T23:30:00+01:00"},
		{"voucher.approved_by", "0007"},
		{"batch.cutoff", "2026-11-30T23:00:00+01:00"},
		{"batch.run_id", "0b8f7d5e-6f3a-4f0e-9a53-0e4c1d2b3a49"},
		{"date(voucher.date, 'DD.MM.YYYY')", "03.11.2026"},
		{"date(voucher.date, 'DDMM')", "0311"},
		{"date(voucher.approved_at, 'YYMMDD hh:mm:ss')", "261103 23:30:00"},
		{"date('', 'YYYY')", ""},
		{"date(line.expense_date, 'YYYY/MM')", "2026/11"},
		{"line.amount", "-1000,50"},
		{"-line.amount", "1000,50"},
		{"abs(line.amount)", "1000,50"},
		{"-abs(line.amount)", "-1000,50"},
		{"-line.tax_amount", "0,00"},
		{"string(line.amount) + ' ' + voucher.currency", "'-1000,50 SEK"},
		{"sign(line.amount)", "-1"},
		{"sign(line.tax_amount)", "0"},
		{"sign(line.amount) < 0 ? 'K' : 'D'", "K"},
		{"line.gross_amount == line.amount", "true"},
		{"line.amount == line.credit", "false"},
		{"line.debit", ""},
		{"-line.debit", ""},
		{"line.credit", "1000,50"},
		{"line.tax_rate", "12,5"},
		{"line.quantity", "-2,250"},
		{"line.number", "4"},
		{"line.dimensions['costCenter']", "010"},
		{"line.dimensions.project", "P 1"},
		{"line.dimensions['other']", ""},
		{"line.dimensions['costCenter'] + line.dimensions['other']", "010"},
		{"'project' in line.dimensions", "true"},
		{"left(line.text, 3)", "Tåg"},
		{"left(line.text, 300)", "Tåg Malmö"},
		{"left(line.text, 0)", ""},
		{"left(line.text, -1)", ""},
		{"right(line.text, 4)", "almö"},
		{"right(line.text, 1)", "ö"},
		{"right(line.text, 300)", "Tåg Malmö"},
		{"right(line.text, -1)", ""},
		{"line.text.upperAscii().replace(' ', '-')", "TåG-MALMö"},
		{"line.kind == 'Offset' ? voucher.claimant_iban : ''", ""},
		{"line.item_id", ""}, // of what has no subledger
	}
	batch := conformance.Batch(conformance.Books("SEK"), nil)
	voucher := &ledger.Voucher{
		Series: "E", FiscalYear: 2026, Number: 7, PostingDate: time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC),
		ApprovedAt: time.Date(2026, 11, 3, 22, 30, 0, 0, time.UTC), ApprovedBy: "0007", ClaimantIBAN: "SE4550000000058398257466",
		Currency: parseCurrency(t, "SEK"), BaseCurrency: parseCurrency(t, "SEK"),
		Postings: []ledger.Posting{{
			Kind: ledger.ExpensePosting, Amount: -100050, BaseAmount: -100050, Text: "Tåg Malmö", TaxRate: "12.5", Quantity: "-2.250",
			LineNumber: 4, ExpenseDate: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC),
			Dimensions: []ledger.Dimension{{Name: "costCenter", Value: "010"}, {Name: "project", Value: "P 1"}},
		}},
	}
	cells := newCells(layout(func(l *Layout) { l.DecimalMark, l.Delimiter = ",", ";" }))
	for _, test := range tests {
		columns, err := compileColumns([]Column{{Value: test.value}})
		if err != nil {
			t.Errorf("%s: %v", test.value, err)
			continue
		}
		r := &row{batch: &batch, voucher: voucher, posting: &voucher.Postings[0], mark: ','}
		got, err := columns[0].appendCell(t.Context(), nil, r, cells)
		if err != nil || string(got) != test.want {
			t.Errorf("%s returned %q (%v), want %q", test.value, got, err, test.want)
		}
		// The shortcut for a variable and CEL must agree.
		columns[0].variable = nil
		again, err := columns[0].appendCell(t.Context(), nil, r, cells)
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s: CEL returns %q (%v), the shortcut %q", test.value, again, err, got)
		}
	}
}

func TestOnlyColumnsOfLinesAreWrittenPerLine(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"voucher.text": false, "batch.run + voucher.id": false, "'x'": false, "line.text": true,
		"line.dimensions['a']": true, "voucher.text + line.dimensions.a": true, "[1].exists(x, x == line.number)": true,
	} {
		columns, err := compileColumns([]Column{{Value: value}})
		if err != nil || columns[0].perLine != want {
			t.Errorf("%s: per line %t (%v), want %t", value, columns[0].perLine, err, want)
		}
	}
}

// What encoding/csv reads is what was written, whatever the texts and the options that concern quoting.
func TestCellsSurviveTheFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := layout(func(l *Layout) {
			l.Delimiter, l.FormulaGuard = rapid.SampledFrom([]string{",", ";", "|", "\t", ":", "^", "~"}).Draw(t, "delimiter"), false
			l.QuoteAlways = rapid.Bool().Draw(t, "always")
		})
		texts := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.StringMatching(`[ ",;|\t\n=@a-zåø'-]*`)), 2, 6).Draw(t, "texts")
		survive(t, l, texts)
	})
}

func FuzzCellsSurviveTheFile(f *testing.F) {
	f.Add("a", "", `"`)
	f.Add(" ", "\n", ",")
	f.Add("=1", "å\u0301", "\xff")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for _, always := range []bool{false, true} {
			survive(t, layout(func(l *Layout) { l.QuoteAlways, l.FormulaGuard = always, false }), []string{a, b, c})
		}
	})
}

func survive(t interface{ Fatalf(string, ...any) }, l *Layout, texts []string) {
	cells := newCells(l)
	var line []byte
	for i, text := range texts {
		texts[i] = strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\r", "") // encoding/csv drops a CR before an LF
		if i > 0 {
			line = append(line, cells.delimiter)
		}
		line, _ = cells.appendText(line, texts[i])
	}
	reader := gocsv.NewReader(bytes.NewReader(append(line, "\r\n"...)))
	reader.Comma = rune(l.Delimiter[0])
	read, err := reader.Read()
	if err != nil || !slices.Equal(read, texts) {
		t.Fatalf("%q is written as %q and read as %q (%v)", texts, line, read, err)
	}
}

func TestEveryCharacterOfAnEncodingIsWrittenInIt(t *testing.T) {
	t.Parallel()
	for encoding, table := range map[string]*charmap.Charmap{"windows-1252": charmap.Windows1252, "iso-8859-1": charmap.ISO8859_1, "iso-8859-15": charmap.ISO8859_15} {
		cells := newCells(layout(func(l *Layout) { l.Encoding = encoding }))
		for b := 0xa0; b <= 0xff; b++ {
			text := string(table.DecodeByte(byte(b)))
			if got, err := cells.appendText(nil, text); err != nil || !bytes.Equal(got, []byte{byte(b)}) {
				t.Errorf("%s: %q becomes % x (%v), want %x", encoding, text, got, err, b)
			}
		}
	}
	composed, err := newCells(layout(func(l *Layout) { l.Encoding = "windows-1252" })).appendText(nil, "“A\u030are”, e\u0301")
	if want, _ := charmap.Windows1252.NewEncoder().String("“Åre”, é"); err != nil || string(composed) != `"`+want+`"` {
		t.Errorf("letters with accents of their own become %q (%v)", composed, err)
	}
}

// layout is that of a comma-separated file, changed.
func layout(change func(*Layout)) *Layout {
	l := &Layout{Format: Delimited, Delimiter: ",", DecimalMark: ".", Encoding: UTF8, Newline: "\r\n", FormulaGuard: true}
	if change != nil {
		change(l)
	}
	return l
}

func parseCurrency(t *testing.T, code string) ledger.Currency {
	t.Helper()
	currency, err := ledger.ParseCurrency(code)
	if err != nil {
		t.Fatal(err)
	}
	return currency
}
