package table

import (
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestCellsOfFixedWidths(t *testing.T) {
	t.Parallel()
	tests := []struct {
		column Column
		want   string
	}{
		{Column{Value: "line.amount", Width: 10}, "  -1000.50"},
		{Column{Value: "line.amount", Width: 10, Align: Left}, "-1000.50  "},
		{Column{Value: "line.amount", Width: 10, Pad: "0"}, "-001000.50"},
		{Column{Value: "abs(line.amount)", Width: 10, Pad: "0"}, "0001000.50"},
		{Column{Value: "voucher.number", Width: 3, Pad: "0"}, "007"},
		{Column{Value: "voucher.number", Width: 3}, "  7"},
		{Column{Value: "voucher.date", Width: 12}, "2026-11-03  "},
		{Column{Value: "voucher.date", Width: 12, Align: Right}, "  2026-11-03"},
		{Column{Value: "line.debit", Width: 4, Pad: "0"}, "0000"},
		{Column{Value: "line.kind == 'Tax'", Width: 6}, "false "},
		{Column{Value: "line.account", Width: 6, Align: Right, Pad: "0"}, "005800"},
		{Column{Value: "line.text", Width: 5}, "Tåg M"},
		{Column{Value: "line.text", Width: 12}, "Tåg Malmö   "},
		{Column{Value: "line.account", Width: 3}, "! is longer than the width 3 of the column; widen it, or cut the text by left(…, 3)"},
		{Column{Value: "line.amount", Width: 7}, "! is longer than the width 7 of the column; widen it, or cut the text by left(…, 7)"},
	}
	batch := conformance.Batch(conformance.Books("SEK"), nil)
	voucher := &ledger.Voucher{
		Number: 7, PostingDate: time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC), Currency: parseCurrency(t, "SEK"), BaseCurrency: parseCurrency(t, "SEK"),
		Postings: []ledger.Posting{{Kind: ledger.ExpensePosting, Account: "5800", Amount: -100050, BaseAmount: -100050, Text: "Tåg Malmö"}},
	}
	for _, test := range tests {
		columns, err := compileColumns([]Column{test.column})
		if err != nil {
			t.Fatal(err)
		}
		r := &row{batch: &batch, voucher: voucher, posting: &voucher.Postings[0], mark: '.'}
		got, err := columns[0].appendCell(t.Context(), nil, r, newFormat(layout(func(l *Layout) { l.Format = Fixed })))
		if err != nil {
			got = []byte("! " + err.Error())
		}
		if string(got) != test.want {
			t.Errorf("%+v returns %q, want %q", test.column, got, test.want)
		}
	}
}

func TestPeriodAndReversalAreVariables(t *testing.T) {
	t.Parallel()
	batch := conformance.Batch(conformance.Books("SEK"), nil)
	year, err := ledger.ParseFiscalYearStart("05-01")
	if err != nil {
		t.Fatal(err)
	}
	voucher := &ledger.Voucher{FiscalYear: 2026, PostingDate: time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC), Reverses: "E/2026/3", Postings: []ledger.Posting{{}}}
	for value, want := range map[string]string{"voucher.period": "7", "voucher.reverses": "E/2026/3"} {
		columns, err := compileColumns([]Column{{Value: value}})
		if err != nil {
			t.Fatal(err)
		}
		r := &row{batch: &batch, voucher: voucher, posting: &voucher.Postings[0], mark: '.', year: year}
		if got, err := columns[0].appendCell(t.Context(), nil, r, newCells(layout(nil))); err != nil || string(got) != want {
			t.Errorf("%s is %q (%v), want %q", value, got, err, want)
		}
	}
}
