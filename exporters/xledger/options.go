package xledger

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/table"
)

// options of the exporter. docs/exporters/xledger.md has a table of them, made by make generate.
type options struct {
	// Code of the entity (*eierkode*): its column is the third. Without it the file has no such column.
	Entity string `json:"entity" absent:"no column"`
	// Voucher type of the import definition, at most eight characters.
	VoucherType string `json:"voucherType" default:"GL"`
	// Tax rule of Xledger for each tax code of the chart of accounts that has one, such as `{"1": "1"}`. See below.
	TaxRules map[string]string `json:"taxRules" posts:"true" absent:"none"`
	// Tax rule of every row that has none, where accounts of the tenant have a rule of their own which would be taken instead.
	NoTaxRule string `json:"noTaxRule" posts:"true" absent:"empty"`
	// The columns of the tenant's import definition, in order, where they are not the default ones.
	Columns []column `json:"columns" absent:"below"`
	// The first row has the columns' names.
	Header bool `json:"header" default:"true"`
	// `utf-8`, `utf-8-bom`, `windows-1252`, `iso-8859-1` or `iso-8859-15`. What the last three lack is
	// [replaced](characters.md).
	Encoding string `json:"encoding" default:"utf-8" choices:"utf-8|utf-8-bom|windows-1252|iso-8859-1|iso-8859-15"`
	// A name without a path.
	FileName string `json:"fileName" absent:"<run>.csv" fileName:"true"`
}

// column is one column.
type column struct {
	// What Xledger calls it.
	Name string `json:"name" required:"true"`
	// A CEL expression over the [variables of csv](csv.md#variables).
	Value string `json:"value" required:"true"`
	// The most characters of a cell. What is longer is cut if it is a text to read, else the claim is held.
	Width int `json:"width"`
}

const (
	maxVoucherType = 8
	maxEntity      = 25
	maxTaxRule     = 25
)

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	return o, exporters.DecodeOptions(raw, o)
}

// Check implements exporters.Checked, and completes the columns.
func (o *options) Check() error {
	var problems []error
	wrong := func(field, problem string) {
		if problem != "" {
			problems = append(problems, &exporters.OptionError{Field: field, Problem: problem})
		}
	}
	wrong("voucherType", codeProblem(o.VoucherType, maxVoucherType))
	wrong("entity", codeProblem(o.Entity, maxEntity))
	wrong("noTaxRule", codeProblem(o.NoTaxRule, maxTaxRule))
	for _, code := range slices.Sorted(maps.Keys(o.TaxRules)) {
		if rule := o.TaxRules[code]; rule == "" || codeProblem(rule, maxTaxRule) != "" {
			wrong("taxRules."+code, "is not the code of a tax rule")
		}
	}
	if o.Columns == nil {
		o.Columns = defaultColumns(o)
	}
	return errors.Join(append(problems, o.layout().Check())...)
}

// codeProblem says what keeps a text from being a code of at most so many characters.
func codeProblem(code string, most int) string {
	if len(code) > most {
		return fmt.Sprintf("has more than %d characters", most)
	}
	if strings.ContainsFunc(code, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\'' || r == '\\' || r == ';' }) {
		return "is not a code of letters, digits and the like"
	}
	return ""
}

// layout of the file.
func (o *options) layout() *table.Layout {
	columns := make([]table.Column, len(o.Columns))
	for i, c := range o.Columns {
		columns[i] = table.Column{Name: c.Name, Value: c.Value, Width: c.Width}
	}
	return &table.Layout{
		Format: table.Delimited, Columns: columns, Delimiter: ";", DecimalMark: ".", Encoding: o.Encoding, Transliterate: true,
		Newline: "\r\n", OneLine: true, Header: o.Header, FormulaGuard: true, HoldFormulaCodes: true,
	}
}
