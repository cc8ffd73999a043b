package sie

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// maxText is how many characters of a text are written. The specification sets no limit; importing systems do.
const maxText = 200

// missingCharacter says which character code page 437 lacks and no rule replaces.
type missingCharacter rune

// Error gives the character's code point, never the text around it.
func (c missingCharacter) Error() string {
	return fmt.Sprintf("has the character U+%04X, which SIE files (code page 437) lack and for which there is no replacement", rune(c))
}

// replacements are written for what code page 437 lacks. docs/exporters/sie.md lists them.
var replacements = map[rune]string{
	'ø': "ö", 'Ø': "Ö", 'œ': "oe", 'Œ': "OE", 'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D", 'ð': "d", 'Ð': "D", 'þ': "th", 'Þ': "Th",
	'ħ': "h", 'Ħ': "H", 'ı': "i", 'ŋ': "ng", 'Ŋ': "NG", 'ẞ': "SS", 'μ': "µ",
	'€': "EUR", '§': "par.", '©': "(c)", '®': "(r)", '×': "x", '‰': "o/oo", '•': "·", '⁄': "/", '¦': "|",
	'‘': "'", '’': "'", '‚': "'", '‛': "'", '′': "'", '´': "'", '‹': "'", '›': "'",
	'“': `"`, '”': `"`, '„': `"`, '‟': `"`, '″': `"`,
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '―': "-", '−': "-",
	'\u00a0': " ", '\u00ad': "", '\u200b': "", '\u200c': "", '\u200d': "", '\u2060': "", '\ufeff': "", '\ufe0e': "", '\ufe0f': "",
}

// encode appends a text in code page 437 as it stands between quotes: at most maxText characters, quotes escaped by a
// backslash, control characters as spaces. What the code page lacks is replaced, or is a missingCharacter.
func encode(to []byte, text string) ([]byte, error) {
	e := encoder{to: to, room: maxText}
	for _, character := range compose(text) {
		if e.room == 0 {
			break
		}
		if err := e.replace(character); err != nil {
			return to, err
		}
	}
	return e.to, nil
}

// encodeCode appends the code of something, such as a project, as it stands between quotes. Nothing in it is cut or
// replaced, for it would be another code then: it fits, or is a missingCharacter.
func encodeCode(to []byte, code string) ([]byte, error) {
	e := encoder{to: to, room: len(code)}
	for _, character := range compose(code) {
		if character < ' ' || character == '\\' || character == 0x7f || character > 0x7f && !e.encoded(character) {
			return to, missingCharacter(character)
		}
		if character < 0x7f {
			e.ascii(byte(character))
		}
	}
	return e.to, nil
}

// compose makes one character of a letter and its accent where there is such a character.
func compose(text string) string {
	if norm.NFC.QuickSpanString(text) == len(text) {
		return text
	}
	return norm.NFC.String(text)
}

// encoder appends characters while there is room.
type encoder struct {
	to   []byte
	room int // characters that may follow
}

// replace appends a character, or what stands for it.
func (e *encoder) replace(character rune) error {
	if character < utf8.RuneSelf {
		e.ascii(byte(character))
		return nil
	}
	replacement, known := replacements[character]
	if !known {
		if e.encoded(character) {
			return nil
		}
		replacement = norm.NFKD.String(string(character))
	}
	for _, part := range replacement {
		if unicode.Is(unicode.Mn, part) {
			continue // an accent
		}
		if part == character || e.replace(part) != nil {
			return missingCharacter(character)
		}
	}
	return nil
}

func (e *encoder) ascii(character byte) {
	if e.room == 0 {
		return
	}
	e.room--
	switch {
	case character < ' ' || character == 0x7f:
		e.to = append(e.to, ' ')
	case character == '"':
		e.to = append(e.to, '\\', '"')
	case character == '\\':
		e.to = append(e.to, '/') // importing systems disagree on a backslash that escapes no quote
	default:
		e.to = append(e.to, character)
	}
}

// encoded appends a character of code page 437 beyond ASCII.
func (e *encoder) encoded(character rune) bool {
	encoded, ok := charmap.CodePage437.EncodeRune(character)
	if ok && e.room > 0 {
		e.room--
		e.to = append(e.to, encoded)
	}
	return ok
}
