package table

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/exporters/charset"
	"github.com/ledgerport/ledgerport/texts"
)

// format writes the cells of rows.
type format interface {
	// text appends a text cell, and number one that is a number or a date in plain ASCII. The error is a *MissingError of
	// charset, or unfit.
	text(to []byte, c *compiledColumn, text string) ([]byte, error)
	number(to []byte, c *compiledColumn, number []byte, kind numberKind) ([]byte, error)
	// begin, between and end of a row. A row that is empty begins where it ends.
	begin(to []byte) []byte
	between(to []byte) []byte
	end(to []byte, start int) []byte
}

// numberKind says what a number is, where a format has a form of its own for it.
type numberKind byte

const (
	decimalNumber numberKind = iota // of money, a rate or a quantity: exact
	wholeNumber
	dateNumber
	boolean
)

func newFormat(l *Layout) format {
	switch l.Format {
	case Fixed:
		return &fixedCells{guard: l.guard(), charset: l.bytesOf(), transliterate: l.Transliterate, newline: l.Newline}
	case JSONLines:
		return jsonCells{}
	}
	return newCells(l)
}

// unfit says why a cell cannot be in its column, and what to do about it.
type unfit string

// Error is the reason itself.
func (u unfit) Error() string { return string(u) }

func tooLong(width int) unfit {
	return unfit(fmt.Sprintf("is longer than the width %d of the column; widen it, or cut the text by left(…, %[1]d)", width))
}

const lineBreak unfit = "has a line break or another control character; use another code"

// fit cuts a free text to the width of its column, between two characters, and refuses anything else that is longer.
func (c *compiledColumn) fit(text string) (string, error) {
	if c.width == 0 {
		return text, nil
	}
	fitting := texts.CutCharacters(text, c.width)
	if len(fitting) < len(text) && !c.free {
		return "", tooLong(c.width)
	}
	return fitting, nil
}

// fixedCells have the widths of their columns.
type fixedCells struct {
	guard         formulaGuard
	charset       *charset.Charset // nil: UTF-8
	transliterate bool
	newline       string
}

func (f *fixedCells) text(to []byte, c *compiledColumn, text string) ([]byte, error) {
	text, err := f.guard.guard(c, text)
	if err == nil {
		text, err = encodable(f.charset, f.transliterate, text)
	}
	if err != nil {
		return to, err
	}
	if text, err = charset.UTF8.Transliterate(text); err != nil { // a line break would end the row
		return to, err
	}
	if text, err = c.fit(text); err != nil {
		return to, err
	}
	return f.pad(to, c, text, c.align == Right)
}

func (f *fixedCells) number(to []byte, c *compiledColumn, number []byte, kind numberKind) ([]byte, error) {
	if len(number) > c.width {
		return to, tooLong(c.width)
	}
	isNumber := kind == decimalNumber || kind == wholeNumber
	return f.pad(to, c, string(number), c.align == Right || c.align == "" && isNumber)
}

func (f *fixedCells) pad(to []byte, c *compiledColumn, text string, right bool) ([]byte, error) {
	fill := c.width - utf8.RuneCountInString(text)
	for ; right && fill > 0; fill-- {
		if c.pad == '0' && text != "" && text[0] == '-' { // the sign goes before the zeros
			to, text = append(to, '-'), text[1:]
		}
		to = append(to, c.pad)
	}
	if f.charset == nil {
		to = append(to, text...)
	} else {
		for _, character := range text {
			to, _ = f.charset.AppendRune(to, character) // it is encodable
		}
	}
	for ; fill > 0; fill-- {
		to = append(to, c.pad)
	}
	return to, nil
}

func (*fixedCells) begin(to []byte) []byte        { return to }
func (*fixedCells) between(to []byte) []byte      { return to }
func (f *fixedCells) end(to []byte, _ int) []byte { return append(to, f.newline...) }

// jsonCells are members of an object. A decimal is a string, so that no reader makes it a binary fraction; whole numbers
// and booleans are themselves, and what is empty is null.
type jsonCells struct{}

func (jsonCells) text(to []byte, c *compiledColumn, text string) ([]byte, error) {
	text, err := c.fit(text)
	if err != nil {
		return to, err
	}
	if text == "" {
		return append(to, c.key+"null"...), nil
	}
	return appendJSON(append(to, c.key...), text), nil
}

func (jsonCells) number(to []byte, c *compiledColumn, number []byte, kind numberKind) ([]byte, error) {
	if c.width > 0 && len(number) > c.width {
		return to, tooLong(c.width)
	}
	to = append(to, c.key...)
	switch {
	case len(number) == 0:
		return append(to, "null"...), nil
	case kind == wholeNumber || kind == boolean:
		return append(to, number...), nil
	}
	to = append(to, '"')
	to = append(to, number...)
	return append(to, '"'), nil
}

func (jsonCells) begin(to []byte) []byte      { return append(to, '{') }
func (jsonCells) between(to []byte) []byte    { return append(to, ',') }
func (jsonCells) end(to []byte, _ int) []byte { return append(to, "}\n"...) }

// appendJSON appends a JSON string.
func appendJSON(to []byte, text string) []byte {
	for i := range len(text) {
		if b := text[i]; b < ' ' || b >= 0x7f || b == '"' || b == '\\' || b == '<' || b == '>' || b == '&' {
			encoded, _ := json.Marshal(text) // a string can always be written
			return append(to, encoded...)
		}
	}
	to = append(to, '"')
	to = append(to, text...)
	return append(to, '"')
}

// encodable returns a text in which a set has every character: as it is, with letters and accents composed, or replaced.
func encodable(set *charset.Charset, transliterate bool, text string) (string, error) {
	if set == nil {
		return text, nil
	}
	if transliterate {
		return set.Transliterate(text)
	}
	return set.Compose(text)
}
