package ledger_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/ledger"
)

func TestSelection(t *testing.T) {
	t.Parallel()
	claim := &ledger.Claim{ID: "c1", ClaimantID: "E7", Currency: "NOK", Description: "Oslo", Lines: []ledger.Line{{Category: "travel"}, {Category: "hotel"}, {Category: "travel"}}}
	for name, c := range map[string]struct {
		expression string
		want       bool
	}{
		"none selects every claim":              {"", true},
		"by the currency":                       {`claim.currency == "EUR"`, false},
		"by the claimant":                       {`claim.claimant_id.startsWith("E")`, true},
		"where some line is of a category":      {`"hotel" in claim.categories`, true},
		"where every line is of one":            {`claim.categories.all(c, c == "travel")`, false},
		"by how many categories its lines have": {`claim.categories.size() == 2`, true},
		"by when it was approved, in years":     {`claim.approved_at.getFullYear() >= 2026`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			selection, err := ledger.NewSelection(c.expression)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := selection.Includes(t.Context(), claim); err != nil || got != c.want {
				t.Errorf("got %t (%v), want %t", got, err, c.want)
			}
		})
	}
	t.Run("an expression that fails holds the claim", func(t *testing.T) {
		t.Parallel()
		selection, err := ledger.NewSelection(`claim.categories[7] == "travel"`)
		if err != nil {
			t.Fatal(err)
		}
		var hold *ledger.Hold
		if _, err := selection.Includes(t.Context(), claim); !errors.As(err, &hold) || hold.Reason != ledger.HoldExpressionFailed || hold.ClaimID != "c1" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a claim that is held anyway, or has texts that no file carries, is not looked at", func(t *testing.T) {
		t.Parallel()
		selection, err := ledger.NewSelection(`claim.categories[7] == "travel"`) // which fails
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			claim ledger.Claim
			want  ledger.HoldReason
		}{
			{ledger.Claim{ID: "c1", Held: &ledger.Hold{ClaimID: "c1", Reason: ledger.HoldInvalidAmount}}, ledger.HoldInvalidAmount},
			{ledger.Claim{ID: "c1", Description: strings.Repeat("x", ledger.MaxTextLength+1)}, ledger.HoldInvalidText},
			{ledger.Claim{ID: "c1", Lines: []ledger.Line{{Category: "a\x00"}}}, ledger.HoldInvalidText},
		} {
			var hold *ledger.Hold
			if included, err := selection.Includes(t.Context(), &c.claim); included || !errors.As(err, &hold) || hold.Reason != c.want {
				t.Errorf("%t, %v, want a hold for %s", included, err, c.want)
			}
		}
	})
	for _, source := range []string{`line.category == "travel"`, `claim.currency`, `claim.claimant_name == "x"`, `(`} {
		if _, err := ledger.NewSelection(source); err == nil {
			t.Errorf("%q is taken", source)
		}
	}
}

// TestAnExpressionThatAsksForTheCategoriesAgainAndAgainMakesThemOnce has as many lines as a claim may have: a list for each of them
// would be more memory than the operator has.
func TestAnExpressionThatAsksForTheCategoriesAgainAndAgainMakesThemOnce(t *testing.T) {
	const lines = 10_000 // of a claim, at most
	claim := &ledger.Claim{ID: "c1", Currency: "NOK"}
	for i := range lines {
		claim.Lines = append(claim.Lines, ledger.Line{Category: fmt.Sprint("c", i)})
	}
	selection, err := ledger.NewSelection(`claim.categories.all(c, claim.categories.size() > 0)`)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = selection.Includes(t.Context(), claim)
	runtime.ReadMemStats(&after)
	var hold *ledger.Hold
	if err != nil && !errors.As(err, &hold) {
		t.Fatal(err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 64<<20 {
		t.Errorf("%d MiB were allocated for one claim (%v)", allocated>>20, err)
	}
}
