package pain001

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/ledgerport/ledgerport/exporters/xmldoc"
)

// missingCharacter says which character banks do not take and no rule replaces.
type missingCharacter rune

// Error gives the character's code point, never the text around it.
func (c missingCharacter) Error() string {
	return fmt.Sprintf("has the character U+%04X, which is not among those that every bank takes, and for which there is no replacement", rune(c))
}

// replacements are written for what is neither among the characters of SEPA nor one of them with an accent.
// docs/exporters/pain001.md lists them.
var replacements = map[rune]string{
	'æ': "ae", 'Æ': "AE", 'ø': "o", 'Ø': "O", 'œ': "oe", 'Œ': "OE", 'ß': "ss", 'ẞ': "SS", 'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D",
	'ð': "d", 'Ð': "D", 'þ': "th", 'Þ': "Th", 'ħ': "h", 'Ħ': "H", 'ı': "i", 'ŋ': "ng", 'Ŋ': "NG", 'ŧ': "t", 'Ŧ': "T",
	'€': "EUR", '&': "+", '_': "-", '*': ".", '"': "'", '#': ".", '!': ".", ';': ",", '@': "(at)", '=': "-", '%': "o/o", '$': "USD", '£': "GBP",
	'[': "(", ']': ")", '{': "(", '}': ")", '<': "(", '>': ")", '\\': "/", '|': "/", '~': "-", '^': ".", '`': "'",
	'§': "par.", '©': "(c)", '®': "(r)", '×': "x", '÷': ":", '±': "+-", '°': ".", '·': ".", '•': ".", '¦': "/", '¿': "", '¡': "",
	'‘': "'", '’': "'", '‚': "'", '‛': "'", '′': "'", '´': "'", '‹': "'", '›': "'",
	'“': "'", '”': "'", '„': "'", '‟': "'", '″': "'", '«': "'", '»': "'",
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '―': "-", '−': "-", '⁄': "/",
	'\u00ad': "", '\u200b': "", '\u200c': "", '\u200d': "", '\u2060': "", '\ufeff': "", '\ufe0e': "", '\ufe0f': "",
}

// convert gives a text in the characters of the file.
func (o *options) convert(text string) (string, error) {
	if o.Characters == unicodeCharacters {
		return text, xmldoc.Check(text)
	}
	return toSEPA(text)
}

// isSEPA is the character set of the EPC's implementation guidelines (EPC132-08, section 1.4).
func isSEPA(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/-?:().,'+ ", r)
}

// toSEPA transliterates a text, or gives a missingCharacter.
func toSEPA(text string) (string, error) {
	if strings.IndexFunc(text, func(r rune) bool { return !isSEPA(r) }) < 0 {
		return text, nil
	}
	var b strings.Builder
	for _, character := range norm.NFC.String(text) {
		if !replace(&b, character) {
			return "", missingCharacter(character)
		}
	}
	return b.String(), nil
}

// replace writes a character of SEPA, or what stands for another.
func replace(b *strings.Builder, character rune) bool {
	if isSEPA(character) {
		b.WriteRune(character)
		return true
	}
	if replacement, known := replacements[character]; known {
		b.WriteString(replacement)
		return true
	}
	if unicode.IsSpace(character) {
		b.WriteByte(' ')
		return true
	}
	parts := norm.NFKD.String(string(character))
	if parts == string(character) {
		return false
	}
	for _, part := range parts {
		if !unicode.Is(unicode.Mn, part) && !replace(b, part) { // an accent goes
			return false
		}
	}
	return true
}

// isIdentifier says whether a text can be an identifier: characters of SEPA, no slash at an end, no two slashes.
func isIdentifier(text string) bool {
	return text != "" && len(text) <= maxIdentifier && strings.IndexFunc(text, func(r rune) bool { return !isSEPA(r) }) < 0 &&
		!strings.HasPrefix(text, "/") && !strings.HasSuffix(text, "/") && !strings.Contains(text, "//")
}
