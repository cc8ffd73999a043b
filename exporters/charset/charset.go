// Package charset writes text in the character sets of accounting systems. A character that a set lacks is replaced by a
// documented table, or refused by its code point, so that the claim is held: nothing becomes a question mark.
package charset

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// Charset is a character set in which an ASCII character is itself, if the set has it. It is safe for concurrent use.
type Charset struct {
	name  string
	table *charmap.Charmap // nil: characters are written in UTF-8
	// has says which of the printable characters of ASCII the set is made of; nil: all of them, and others.
	has func(rune) bool
	// replacements of this set alone, before those of all.
	replacements map[rune]string
}

// The character sets, by the names that options and media types have for them.
var (
	UTF8        = &Charset{name: "utf-8"}
	CodePage437 = &Charset{name: "cp437", table: charmap.CodePage437}
	Windows1252 = &Charset{name: "windows-1252", table: charmap.Windows1252}
	Latin1      = &Charset{name: "iso-8859-1", table: charmap.ISO8859_1}
	Latin9      = &Charset{name: "iso-8859-15", table: charmap.ISO8859_15}
)

// SEPA has the characters that every bank takes, as the European Payments Council's implementation guidelines list them
// (EPC132-08, section 1.4).
var SEPA = &Charset{name: "SEPA", has: isSEPA, replacements: replacementsOfSEPA}

func isSEPA(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r < utf8.RuneSelf && strings.ContainsRune("/-?:().,'+ ", r)
}

var byName = func() map[string]*Charset {
	all := map[string]*Charset{}
	for _, c := range []*Charset{UTF8, CodePage437, Windows1252, Latin1, Latin9} {
		all[c.name] = c
	}
	return all
}()

// ByName returns the character set of a name such as windows-1252.
func ByName(name string) (*Charset, bool) {
	c, known := byName[name]
	return c, known
}

// Names lists the names, sorted.
func Names() []string { return slices.Sorted(maps.Keys(byName)) }

// Name is the name of the set; of those that ByName returns, as in a media type.
func (c *Charset) Name() string { return c.name }

// Unlimited is the limit of a text that is not cut.
const Unlimited = -1

// MissingError says which character a set lacks and no rule replaces.
type MissingError struct {
	Character rune
	Charset   string
}

// Error returns the character's code point, never the text around it.
func (e *MissingError) Error() string {
	return fmt.Sprintf("has the character U+%04X, which %s lacks and for which there is no replacement", e.Character, e.Charset)
}

// AppendText appends free text: at most limit characters of the set, control characters as spaces. What the set lacks is
// replaced; the error is a *MissingError, and nothing was appended then. What is cut off may be anything.
func (c *Charset) AppendText(to []byte, text string, limit int) ([]byte, error) {
	if (limit < 0 || len(text) <= limit) && c.isPlain(text) {
		return append(to, text...), nil
	}
	if limit < 0 {
		limit = 3 * len(text) * utf8.UTFMax // more than any text becomes
	}
	e := encoder{charset: c, to: to, room: limit}
	for _, character := range compose(text) {
		if e.room == 0 {
			break
		}
		if !e.replace(character) {
			return to, &MissingError{character, c.name}
		}
	}
	return e.to, nil
}

// AppendCode appends the code of something, such as a project. Nothing in it is cut or replaced, for it would name something else
// code then: the set has all of its characters and none is a control character, or the error is a *MissingError.
func (c *Charset) AppendCode(to []byte, code string) ([]byte, error) {
	if c.isPlain(code) {
		return append(to, code...), nil
	}
	start := len(to)
	for _, character := range compose(code) {
		var ok bool
		if to, ok = c.AppendRune(to, character); !ok || unicode.IsControl(character) {
			return to[:start], &MissingError{character, c.name}
		}
	}
	return to, nil
}

// AppendRune appends a character, if the set has it.
func (c *Charset) AppendRune(to []byte, character rune) ([]byte, bool) {
	if c.has != nil && !c.has(character) {
		return to, false
	}
	if character < utf8.RuneSelf {
		return append(to, byte(character)), true
	}
	if c.table == nil {
		return utf8.AppendRune(to, character), character != utf8.RuneError
	}
	encoded, ok := c.table.EncodeRune(character)
	if !ok {
		return to, false
	}
	return append(to, encoded), true
}

// Transliterate returns a text in which the set has every character. The error is a *MissingError.
func (c *Charset) Transliterate(text string) (string, error) {
	if c.isPlain(text) {
		return text, nil
	}
	encoded, err := c.AppendText(nil, text, Unlimited)
	if err != nil || c.table == nil {
		return string(encoded), err
	}
	return c.table.NewDecoder().String(string(encoded))
}

// Compose returns a text in which the set has every character, one for a letter and its accent where it must be, and without
// replacing any: the error is a *MissingError.
func (c *Charset) Compose(text string) (string, error) {
	missing, lacks := c.firstMissing(text)
	if !lacks {
		return text, nil
	}
	composed := compose(text)
	if _, lacks := c.firstMissing(composed); lacks {
		return "", &MissingError{missing, c.name}
	}
	return composed, nil
}

func (c *Charset) firstMissing(text string) (rune, bool) {
	var scratch [utf8.UTFMax]byte
	for _, character := range text {
		if _, ok := c.AppendRune(scratch[:0], character); !ok {
			return character, true
		}
	}
	return 0, false
}

// isPlain reports whether a text is printable ASCII that the set has.
func (c *Charset) isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] >= 0x7f {
			return false
		}
	}
	return c.has == nil || strings.IndexFunc(text, func(r rune) bool { return !c.has(r) }) < 0
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
	charset *Charset
	to      []byte
	room    int // characters that may follow
}

// replace appends a character or what stands for it, and reports whether there is such a thing.
func (e *encoder) replace(character rune) bool {
	if character >= ' ' && character < 0x7f && e.put(character) {
		return true
	}
	if unicode.IsControl(character) {
		return e.put(' ')
	}
	if space, ok := invisible[character]; ok {
		return space == "" || e.put(' ')
	}
	if e.put(character) {
		return true
	}
	replacement, known := e.charset.replacements[character]
	if !known {
		replacement, known = replacements[character]
	}
	if !known {
		replacement = norm.NFKD.String(string(character))
	}
	for _, part := range replacement {
		if unicode.Is(unicode.Mn, part) {
			continue // an accent
		}
		if part == character || !e.replace(part) {
			return false
		}
	}
	return true
}

// put appends a character if the set has it, as long as there is room.
func (e *encoder) put(character rune) bool {
	to, ok := e.charset.AppendRune(e.to, character)
	if ok && e.room > 0 {
		e.to = to
		e.room--
	}
	return ok
}
