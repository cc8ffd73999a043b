package pain001

import (
	"strings"

	"github.com/ledgerport/ledgerport/exporters/charset"
	"github.com/ledgerport/ledgerport/exporters/xmldoc"
)

// convert returns a text in the characters of the file.
func (o *options) convert(text string) (string, error) {
	if o.Characters == unicodeCharacters {
		return text, xmldoc.Check(text)
	}
	return charset.SEPA.Transliterate(text)
}

// isIdentifier reports whether a text can be an identifier: characters of SEPA, no slash at an end, no two slashes.
func isIdentifier(text string) bool {
	_, err := charset.SEPA.AppendCode(nil, text)
	return err == nil && text != "" && len(text) <= maxIdentifier &&
		!strings.HasPrefix(text, "/") && !strings.HasSuffix(text, "/") && !strings.Contains(text, "//")
}
