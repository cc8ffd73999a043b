package texts_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/texts"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	const hostile = "\u009b31m\x1b[2J\u202ered"
	var out bytes.Buffer
	log := slog.New(texts.Handler(slog.NewJSONHandler(&out, nil))).With("with", hostile).WithGroup("group")
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
