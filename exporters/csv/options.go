package csv

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/ledgerport/ledgerport/exporters"
)

// options of the exporter. Their documentation is docs/exporters/csv.md.
type options struct {
	FileName     string   `json:"fileName"`
	Delimiter    string   `json:"delimiter" default:","`
	DecimalMark  string   `json:"decimalMark" default:"."`
	Encoding     string   `json:"encoding" default:"utf-8"`
	LineEnding   string   `json:"lineEnding" default:"crlf"`
	Quote        string   `json:"quote" default:"minimal"`
	Header       bool     `json:"header" default:"true"`
	FormulaGuard bool     `json:"formulaGuard" default:"true"`
	Columns      []column `json:"columns"`
}

// column is one column: its name in the header, and a CEL expression.
type column struct {
	Name  string `json:"name"`
	Value string `json:"value"`
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
