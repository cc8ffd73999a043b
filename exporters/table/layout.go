// Package table writes vouchers as a table: one row for each posting, with columns that are CEL expressions. It is what
// exporters of flat formats have in common.
package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/charset"
)

// Column is one column: its name, and how its cells are made.
type Column struct {
	Name string
	// Value is a CEL expression over the variables of variables.go.
	Value string
	// Width is how many characters a cell has, in a fixed layout, and at most has in others; 0 is no limit, for those. A
	// longer cell is cut if it is a free text, and else the voucher is held.
	Width int
	// Align is Left or Right, in a fixed layout; empty: numbers right, all else left.
	Align string
	// Pad is the character that fills a cell of a fixed layout; empty: a space.
	Pad string
}

// Alignments of a column.
const (
	Left  = "left"
	Right = "right"
)

// Formats of a layout.
const (
	// Delimited cells, as in RFC 4180.
	Delimited = "delimited"
	// Fixed widths, without delimiters.
	Fixed = "fixed"
	// JSONLines is one JSON object for each row.
	JSONLines = "jsonl"
)

// Encodings of a file, beside the names of character sets.
const (
	UTF8    = "utf-8"
	UTF8BOM = "utf-8-bom"
	UTF16LE = "utf-16le"
)

// Encodings that a file may have.
var Encodings = []string{UTF8, UTF8BOM, "windows-1252", "iso-8859-1", "iso-8859-15", UTF16LE}

// delimiters are characters that neither numbers nor dates have, except for a decimal comma and the time of day.
const delimiters = ",;|\t:^~"

// maxWidth of a column.
const maxWidth = 10_000

// Layout is what a file looks like. The options of an exporter become one; its errors name them as those options are called.
type Layout struct {
	Format  string
	Columns []Column
	// Delimiter of cells, and DecimalMark of numbers: one byte each.
	Delimiter, DecimalMark string
	Encoding               string
	// Transliterate replaces what the encoding lacks, as package charset does; else the voucher is held.
	Transliterate bool
	Newline       string
	// OneLine holds vouchers with control characters in a cell, for readers that take every line for a row. Free texts have
	// none: the ledger puts them on one line.
	OneLine bool
	// Header is a first row with the names of the columns. JSONLines has none.
	Header bool
	// QuoteAlways puts every cell between quotes, not only those that need it.
	QuoteAlways bool
	// FormulaGuard puts an apostrophe before what a spreadsheet would run in a text, as charset.GuardFormulas does. JSONLines
	// needs none.
	FormulaGuard bool
	// HoldFormulaCodes holds the voucher instead, where the text is not one for people to read: an importer would take it for
	// another code. A file of fixed widths always does.
	HoldFormulaCodes bool
}

// Check refuses what cannot work, with an *exporters.OptionError for each option.
func (l *Layout) Check() error {
	problems := []error{
		exporters.CheckChoice("format", l.Format, Delimited, Fixed, JSONLines),
		exporters.CheckChoice("decimalMark", l.DecimalMark, ".", ","),
		exporters.CheckChoice("encoding", l.Encoding, Encodings...),
	}
	wrong := func(field, problem string) {
		problems = append(problems, &exporters.OptionError{Field: field, Problem: problem})
	}
	if len(l.Delimiter) != 1 || !strings.Contains(delimiters, l.Delimiter) {
		wrong("delimiter", fmt.Sprintf(`%.40q is not one of , ; | : ^ ~ or a tab ("\t")`, l.Delimiter))
	}
	if l.Format == JSONLines && l.Encoding != UTF8 {
		wrong("encoding", fmt.Sprintf("%.40q is not utf-8, as JSON always is", l.Encoding))
	}
	if len(l.Columns) == 0 {
		wrong("columns", "is empty; leave it out for the default columns")
	}
	named, sound := map[string]bool{}, errors.Join(problems...) == nil
	for i := range l.Columns {
		if sound { // else a column cannot be judged
			problems = append(problems, l.checkColumn(&l.Columns[i], fmt.Sprintf("columns[%d]", i), named))
		}
	}
	_, err := compileColumns(l.Columns)
	return errors.Join(append(problems, err)...)
}

func (l *Layout) checkColumn(c *Column, field string, named map[string]bool) error {
	switch {
	case c.Name == "" && (l.Header || l.Format == JSONLines):
		return &exporters.OptionError{Field: field + ".name", Problem: "is empty, and the file has a header"}
	case !utf8.ValidString(c.Name):
		return &exporters.OptionError{Field: field + ".name", Problem: "is not UTF-8"}
	case l.Format == JSONLines && named[c.Name]:
		return &exporters.OptionError{Field: field + ".name", Problem: "is that of another column"}
	case c.Width < 0 || c.Width > maxWidth:
		return &exporters.OptionError{Field: field + ".width", Problem: fmt.Sprintf("%d is not within 0 to %d", c.Width, maxWidth)}
	case l.Format == Fixed && c.Width == 0:
		return &exporters.OptionError{Field: field + ".width", Problem: "is required in a file of fixed widths"}
	case len(c.Pad) > 1 || c.Pad != "" && (c.Pad[0] < ' ' || c.Pad[0] >= 0x7f):
		return &exporters.OptionError{Field: field + ".pad", Problem: fmt.Sprintf("%.40q is not one printable character of ASCII", c.Pad)}
	}
	named[c.Name] = true
	if c.Align != "" {
		if err := exporters.CheckChoice(field+".align", c.Align, Left, Right); err != nil {
			return err
		}
	}
	if !l.Header {
		return nil
	}
	if _, err := newFormat(l).text(nil, &compiledColumn{width: c.Width, free: true, pad: ' '}, c.Name); err != nil {
		return &exporters.OptionError{Field: field + ".name", Problem: err.Error()}
	}
	return nil
}

// mediaType of the file.
func (l *Layout) mediaType() string {
	encoding, header := strings.TrimSuffix(l.Encoding, "-bom"), "absent"
	switch {
	case l.Format == JSONLines:
		return "application/jsonl; charset=utf-8"
	case l.Format == Fixed:
		return "text/plain; charset=" + encoding
	case l.Header:
		header = "present"
	}
	return fmt.Sprintf("text/csv; charset=%s; header=%s", encoding, header)
}

// hasHeader reports whether the file begins with the names of its columns.
func (l *Layout) hasHeader() bool { return l.Header && l.Format != JSONLines }

func (l *Layout) guard() formulaGuard {
	return formulaGuard{on: l.FormulaGuard, holdsCodes: l.HoldFormulaCodes || l.Format == Fixed, mark: l.DecimalMark[0]}
}

// bytesOf returns the character set of an encoding that is neither UTF-8 nor UTF-16.
func (l *Layout) bytesOf() *charset.Charset {
	if slices.Contains([]string{UTF8, UTF8BOM, UTF16LE}, l.Encoding) {
		return nil
	}
	set, _ := charset.ByName(l.Encoding)
	return set
}
