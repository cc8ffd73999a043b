package csv

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/ledgerport/ledgerport/exporters"
)

// options of the exporter. docs/exporters/csv.md has a table of them, made by make generate.
type options struct {
	// The columns, in order.
	Columns []column `json:"columns" absent:"below"`
	// One of `,` `;` `|` `:` `^` `~` and tab.
	Delimiter string `json:"delimiter" default:","`
	// `.` or `,`
	DecimalMark string `json:"decimalMark" default:"."`
	// `utf-8`, `utf-8-bom` (Excel recognises it), `windows-1252`, `iso-8859-1`, `iso-8859-15`, `utf-16le` (with byte order
	// mark)
	Encoding string `json:"encoding" default:"utf-8"`
	// The first row has the columns' names.
	Header bool `json:"header" default:"true"`
	// `crlf` (RFC 4180) or `lf`
	LineEnding string `json:"lineEnding" default:"crlf"`
	// `minimal`: only cells that need it; `always`: every cell
	Quote string `json:"quote" default:"minimal"`
	// See below.
	FormulaGuard bool `json:"formulaGuard" default:"true"`
	// A name without a path.
	FileName string `json:"fileName" absent:"<run>.csv"`
}

// column is one column.
type column struct {
	// What the header calls it. Required where there is a header.
	Name string `json:"name"`
	// A CEL expression that gives a string, int, bool, timestamp or decimal.
	Value string `json:"value" required:"true"`
}

// defaultColumns are enough for a spreadsheet and for most generic imports.
var defaultColumns = []column{
	{"voucher", "voucher.id"},
	{"date", "voucher.date"},
	{"account", "line.account"},
	{"account_name", "line.account_name"},
	{"text", "line.text"},
	{"currency", "voucher.currency"},
	{"debit", "line.debit"},
	{"credit", "line.credit"},
	{"base_currency", "voucher.base_currency"},
	{"base_debit", "line.base_debit"},
	{"base_credit", "line.base_credit"},
	{"tax_code", "line.tax_code"},
	{"subledger", "line.subledger"},
	{"claim", "voucher.claim_id"},
}

// delimiters are characters that neither numbers nor dates have, except for a decimal comma and the time of day.
const delimiters = ",;|\t:^~"

const (
	utf8Plain = "utf-8"
	utf8BOM   = "utf-8-bom"
	utf16LE   = "utf-16le"
)

// charmaps are the encodings that lack most characters.
var charmaps = map[string]*charmap.Charmap{
	"windows-1252": charmap.Windows1252,
	"iso-8859-1":   charmap.ISO8859_1,
	"iso-8859-15":  charmap.ISO8859_15,
}

var (
	encodings   = []string{utf8Plain, utf8BOM, "windows-1252", "iso-8859-1", "iso-8859-15", utf16LE}
	lineEndings = map[string]string{"crlf": "\r\n", "lf": "\n"}
)

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	if err := exporters.DecodeOptions(raw, o); err != nil {
		return nil, err
	}
	if o.Columns == nil {
		o.Columns = defaultColumns
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *options) check() error {
	if o.FileName != "" {
		if err := exporters.CheckFileName("fileName", o.FileName); err != nil {
			return err
		}
	}
	if len(o.Delimiter) != 1 || !strings.Contains(delimiters, o.Delimiter) {
		return &exporters.OptionError{Field: "delimiter", Problem: `is not one of , ; | : ^ ~ or a tab ("\t")`}
	}
	for _, choice := range []struct {
		field, value string
		choices      []string
	}{
		{"decimalMark", o.DecimalMark, []string{".", ","}},
		{"encoding", o.Encoding, encodings},
		{"lineEnding", o.LineEnding, []string{"crlf", "lf"}},
		{"quote", o.Quote, []string{"minimal", "always"}},
	} {
		if !slices.Contains(choice.choices, choice.value) {
			return &exporters.OptionError{Field: choice.field, Problem: fmt.Sprintf("%.40q is not one of %q", choice.value, choice.choices)}
		}
	}
	if len(o.Columns) == 0 {
		return &exporters.OptionError{Field: "columns", Problem: "is empty; leave it out for the default columns"}
	}
	return o.checkNames()
}

func (o *options) checkNames() error {
	cells := newCells(o)
	for i, c := range o.Columns {
		field := fmt.Sprintf("columns[%d].name", i)
		if o.Header && c.Name == "" {
			return &exporters.OptionError{Field: field, Problem: "is empty, and the file has a header"}
		}
		if !utf8.ValidString(c.Name) {
			return &exporters.OptionError{Field: field, Problem: "is not UTF-8"}
		}
		if _, err := cells.appendText(nil, c.Name); err != nil {
			return &exporters.OptionError{Field: field, Problem: err.Error()}
		}
	}
	return nil
}
