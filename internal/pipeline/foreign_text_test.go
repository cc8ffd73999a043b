package pipeline

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/footprint"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestHeldClaims_AreShownHarmlessAndRecordedExactly(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"\x1b[2J\x1b[31m", "\u009b31m", "\u202e\u2066", "\u200b\ufeff", "\u2028", "a\r\nb", strings.Repeat("x", 5000)} {
		for _, reason := range []ledger.HoldReason{ledger.HoldRejected, ledger.HoldUnmapped} {
			figures := artifact.NewFigures(ledger.Currency{})
			figures.Hold(&ledger.Hold{ClaimID: "c-" + text, Reason: reason, Message: text})
			encoded, err := json.Marshal(figures.Held)
			if err != nil {
				t.Fatal(err)
			}
			var read []artifact.HeldClaim
			if err := json.Unmarshal(encoded, &read); err != nil || read[0].Claim != "c-"+text {
				t.Errorf("%q came back as %q (%v)", text, read[0].Claim, err)
			}
			shown := firstHeld(read, false)[0]
			for _, said := range []string{shown.ID, shown.Message} {
				if len(said) > 300 || strings.ContainsFunc(said, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("%q is shown as %q", text, said)
				}
			}
		}
	}
}

// TestAStatusHasSomeOfTheHeldClaims has more claims rejected than a status names.
func TestAStatusHasSomeOfTheHeldClaims(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	shown := firstHeld(slices.Repeat([]artifact.HeldClaim{{Claim: long, Reason: ledger.HoldRejected, Detail: long}}, 100), false)
	for i, held := range shown {
		if held.Message == "" || held.Reason != string(ledger.HoldRejected) {
			t.Errorf("the claim %d has %q, and a message of %d bytes", i, held.Reason, len(held.Message))
		}
	}
	if bytes := footprint.Of(shown); len(shown) != 20 || bytes > 20<<10 {
		t.Errorf("%d claims take %d bytes", len(shown), bytes)
	}
}

// TestDocumentsOnRecordAreNotDecodedBeyondWhatIsMeant has short documents whose lists would take a hundred times their length in memory.
func TestDocumentsOnRecordAreNotDecodedBeyondWhatIsMeant(t *testing.T) {
	t.Parallel()
	list := func(element string, of int) string { return "[" + element + strings.Repeat(","+element, of-1) + "]" }
	for name, document := range map[string]string{
		"a chart with a million rules":            `{"chart": {"rules": ` + list("0", 1_000_000) + `}}`,
		"a chart with 20,000 rules":               `{"chart": {"rules": ` + list("{}", 20_000) + `}}`,
		"a chart with 20,000 accounts":            `{"chart": {"accounts": ` + list("{}", 20_000) + `}}`,
		"a rule with a million categories":        `{"chart": {"rules": [{"match": {"categories": ` + list(`""`, 1_000_000) + `}}]}}`,
		"a manifest with a million held claims":   `{"held": ` + list("0", 1_000_000) + `}`,
		"a manifest with a million things behind": `{"submission": {"system": {` + strings.Repeat(`"a":"",`, 1_000_000) + `"b":""}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := claims.Run{RunIdentity: claims.RunIdentity{ID: "1"}, Inputs: []byte(document), Rendered: claims.Rendered{Manifest: []byte(document)}}
			recorded, err := inputsOf(run)
			if rules := len(recorded.Chart.Rules); err == nil && !strings.Contains(name, "manifest") || rules > 20_000 {
				t.Errorf("the inputs are read, with %d rules (%v)", rules, err)
			}
			if manifest, err := run.ReadManifest(); err == nil || len(manifest.Held) > 0 {
				t.Errorf("the manifest is read, with %d held claims (%v)", len(manifest.Held), err)
			}
		})
	}
}
