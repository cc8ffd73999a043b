package charset

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// role is what a character means to a spreadsheet that reads a text as cells.
type role byte

const (
	ordinary  role = iota
	unseen         // takes no room, and may be left out
	blank          // skipped before the first character of a cell
	separator      // begins another cell in some spreadsheet
	quote          // is dropped by some
	formula        // makes a formula of the cell that it begins
)

// GuardFormulas puts an apostrophe before every character of a text that would begin a formula in a spreadsheet, whichever
// separator that is set to: = + - @ and all their forms, at the beginning, behind characters that are not seen, behind a
// separator, and right behind a quote. Every form counts that a set may be without and AppendText replaces. OWASP calls it formula injection.
func GuardFormulas(text string) string {
	var guarded strings.Builder
	begins, quoted, copied := true, false, 0
	for at, character := range text {
		role := roleOf(character)
		if role == formula && begins || at == 0 && strings.ContainsRune("\t\r\n", character) { // which is a formula to some
			guarded.WriteString(text[copied:at])
			guarded.WriteByte('\'')
			copied = at
		}
		switch {
		case role == separator:
			begins, quoted = true, false
		case role == quote && !begins: // within a cell
			begins, quoted = true, true
		case role == quote, role == unseen, role == blank && !quoted:
		default:
			begins, quoted = false, false
		}
	}
	if copied == 0 && guarded.Len() == 0 {
		return text
	}
	guarded.WriteString(text[copied:])
	return guarded.String()
}

// roleOf tells what a character, or what it may be replaced by, means to a spreadsheet.
func roleOf(character rune) role {
	if character < utf8.RuneSelf {
		return rolesOfASCII[character]
	}
	return roleOfOther(character)
}

var rolesOfASCII = func() (roles [utf8.RuneSelf]role) {
	for control := range ' ' {
		roles[control] = blank
	}
	for is, characters := range map[role]string{blank: " \x7f", separator: ",;|\t:^~\r\n", quote: `"`, formula: "=+-@"} {
		for _, character := range characters {
			roles[character] = is
		}
	}
	return roles
}()

// otherSigns are forms of = + - @ that Unicode does not say are compatible.
const otherSigns = "\u02d7\u2043\u207b\u208b\u2795\u2796\ufe58"

// firstUnseenLetter is the first of the letters that are not seen.
const firstUnseenLetter = '\u115f'

func roleOfOther(character rune) role {
	if character < firstUnseenLetter && unicode.IsLetter(character) { // most, and it is quick to tell
		return ordinary
	}
	switch {
	case unicode.In(character, unicode.White_Space, unicode.Cc), character == '\u2800':
		return blank
	case unicode.In(character, unicode.Cf, unicode.Mn, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return unseen
	case strings.ContainsRune(otherSigns, character):
		return formula
	}
	replacement, known := replacements[character]
	if !known {
		replacement = norm.NFKD.String(string(character))
	}
	for _, part := range replacement { // the first says it, because no replacement has a formula behind a separator
		switch {
		case part == character || part >= utf8.RuneSelf && !unicode.Is(unicode.Mn, part): // a letter
			return ordinary
		case !unicode.Is(unicode.Mn, part):
			return roleOf(part)
		}
	}
	return unseen
}
