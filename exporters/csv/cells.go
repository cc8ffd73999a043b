package csv

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// cells writes single cells: guarded against spreadsheets, quoted, and in the encoding of the file. UTF-16 is the
// exception: cells are UTF-8 then, and the file's writer converts.
type cells struct {
	delimiter byte
	mark      byte // decimal mark
	guard     bool
	always    bool             // quote every cell
	charmap   *charmap.Charmap // nil for UTF-8 and UTF-16, which have every character
	encoding  string           // its name, for errors
	special   [256]bool        // bytes that keep a cell from being copied as it is
}

func newCells(o *options) *cells {
	c := &cells{
		delimiter: o.Delimiter[0], mark: o.DecimalMark[0], guard: o.FormulaGuard, always: o.Quote == "always",
		charmap: charmaps[o.Encoding], encoding: o.Encoding,
	}
	for _, b := range []byte{c.delimiter, '"', '\r', '\n'} {
		c.special[b] = true
	}
	for b := utf8.RuneSelf; b < len(c.special) && c.charmap != nil; b++ {
		c.special[b] = true
	}
	return c
}

// missingCharacter says which character the encoding of the file lacks.
type missingCharacter struct {
	character rune
	encoding  string
}

// Error gives the character's code point, never the text around it.
func (e *missingCharacter) Error() string {
	return fmt.Sprintf("has the character U+%04X, which %s lacks", e.character, e.encoding)
}

// formulaStarts are the first characters by which spreadsheets take a text for a formula, or skip to one.
const formulaStarts = "=+-@\t\r\n"

// appendText appends a text. The error is a *missingCharacter.
func (c *cells) appendText(to []byte, text string) ([]byte, error) {
	if text == "" {
		return c.appendNumber(to, nil), nil
	}
	guarded := c.guard && strings.IndexByte(formulaStarts, text[0]) >= 0 && !isNumber(text, c.mark)
	if !guarded && !c.always && text[0] != ' ' && text[len(text)-1] != ' ' && !c.hasSpecial(text) {
		return append(to, text...), nil
	}
	return c.appendSpecial(to, text, guarded)
}

func (c *cells) hasSpecial(text string) bool {
	for i := range len(text) {
		if c.special[text[i]] {
			return true
		}
	}
	return false
}

func (c *cells) appendSpecial(to []byte, text string, guarded bool) ([]byte, error) {
	start := len(to)
	quoted := c.always || text[0] == ' ' || text[len(text)-1] == ' ' || strings.IndexByte(text, c.delimiter) >= 0 || strings.ContainsAny(text, "\"\r\n")
	if quoted {
		to = append(to, '"')
	}
	if guarded {
		to = append(to, '\'')
	}
	for _, character := range text {
		switch {
		case character == '"':
			to = append(to, '"', '"')
		case character < utf8.RuneSelf:
			to = append(to, byte(character))
		case c.charmap == nil:
			to = utf8.AppendRune(to, character)
		default:
			encoded, ok := c.charmap.EncodeRune(character)
			if !ok {
				return c.appendComposed(to[:start], text, guarded, character)
			}
			to = append(to, encoded)
		}
	}
	if quoted {
		to = append(to, '"')
	}
	return to, nil
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

// appendComposed tries again with letters and their accents as one character, which the encoding may have.
func (c *cells) appendComposed(to []byte, text string, guarded bool, missing rune) ([]byte, error) {
	if composed := norm.NFC.String(text); composed != text {
		return c.appendSpecial(to, composed, guarded)
	}
	return to, &missingCharacter{missing, c.encoding}
}

func (c *cells) appendInteger(to []byte, number int64) []byte {
	var digits [20]byte
	return c.appendNumber(to, strconv.AppendInt(digits[:0], number, 10))
}

// appendDecimal appends a decimal, which is a text like any other unless it is a number as it should be.
func (c *cells) appendDecimal(to []byte, d decimal) ([]byte, error) {
	return c.appendText(to, d.String())
}

// isNumber says whether a text is a plain number, such as -12,50: no spreadsheet takes that for a formula.
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
