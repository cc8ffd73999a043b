package printable_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/internal/printable"
)

func TestLine(t *testing.T) {
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
		if got := printable.Line(text, 100); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestLine_CutsAtTheEndOfACharacter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"1234567890", "1234567890"},
		{"12345678901", "1234567…"},
		{"€€€€", "€€…"},
		{"ab\x1b\x1b\x1b", `ab\x1b…`},
		{strings.Repeat("\x1b", 1<<20), `\x1b…`},
	} {
		if got := printable.Line(test.text, 10); got != test.want {
			t.Errorf("%.20q became %q, want %q", test.text, got, test.want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("\x1b[31m\u202e\xff€", uint16(10))
	f.Fuzz(func(t *testing.T, text string, most uint16) {
		line := printable.Line(text, int(most))
		if !utf8.ValidString(line) || len(line) > max(int(most), len("…")) || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q became %q", text, line)
		}
		if len(line) <= int(most) && printable.Line(line, int(most)) != line {
			t.Errorf("%q is not left as it is", line)
		}
	})
}

func TestHandler(t *testing.T) {
	t.Parallel()
	const hostile = "\u009b31m\x1b[2J\u202ered"
	var out bytes.Buffer
	log := slog.New(printable.Handler(slog.NewJSONHandler(&out, nil))).With("with", hostile).WithGroup("group")
	log.Info(hostile, "text", hostile, "error", errors.New(hostile), slog.Group("inner", "text", hostile), "number", 1)
	for _, bad := range []string{"\u009b", "\x1b", "\u202e"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("%q is in %q", bad, out.String())
		}
	}
	if n := strings.Count(out.String(), `\\u009b31m\\x1b[2J\\u202ered`); n != 5 {
		t.Errorf("%d of 5 texts can be read: %s", n, out.String())
	}
}
