// Package texts shortens texts, puts them on one line, and makes those harmless that come from a tenant, a server or a database,
// before they reach a status, an event, a log or a terminal. It imports nothing of ours, so that everything may use it.
package texts

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// Message is the longest message of a condition, an event or a log line, in bytes.
	Message = 4096
	// Quote is the longest text that a message quotes: an id, a name, a few words of a server.
	Quote = 300

	ellipsis = "…"
)

// Printable returns a text as one line of at most so many bytes that shows everything in it and that no terminal obeys. Space of any
// kind becomes spaces, and every other character that does not print is written as in source code: \x1b, \u202e, \xff. So two
// texts that differ look different. What is too long ends with an ellipsis, at the end of a character.
func Printable(text string, most int) string {
	if len(text) <= most && plain(text) {
		return text
	}
	var line strings.Builder
	end := 0 // of what leaves room for the ellipsis
	for at := 0; at < len(text); {
		character, size := utf8.DecodeRuneInString(text[at:])
		line.WriteString(shown(character, text[at:at+size]))
		at += size
		if line.Len() > most {
			return line.String()[:end] + ellipsis
		}
		if line.Len() <= most-len(ellipsis) {
			end = line.Len()
		}
	}
	return line.String()
}

// plain reports whether a text has printing characters of ASCII alone, as most have.
func plain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// shown writes one character, which has the bytes raw.
func shown(character rune, raw string) string {
	switch {
	case character == utf8.RuneError && len(raw) == 1:
		return fmt.Sprintf(`\x%02x`, raw[0])
	case unicode.IsSpace(character):
		return " "
	case unicode.IsPrint(character) && !invisible(character):
		return raw
	}
	quoted := strconv.QuoteRuneToASCII(character)
	return quoted[1 : len(quoted)-1]
}

// invisible reports whether a character counts as one that prints, and shows nothing.
func invisible(character rune) bool {
	const brailleBlank = '\u2800'
	return character == brailleBlank || unicode.In(character, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// shortID is how much is kept of an id that cannot be written as it is, in bytes.
const shortID = 100

// ID returns an id as it is if it has at most so many bytes and nothing that misleads a reader. Of any other it returns the
// beginning, with U+FFFD for what cannot be shown, and a hash that distinguishes it from others.
func ID(id string, most int) string {
	if len(id) <= most && utf8.ValidString(id) && !strings.ContainsFunc(id, misleading) {
		return id
	}
	short := strings.Map(func(r rune) rune {
		if misleading(r) {
			return utf8.RuneError
		}
		return r
	}, id[:min(len(id), shortID)])
	hash := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%s… (%x)", short, hash[:8])
}

// misleading reports whether a character is a control character, ends a line, or changes how the text around it is shown.
func misleading(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}
