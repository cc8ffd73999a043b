package texts

import (
	"strings"
	"unicode"
)

// OneLine returns a text without space at its ends, and with one space for each run of tabs and line ends.
func OneLine(text string) string {
	if strings.ContainsAny(text, "\t\r\n") {
		text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\t' || r == '\r' || r == '\n' }), " ")
	}
	return strings.TrimSpace(text)
}

// OneSpace returns a text with one space for each run of spaces and control characters, and none at its ends.
func OneSpace(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}
