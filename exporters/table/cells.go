package table

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/exporters/charset"
)

// cells are delimited: guarded against spreadsheets, quoted, and in the encoding of the file. UTF-16 is the exception:
// cells are UTF-8 then, and the file's writer converts.
type cells struct {
	delimiter     byte
	guard         formulaGuard
	always        bool             // quote every cell
	charset       *charset.Charset // nil for UTF-8 and UTF-16, which have every character
	transliterate bool
	newline       string
	oneLine       bool
	special       [256]bool // bytes that keep a cell from being copied as it is
}

func newCells(l *Layout) *cells {
	c := &cells{
		delimiter: l.Delimiter[0], guard: l.guard(), always: l.QuoteAlways,
		charset: l.bytesOf(), transliterate: l.Transliterate, newline: l.Newline, oneLine: l.OneLine,
	}
	for _, b := range []byte{c.delimiter, '"', '\r', '\n'} {
		c.special[b] = true
	}
	for b := utf8.RuneSelf; b < len(c.special) && c.charset != nil; b++ {
		c.special[b] = true
	}
	return c
}

func (c *cells) text(to []byte, column *compiledColumn, text string) ([]byte, error) {
	if c.oneLine && strings.ContainsFunc(text, unicode.IsControl) {
		return to, lineBreak
	}
	text, err := c.guard.guard(column, text)
	if err == nil {
		text, err = column.fit(text)
	}
	if err != nil {
		return to, err
	}
	return c.appendText(to, text)
}

func (c *cells) number(to []byte, column *compiledColumn, number []byte, _ numberKind) ([]byte, error) {
	if column.width > 0 && len(number) > column.width {
		return to, tooLong(column.width)
	}
	return c.appendNumber(to, number), nil
}

func (*cells) begin(to []byte) []byte { return to }

func (c *cells) between(to []byte) []byte { return append(to, c.delimiter) }

func (c *cells) end(to []byte, start int) []byte {
	if len(to) == start {
		to = append(to, `""`...) // readers skip a line that is empty
	}
	return append(to, c.newline...)
}

// appendText appends a text. The error is a *charset.MissingError.
func (c *cells) appendText(to []byte, text string) ([]byte, error) {
	if text == "" {
		return c.appendNumber(to, nil), nil
	}
	if !c.always && text[0] != ' ' && text[len(text)-1] != ' ' && !c.hasSpecial(text) {
		return append(to, text...), nil
	}
	text, err := encodable(c.charset, c.transliterate, text)
	if err != nil || text == "" {
		return to, err
	}
	return c.appendSpecial(to, text), nil
}

func (c *cells) hasSpecial(text string) bool {
	for i := range len(text) {
		if c.special[text[i]] {
			return true
		}
	}
	return false
}

func (c *cells) appendSpecial(to []byte, text string) []byte {
	quoted := c.always || text[0] == ' ' || text[len(text)-1] == ' ' || strings.IndexByte(text, c.delimiter) >= 0 || strings.ContainsAny(text, "\"\r\n")
	if quoted {
		to = append(to, '"')
	}
	for _, character := range text {
		switch {
		case character == '"':
			to = append(to, '"', '"')
		case character < utf8.RuneSelf:
			to = append(to, byte(character))
		case c.charset == nil:
			to = utf8.AppendRune(to, character)
		default:
			to, _ = c.charset.AppendRune(to, character) // it is encodable
		}
	}
	if quoted {
		to = append(to, '"')
	}
	return to
}

// formulaGuard keeps spreadsheets from running texts.
type formulaGuard struct {
	on, holdsCodes bool
	mark           byte // decimal mark: a number is never guarded
}

const formulaCode unfit = "would be a formula in a spreadsheet, and with an apostrophe before it another code; use another code"

// guard returns the text with what makes it harmless.
func (g formulaGuard) guard(column *compiledColumn, text string) (string, error) {
	if !g.on || g.holdsCodes && column.constant || isNumber(text, g.mark) {
		return text, nil
	}
	guarded := charset.GuardFormulas(text)
	if g.holdsCodes && guarded != text && !column.free {
		return text, formulaCode
	}
	return guarded, nil
}

// appendNumber appends a number, or nothing: it is never guarded.
func (c *cells) appendNumber(to, number []byte) []byte {
	quoted := c.always
	for _, b := range number {
		quoted = quoted || b == c.delimiter
	}
	if !quoted {
		return append(to, number...)
	}
	to = append(to, '"')
	to = append(to, number...)
	return append(to, '"')
}

// isNumber reports whether a text is a plain number, such as -12,50: no spreadsheet takes that for a formula.
func isNumber(text string, mark byte) bool {
	digits, marks := 0, 0
	for i := range len(text) {
		switch b := text[i]; {
		case b >= '0' && b <= '9':
			digits++
		case b == mark && digits > 0 && marks == 0:
			marks++
		case b == '-' && i == 0:
		default:
			return false
		}
	}
	return digits > 0 && text[len(text)-1] != mark
}
