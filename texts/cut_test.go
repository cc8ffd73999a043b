package texts_test

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/texts"
)

// cuts are the functions that cut, with what they count.
var cuts = []struct {
	name string
	cut  func(text string, most int) string
	size func(text string) int
}{
	{"bytes", texts.CutBytes, func(text string) int { return len(text) }},
	{"characters", texts.CutCharacters, utf8.RuneCountInString},
	{"UTF-16", texts.CutUTF16, func(text string) int { return len(utf16.Encode([]rune(text))) }},
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		most int
		want [3]string // in the order of cuts
	}{
		{"", 0, [3]string{"", "", ""}},
		{"ab", 0, [3]string{"", "", ""}},
		{"ab", -1, [3]string{"", "", ""}},
		{"ab", 2, [3]string{"ab", "ab", "ab"}},
		{"abc", 2, [3]string{"ab", "ab", "ab"}},
		{"åäö", 2, [3]string{"å", "åä", "åä"}},
		{"åäö", 3, [3]string{"å", "åäö", "åäö"}},
		{"a🍜b", 2, [3]string{"a", "a🍜", "a"}},
		{"a🍜b", 3, [3]string{"a", "a🍜b", "a🍜"}},
		{"\x80\x80\x80", 2, [3]string{"", "\x80\x80", "\x80\x80"}},
	} {
		for i, by := range cuts {
			if got := by.cut(test.text, test.most); got != test.want[i] {
				t.Errorf("%q, cut to %d by %s, is %q, want %q", test.text, test.most, by.name, got, test.want[i])
			}
		}
	}
}

func TestCut_ReturnsTheLongestBeginningOfWholeCharactersThatFits(t *testing.T) {
	t.Parallel()
	for _, by := range cuts {
		t.Run(by.name, rapid.MakeCheck(func(t *rapid.T) {
			text, most := rapid.String().Draw(t, "text"), rapid.IntRange(-1, 40).Draw(t, "most")
			got := by.cut(text, most)
			rest, isBeginning := strings.CutPrefix(text, got)
			switch {
			case !isBeginning || !utf8.ValidString(got):
				t.Fatalf("%q is no beginning of %q with whole characters", got, text)
			case by.size(got) > max(most, 0):
				t.Fatalf("%q has %d, more than %d", got, by.size(got), most)
			case by.cut(got, most) != got:
				t.Fatalf("%q is cut again", got)
			case rest != "":
				_, size := utf8.DecodeRuneInString(rest)
				if longer := got + rest[:size]; by.size(longer) <= most {
					t.Fatalf("%q fits, too", longer)
				}
			}
		}))
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text, most := rapid.String().Draw(t, "text"), rapid.IntRange(len("…"), 40).Draw(t, "most")
		got := texts.Short(text, most)
		cut, isCut := strings.CutSuffix(got, "…")
		switch {
		case len(text) <= most:
			if got != text {
				t.Fatalf("%q became %q, and fits as it is", text, got)
			}
		case !isCut || !strings.HasPrefix(text, cut):
			t.Fatalf("%q became %q", text, got)
		}
		if len(got) > most || !utf8.ValidString(got) || texts.Short(got, most) != got {
			t.Fatalf("%q became %q, which has %d bytes", text, got, len(got))
		}
	})
}
