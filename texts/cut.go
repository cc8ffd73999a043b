package texts

import (
	"unicode/utf16"
	"unicode/utf8"
)

// CutBytes returns the longest beginning of a text that has at most so many bytes and ends with a whole character.
func CutBytes(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := max(most, 0)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// CutCharacters returns the longest beginning of a text that has at most so many characters: code points, as XML Schema and
// PostgreSQL count them.
func CutCharacters(text string, most int) string {
	return cut(text, most, func(rune) int { return 1 })
}

// CutUTF16 returns the longest beginning of a text that has at most so many UTF-16 code units and ends with a whole character.
func CutUTF16(text string, most int) string {
	return cut(text, most, utf16.RuneLen)
}

// cut returns the longest beginning whose characters have at most so much of a size. A character has at least as many bytes.
func cut(text string, most int, size func(rune) int) string {
	if len(text) <= most {
		return text
	}
	for at, character := range text {
		if most -= size(character); most < 0 {
			return text[:at]
		}
	}
	return text
}

// Short returns a text of at most so many bytes, and an ellipsis at the end of one that was longer.
func Short(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return CutBytes(text, most-len(ellipsis)) + ellipsis
}
