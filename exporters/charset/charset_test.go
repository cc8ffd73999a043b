package charset_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/exporters/charset"
)

func TestTextsKeepWhatTheSetHasAndLoseNothingElseSilently(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		set        *charset.Charset
		text, want string
	}{
		{"code page 437 has Swedish letters", charset.CodePage437, "åäö ÅÄÖ éü", "åäö ÅÄÖ éü"},
		{"but not the ø of Norway", charset.CodePage437, "Øre på Ærø", "Öre på Ærö"},
		{"Windows-1252 has that, and print quotes", charset.Windows1252, "Ærø “5 €” – …", "Ærø “5 €” – …"},
		{"but no Polish letters", charset.Windows1252, "Łódź, Dvořák", "Lódz, Dvorák"},
		{"Latin 1 has no euro sign", charset.Latin1, "5 €", "5 EUR"},
		{"Latin 9 has", charset.Latin9, "5 € Œ", "5 € Œ"},
		{"UTF-8 has everything", charset.UTF8, "日本 🍜 ł", "日本 🍜 ł"},
		{"a letter and its accent become one character", charset.UTF8, "a\u030a e\u0301", "å é"},
		{"spaces of all kinds become one, invisible characters nothing", charset.Windows1252, "a\u00a0b\u2009c\u200bd\ufeff", "a b cd"},
		{"control characters become spaces, of both kinds", charset.Windows1252, "a\tb\r\nc\u0085", "a b  c "},
		{"banks take few characters", charset.SEPA, "Kundbesök hos “Ærø & Øst” – 5 €, {½} <y> µ…", "Kundbesok hos 'AEro + Ost' - 5 EUR, (1/2) (y) u..."},
		{"and each of the others has a replacement", charset.SEPA, "_*\"#!;@=%$£[]{}<>\\|~^`÷±°·•¿¡«»æÆßẞŧŦ\u2028\t.", "-.'.." + ",(at)-o/oUSDGBP()()()//-.':+-...''aeAEssSStT  ."},
		{"ligatures, fractions and full-width letters are taken apart", charset.Latin1, "ﬁnal Ａ ⅔", "final A 2/3"},
	}
	for _, test := range tests {
		got, err := test.set.AppendText([]byte("> "), test.text, charset.Unlimited)
		if err != nil || decode(t, test.set, got) != "> "+test.want {
			t.Errorf("%s: %q becomes %q (%v), want %q", test.name, test.text, decode(t, test.set, got), err, test.want)
		}
		if text, err := test.set.Transliterate(test.text); err != nil || text != test.want {
			t.Errorf("%s: %q is transliterated to %q (%v), want %q", test.name, test.text, text, err, test.want)
		}
	}
}

func TestTextsAreCutAfterACharacter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		set        *charset.Charset
		text       string
		limit      int
		want, name string
	}{
		{charset.UTF8, "åäö", 2, "åä", "characters count, not bytes"},
		{charset.Windows1252, "åäö", 2, "åä", "in a set of bytes too"},
		{charset.Windows1252, "abc日", 3, "abc", "what is cut off may be anything"},
		{charset.Latin1, "a€b", 3, "aEU", "a replacement counts as what it becomes"},
		{charset.UTF8, "abc", 0, "", "nothing fits nothing"},
	}
	for _, test := range tests {
		if got, err := test.set.AppendText(nil, test.text, test.limit); err != nil || decode(t, test.set, got) != test.want {
			t.Errorf("%s: %q becomes %q (%v), want %q", test.name, test.text, decode(t, test.set, got), err, test.want)
		}
	}
}

func TestWhatHasNoReplacementIsRefusedByItsCodePoint(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"Я": "U+042F", "日本": "U+65E5", "🍜": "U+1F35C", "\xff": "U+FFFD", "㎡ЖЖ": "U+0416"} {
		_, err := charset.Windows1252.AppendText(nil, text, charset.Unlimited)
		if err == nil || !strings.Contains(err.Error(), want+", which windows-1252 lacks") || strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, want an error with %s and without the text", text, err, want)
		}
	}
	if _, err := charset.UTF8.AppendText(nil, "\xff", charset.Unlimited); err == nil {
		t.Error("a text that is not UTF-8 is written as UTF-8")
	}
}

func TestCodesAreWrittenExactlyOrNotAtAll(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{"010": "010", "P 1": "P 1", "Åre-1": "Åre-1", "A\u030a": "Å", "Ł1": "", "a\tb": "", "a\x7f": "", "a\u0085": "", "\xff": ""} {
		got, err := charset.Windows1252.AppendCode([]byte(">"), code)
		if (err == nil) != (want != "") || decode(t, charset.Windows1252, got) != ">"+want {
			t.Errorf("%q becomes %q (%v), want %q", code, decode(t, charset.Windows1252, got), err, want)
		}
	}
}

func TestCodesForBanksHaveTheirCharactersAlone(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{"E/2026/17": true, "(a-b): c, d.'+?": true, "a_b": false, "Å": false, "a;b": false} {
		if got, err := charset.SEPA.AppendCode(nil, code); (err == nil) != want || want && string(got) != code {
			t.Errorf("%q becomes %q (%v)", code, got, err)
		}
	}
}

func TestSetsAreFoundByName(t *testing.T) {
	t.Parallel()
	for _, name := range charset.Names() {
		if set, ok := charset.ByName(name); !ok || set.Name() != name {
			t.Errorf("%s returns %v", name, set)
		}
	}
	if _, ok := charset.ByName("latin1"); ok || len(charset.Names()) != 5 {
		t.Errorf("the names are %q", charset.Names())
	}
}

// Replaced text is text that the set has: writing what was read changes nothing.
func TestTransliterationIsStable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { stable(t, rapid.String().Draw(t, "text"), rapid.IntRange(0, 60).Draw(t, "limit")) })
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "å\u0301", "€¾ﬁ", "\x00\x1f\x7f\u0085", "日", "\xff", "\u0301", "ẞ\u200d", strings.Repeat("é", 70)} {
		f.Add(seed, 60)
	}
	f.Fuzz(func(t *testing.T, text string, limit int) { stable(t, text, max(limit%1000, charset.Unlimited)) })
}

func stable(t interface{ Fatalf(string, ...any) }, text string, limit int) {
	for _, name := range append(charset.Names(), charset.SEPA.Name()) {
		set, known := charset.ByName(name)
		if !known {
			set = charset.SEPA
		}
		encoded, err := set.AppendText(nil, text, limit)
		if err != nil {
			continue
		}
		read := decode(t, set, encoded)
		if limit >= 0 && utf8.RuneCountInString(read) > limit {
			t.Fatalf("%s: %q has more than %d characters", name, read, limit)
		}
		again, err := set.AppendText(nil, read, charset.Unlimited)
		if err != nil || !bytes.Equal(again, encoded) {
			t.Fatalf("%s: %q is written as %q, and what is read of it as %q (%v)", name, text, encoded, again, err)
		}
	}
}

func decode(t interface{ Fatalf(string, ...any) }, set *charset.Charset, encoded []byte) string {
	tables := map[*charset.Charset]*charmap.Charmap{
		charset.CodePage437: charmap.CodePage437, charset.Windows1252: charmap.Windows1252,
		charset.Latin1: charmap.ISO8859_1, charset.Latin9: charmap.ISO8859_15,
	}
	table, ok := tables[set]
	if !ok {
		return string(encoded)
	}
	text, err := table.NewDecoder().Bytes(encoded)
	if err != nil {
		t.Fatalf("%q is not %s: %v", encoded, set.Name(), err)
	}
	return string(text)
}

func TestThePageListsEveryLetterThatIsReplaced(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "exporters", "characters.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, character := range "øØœŒłŁđĐðÐþÞħĦıŋŊẞ€§©®×‰•⁄¦μ" {
		if !strings.ContainsRune(string(page), character) {
			t.Errorf("the replacement of %c is not on it", character)
		}
	}
}
