package texts_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/texts"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                    "",
		"plain, größer €, 日本":                 "plain, größer €, 日本",
		"two\r\n\tlines\u2028and\u00a0on":     "two   lines and on",
		"\x1b[31mred\x1b]0;title\x07":         `\x1b[31mred\x1b]0;title\a`,
		"\u009b31mred\x7f\x00":                `\u009b31mred\x7f\x00`,
		"cp-1\u202e54321\u2066\u2069":         `cp-1\u202e54321\u2066\u2069`,
		"a\u200bb\u200d\ufeff\u00ad\u2060":    `a\u200bb\u200d\ufeff\u00ad\u2060`,
		"x\ufe0f\u034f\u3164\u2800\U000e0041": `x\ufe0f\u034f\u3164\u2800\U000e0041`,
		"latin\xff\xc3":                       `latin\xff\xc3`,
		"replaced \ufffd":                     "replaced \ufffd",
	} {
		if got := texts.Printable(text, 100); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestPrintable_CutsAtTheEndOfACharacter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"1234567890", "1234567890"},
		{"12345678901", "1234567…"},
		{"€€€€", "€€…"},
		{"ab\x1b\x1b\x1b", `ab\x1b…`},
		{strings.Repeat("\x1b", 1<<20), `\x1b…`},
	} {
		if got := texts.Printable(test.text, 10); got != test.want {
			t.Errorf("%.20q became %q, want %q", test.text, got, test.want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b[31m\u202e\xff€", uint16(10))
	f.Fuzz(func(t *testing.T, text string, most uint16) {
		line := texts.Printable(text, int(most))
		if !utf8.ValidString(line) || len(line) > max(int(most), len("…")) || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q became %q", text, line)
		}
		if len(line) <= int(most) && texts.Printable(line, int(most)) != line {
			t.Errorf("%q is not left as it is", line)
		}
	})
}

func TestID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"cp-1":                        "cp-1",
		"größer 🍜\ufe0f":              "größer 🍜\ufe0f",
		strings.Repeat("x", 1000):     strings.Repeat("x", 1000),
		"c\x1b[2J":                    "c\ufffd[2J… (ff1f51123edb2e21)",
		"\xff":                        "\ufffd… (a8100ae6aa1940d0)",
		"a\u202eb":                    "a\ufffdb… (1f7a9d5e8e213a52)",
		strings.Repeat("x", 1001):     strings.Repeat("x", 100) + "… (cbe4a2e86e808c9b)",
		strings.Repeat("x", 99) + "ö": strings.Repeat("x", 99) + "ö",
	} {
		if got := texts.ID(text, 1000); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func FuzzID(f *testing.F) {
	f.Add("cp-1", "c\x1b[2J")
	f.Fuzz(func(t *testing.T, one, other string) {
		const most = 1000
		id := texts.ID(one, most)
		if len(id) > most || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) || texts.ID(id, most) != id {
			t.Errorf("%q became %q", one, id)
		}
		if one != other && id == texts.ID(other, most) {
			t.Errorf("%q and %q both became %q", one, other, id)
		}
	})
}
