package sie

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTextsAreWrittenInCodePage437(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"Swedish letters are there", "åäö ÅÄÖ éü", "åäö ÅÄÖ éü"},
		{"a Norwegian and Danish letter becomes a Swedish one", "Øre på Ærø", "Öre på Ærö"},
		{"letters lose the accents that the code page lacks", "Čapek, Dvořák, Škoda, ǿ", "Capek, Dvorák, Skoda, ö"},
		{"a letter and its accent become one character", "a\u030a e\u0301", "å é"},
		{"an accent without a letter is dropped", "\u0301x", "x"},
		{"the euro sign becomes its code", "5 €", "5 EUR"},
		{"quotes are escaped, typographic ones too", `"a" “b” ’c’`, `\"a\" \"b\" 'c'`},
		{"a backslash becomes a slash, in any width", `a\b＼`, "a/b/"},
		{"dashes, dots and fractions become ASCII", "1–2 — … ¾ ½", "1-2 - ... 3/4 ½"},
		{"spaces of all kinds become one, invisible characters nothing", "a\u00a0b\u2009c\u200bd\ufeff", "a b cd"},
		{"control characters become spaces", "a\tb\r\nc\x7f", "a b  c "},
		{"ligatures and full-width letters are taken apart", "ﬁnal Ａ", "final A"},
		{"a text is cut at its limit", strings.Repeat("å", 250), strings.Repeat("å", 200)},
		{"never within an escape", strings.Repeat("x", 199) + `""`, strings.Repeat("x", 199) + `\"`},
		{"what is cut off may be anything", strings.Repeat("x", 200) + "日", strings.Repeat("x", 200)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := encode(nil, test.text)
			if err != nil || decode(t, got) != test.want {
				t.Errorf("%q becomes %q (%v), want %q", test.text, decode(t, got), err, test.want)
			}
		})
	}
}

func TestTextsThatHaveNoReplacementAreRefusedByCodePoint(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"Я": "U+042F", "日本": "U+65E5", "🍜": "U+1F35C", "\xff": "U+FFFD", "㎡ЖЖ": "U+0416"} {
		if _, err := encode(nil, text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, want an error with %s and without the text", text, err, want)
		}
	}
}

func TestCodesAreWrittenExactlyOrNotAtAll(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"010": "010", "P 1": "P 1", "Åre-1": "Åre-1", `1"2`: `1\"2`, strings.Repeat("9", 300): strings.Repeat("9", 300),
		"Ø1": "", "5€": "", `a\b`: "", "{c} d": "", "c}": "", "a\tb": "", "a\x7f": "",
	} {
		got, err := encodeCode(nil, code)
		if (err == nil) != (want != "") || err == nil && decode(t, got) != want {
			t.Errorf("%q becomes %q (%v), want %q", code, decode(t, got), err, want)
		}
	}
}

// A text that was written is read as one field, and writing what was read changes nothing.
func TestTextsSurviveTheFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { survives(t, rapid.String().Draw(t, "text")) })
	rapid.Check(t, func(t *rapid.T) {
		survives(t, rapid.StringMatching(`["\\{} #åäöøØé€–“\t\r\nA-Z]{0,300}`).Draw(t, "text"))
	})
}

func FuzzTextsSurviveTheFile(f *testing.F) {
	for _, seed := range []string{"", `"`, `\`, `\"`, "} {", "å\u0301", "€¾ﬁ", "\x00\x1f\x7f\u0085", "日", "\xff", strings.Repeat(`"`, 201)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { survives(t, text) })
}

func survives(t interface{ Fatalf(string, ...any) }, text string) {
	encoded, err := encode([]byte(`#FNAMN "`), text)
	if err != nil {
		return
	}
	fields, err := split(append(encoded, '"', '\r', '\n'))
	if err != nil || len(fields) != 2 {
		t.Fatalf("%q is written as %q, which reads as %v (%v)", text, encoded, fields, err)
	}
	if read := fields[1].text; utf8.RuneCountInString(read) > maxText {
		t.Fatalf("%q is written with %d characters", text, utf8.RuneCountInString(read))
	}
	again, err := encode([]byte(`#FNAMN "`), fields[1].text)
	if err != nil || !bytes.Equal(again, encoded) {
		t.Fatalf("%q is written as %q, and what is read of it as %q (%v)", text, encoded, again, err)
	}
}
