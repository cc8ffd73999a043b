package report

import (
	"strings"
	"testing"
	"unicode"

	"k8s.io/client-go/tools/events"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// hostileTexts are what a terminal obeys, hides or turns round, and what is no text.
var hostileTexts = []string{
	"\x1b[2J\x1b[31m", "\x1b]0;title\x07", "\u009b31m", "\x00", "\r\n\t", "\u202e\u2066", "\u200b\u200d\ufeff", "\u2028", "\xff\xfe", "\u00ad", "\ufe0f\u034f\u3164", "\U000e0041",
}

func harmless(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point)
	})
}

func TestForeignTexts(t *testing.T) {
	t.Parallel()
	for _, text := range hostileTexts {
		source := &v1alpha1.ClaimSource{}
		Of(source).Progressing(v1alpha1.ReasonDatabaseError, "it says "+text+" and more")
		recorder := events.NewFakeRecorder(2)
		Announce(recorder, source, nil, false)
		for door, said := range map[string]string{"a condition": source.Status.Conditions[0].Message, "an event": <-recorder.Events} {
			if !harmless(said) || !strings.Contains(said, "and more") {
				t.Errorf("%s says %q of %q", door, said, text)
			}
		}
	}
}
