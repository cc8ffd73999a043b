package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/ledgerport/ledgerport/ledger"
)

func TestHeldClaims_AreShownHarmlessAndRecordedExactly(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"\x1b[2J\x1b[31m", "\u009b31m", "\u202e\u2066", "\u200b\ufeff", "\u2028", "a\r\nb", strings.Repeat("x", 5000)} {
		for _, reason := range []ledger.HoldReason{ledger.HoldRejected, ledger.HoldUnmapped} {
			manifest := Manifest{Held: []manifestHeldClaim{{Claim: "c-" + text, Reason: reason, Detail: text}}}
			encoded, err := manifest.encode()
			if err != nil {
				t.Fatal(err)
			}
			var read Manifest
			if err := json.Unmarshal(encoded, &read); err != nil || read.Held[0].Claim != "c-"+text {
				t.Errorf("%q came back as %q (%v)", text, read.Held[0].Claim, err)
			}
			shown := read.firstHeld()[0]
			for _, said := range []string{shown.ID, shown.Message} {
				if len(said) > 300 || strings.ContainsFunc(said, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("%q is shown as %q", text, said)
				}
			}
		}
	}
}
