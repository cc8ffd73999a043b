package texts_test

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/texts"
)

func TestOneLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", " taxi ": "taxi", "taxi\r\n\tto town\n": "taxi to town", "two  spaces": "two  spaces", "\n": "", "a\n \nb": "a   b",
	} {
		if got := texts.OneLine(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestOneSpace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "\ta  b\t": "a b", "a\u00a0\x00b\r\n": "a b", "\u2028": "",
	} {
		if got := texts.OneSpace(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestOneLineAndOneSpace_KeepEverythingElse(t *testing.T) {
	t.Parallel()
	without := func(space func(rune) bool) func(string) string {
		return func(text string) string {
			return strings.Map(func(r rune) rune {
				if space(r) {
					return -1
				}
				return r
			}, text)
		}
	}
	for _, test := range []struct {
		name    string
		made    func(string) string
		gone    func(rune) bool
		without func(string) string
	}{
		{"OneLine", texts.OneLine, func(r rune) bool { return strings.ContainsRune("\t\r\n", r) }, without(unicode.IsSpace)},
		{"OneSpace", texts.OneSpace, func(r rune) bool { return r != ' ' && (unicode.IsSpace(r) || unicode.IsControl(r)) },
			without(func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })},
	} {
		t.Run(test.name, rapid.MakeCheck(func(t *rapid.T) {
			text := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune(" \t\r\n\u00a0")))).Draw(t, "text")
			got := test.made(text)
			if strings.ContainsFunc(got, test.gone) || got != strings.TrimSpace(got) || test.without(got) != test.without(text) || test.made(got) != got {
				t.Fatalf("%q became %q", text, got)
			}
		}))
	}
}
