package charset

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestGuardFormulas(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "Taxi": "Taxi", "a=1": "a=1", "a-b": "a-b", "A - B": "A - B", "it's -5": "it's -5", "10:30": "10:30", "e@example.org": "e@example.org",
		"=1": "'=1", "+1": "'+1", "-1+1": "'-1+1", "@SUM": "'@SUM", "\tx": "'\tx", "\rx": "'\rx", "\nx": "'\nx", "\t=1": "'\t'=1",
		" =1": " '=1", "\u00a0\u200b=1": "\u00a0\u200b'=1", "\ufeff=1": "\ufeff'=1", "\u202e\u2066=1": "\u202e\u2066'=1", "\u3164=1": "\u3164'=1", "\u00ad\ufe0f@x": "\u00ad\ufe0f'@x",
		"＝1": "'＝1", "＋1": "'＋1", "－1": "'－1", "＠x": "'＠x", "\u22121": "'\u22121", "\ufe631": "'\ufe631", "\ufe62": "'\ufe62", "\ufe66": "'\ufe66", "\ufe6b": "'\ufe6b",
		"\u207c": "'\u207c", "\u2212\u2212": "'\u2212\u2212", "–1": "'–1", "\u2010": "'\u2010", "\ufb29": "'\ufb29", "≠": "'≠",
		"a;=1": "a;'=1", "a,=1": "a,'=1", "a\t=1": "a\t'=1", "a|@x": "a|'@x", "a: -5": "a: '-5", "a\n=1": "a\n'=1", "a\"=1": "a\"'=1", "a；＝1": "a；'＝1", "a,\u200b =1": "a,\u200b '=1",
		"=1;=2,+3": "'=1;'=2,'+3", "'=1": "'=1", "a;'=1": "a;'=1", "\"=1\"": "\"'=1\"", "\" =1": "\" '=1", "a;\" =1": "a;\" '=1", "“Kontoret” – 3": "“Kontoret” – 3", "a\" -1": "a\" -1", "a\"\u200b-1": "a\"\u200b'-1", "“=1": "“'=1", "\xff=1": "\xff=1",
	} {
		if got := GuardFormulas(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestATextThatNeedsNoGuardTakesNoMemory(t *testing.T) {
	if allocations := testing.AllocsPerRun(10, func() { GuardFormulas("Mittagessen mit Kunden, 4 Personen: Köln – Bonn") }); allocations > 0 {
		t.Errorf("a text that needs no guard takes %v allocations", allocations)
	}
}

// hostile are texts of what matters: signs, separators, quotes, what is not seen, and what becomes one of those.
var hostile = rapid.Custom(func(t *rapid.T) string {
	parts := []string{
		"=", "+", "-", "@", "＝", "＋", "－", "＠", "\u2212", "\ufe63", "\u207a", "–", "≠", "±", "⩴", ",", ";", "\t", "|", ":", "^", "~", "\"", "'", "；", "，", "“", "\r", "\n",
		" ", "\u00a0", "\u200b", "\ufeff", "\u202e", "\u00ad", "\u3164", "\u0301", "a", "1", "cmd", "ø",
	}
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 8).Draw(t, "parts"), "")
})

// TestNoCellOfAGuardedTextBeginsAFormula reads what each set makes of a guarded text as spreadsheets do, with each separator.
func TestNoCellOfAGuardedTextBeginsAFormula(t *testing.T) {
	t.Parallel()
	sets := []*Charset{UTF8, CodePage437, Windows1252, Latin1, Latin9}
	rapid.Check(t, func(t *rapid.T) { guarded(t, hostile.Draw(t, "text"), sets) })
}

func FuzzNoCellOfAGuardedTextBeginsAFormula(f *testing.F) {
	f.Add("a;=1")
	f.Add("\u200b＝1")
	f.Add("⩴⩴")
	f.Fuzz(func(t *testing.T, text string) {
		if utf8.ValidString(text) {
			guarded(t, text, []*Charset{UTF8, CodePage437, Windows1252, Latin1, Latin9})
		}
	})
}

func guarded(t interface {
	Fatalf(format string, args ...any)
}, text string, sets []*Charset) {
	guarded := GuardFormulas(text)
	if again := GuardFormulas(guarded); again != guarded {
		t.Fatalf("%q becomes %q and then %q", text, guarded, again)
	}
	written := []string{guarded}
	for _, set := range sets {
		if text, err := set.Transliterate(guarded); err == nil {
			written = append(written, text)
		}
	}
	for _, text := range written {
		for _, separator := range ",;\t|:^~\n\r\"" {
			for _, cell := range strings.Split(text, string(separator)) {
				if separator != '"' {
					cell = strings.TrimLeftFunc(cell, func(r rune) bool { return roleOf(r) == blank || roleOf(r) == unseen || r == '"' })
				}
				if cell != "" && strings.ContainsAny(cell[:1], "=+-@") {
					t.Fatalf("%q has the cell %q", text, cell)
				}
			}
		}
	}
}
