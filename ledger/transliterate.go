package ledger

import (
	"strings"

	"github.com/mozillazg/go-unidecode"
)

// kept are signs beyond Latin letters for which every format has a replacement of its own, better than the general one.
const kept = "€§°…–—‘’‚“”„«»"

// transliterate writes a text so that every format has its characters: letters of other scripts in Latin ones (as Text::Unidecode
// does), and nothing in place of what has none, such as an emoji. Latin letters of European languages stay as they are.
func transliterate(text string) string {
	if strings.IndexFunc(text, isForeign) < 0 {
		return text
	}
	var latin strings.Builder
	for _, character := range text {
		if isForeign(character) {
			latin.WriteString(unidecode.Unidecode(string(character)))
		} else {
			latin.WriteRune(character)
		}
	}
	return strings.Join(strings.Fields(latin.String()), " ")
}

// isForeign reports whether a character is neither ASCII nor a letter of Latin-1 or Latin Extended-A that all formats know.
func isForeign(character rune) bool {
	switch {
	case character < 0x7f:
		return false
	case character >= 'À' && character <= 'ž':
		return strings.ContainsRune("×÷ĸŉŊŋŦŧ", character)
	}
	return !strings.ContainsRune(kept, character)
}
