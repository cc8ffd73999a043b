package csv

import (
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/table"
)

// options of the exporter. docs/exporters/csv.md has a table of them, made by make generate.
type options struct {
	// The columns, in order.
	Columns []column `json:"columns" absent:"below"`
	// `delimited`; `fixed`: columns of fixed widths, without delimiters; `jsonl`: JSON Lines, an object for each row.
	Format string `json:"format" default:"delimited"`
	// One of `,` `;` `|` `:` `^` `~` and tab.
	Delimiter string `json:"delimiter" default:","`
	// `.` or `,`
	DecimalMark string `json:"decimalMark" default:"."`
	// `utf-8`, `utf-8-bom` (Excel recognises it), `windows-1252`, `iso-8859-1`, `iso-8859-15`, `utf-16le` (with byte order
	// mark)
	Encoding string `json:"encoding" default:"utf-8"`
	// What the encoding lacks is [replaced](characters.md); else the claim is held.
	Transliterate bool `json:"transliterate"`
	// The first row has the columns' names. `jsonl` has them in every row.
	Header bool `json:"header" default:"true"`
	// `crlf` (RFC 4180) or `lf`
	LineEnding string `json:"lineEnding" default:"crlf" choices:"crlf|lf"`
	// `minimal`: only cells that need it; `always`: every cell
	Quote string `json:"quote" default:"minimal" choices:"minimal|always"`
	// See below.
	FormulaGuard bool `json:"formulaGuard" default:"true"`
	// A name without a path.
	FileName string `json:"fileName" absent:"<run>.csv, .txt or .jsonl" fileName:"true"`
}

// column is one column.
type column struct {
	// What the header calls it. Required where there is a header.
	Name string `json:"name"`
	// A CEL expression that returns a string, int, bool, timestamp or decimal.
	Value string `json:"value" required:"true"`
	// Characters of a cell: exactly these in `fixed`, at most these in other formats. What is longer is cut if it is a text
	// to read (`line.text`, `voucher.text`, `line.account_name`, `voucher.claimant_name`), else the claim is held.
	Width int `json:"width"`
	// `left` or `right`, in `fixed`; without it numbers are right and all else left.
	Align string `json:"align"`
	// Character that fills a cell, in `fixed`; without it a space.
	Pad string `json:"pad"`
}

// defaultColumns are enough for a spreadsheet and for most generic imports.
var defaultColumns = []column{
	{Name: "voucher", Value: "voucher.id"},
	{Name: "date", Value: "voucher.date"},
	{Name: "account", Value: "line.account"},
	{Name: "account_name", Value: "line.account_name"},
	{Name: "text", Value: "line.text"},
	{Name: "currency", Value: "voucher.currency"},
	{Name: "debit", Value: "line.debit"},
	{Name: "credit", Value: "line.credit"},
	{Name: "base_currency", Value: "voucher.base_currency"},
	{Name: "base_debit", Value: "line.base_debit"},
	{Name: "base_credit", Value: "line.base_credit"},
	{Name: "tax_code", Value: "line.tax_code"},
	{Name: "subledger", Value: "line.subledger"},
	{Name: "claim", Value: "voucher.claim_id"},
}

var lineEndings = map[string]string{"crlf": "\r\n", "lf": "\n"}

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	return o, exporters.DecodeOptions(raw, o)
}

// Check implements exporters.Checked, and completes the columns.
func (o *options) Check() error {
	if o.Columns == nil {
		o.Columns = defaultColumns
	}
	return o.layout().Check()
}

// layout of the file.
func (o *options) layout() *table.Layout {
	columns := make([]table.Column, len(o.Columns))
	for i, c := range o.Columns {
		columns[i] = table.Column(c)
	}
	return &table.Layout{
		Format: o.Format, Columns: columns, Delimiter: o.Delimiter, DecimalMark: o.DecimalMark, Encoding: o.Encoding,
		Transliterate: o.Transliterate, Newline: lineEndings[o.LineEnding], Header: o.Header, QuoteAlways: o.Quote == "always",
		FormulaGuard: o.FormulaGuard,
	}
}
