package exportrun

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// reversalOf is a run that reversed claims of the run "first", in a ledger.
func reversalOf(name string, claims int64, ledger string) v1alpha1.ExportRun {
	run := v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Name: name}}
	run.Spec.ExportRef.Name = "monthly"
	run.Status.Phase, run.Status.Claims = v1alpha1.RunSucceeded, claims
	run.Status.Ledger = &v1alpha1.RunLedger{ID: ledger}
	return run
}

func TestReversedBy(t *testing.T) {
	t.Parallel()
	ended := func(run v1alpha1.ExportRun, minute int) v1alpha1.ExportRun {
		run.Status.CompletedAt = &metav1.Time{Time: time.Date(2026, 11, 1, 0, minute, 0, 0, time.UTC)}
		return run
	}
	failed, other := reversalOf("failed", 2, "here"), reversalOf("other", 2, "here")
	failed.Status.Phase, other.Spec.ExportRef.Name = v1alpha1.RunFailed, "other"
	for name, test := range map[string]struct {
		known     []v1alpha1.Reversing
		counted   int64
		reversals []v1alpha1.ExportRun
		want      string
	}{
		"of nothing": {want: "[] 0 "},
		"of what failed, or reversed another run": {reversals: []v1alpha1.ExportRun{failed, other, reversalOf("elsewhere", 2, "there")}, want: "[] 0 "},
		"of some claims": {reversals: []v1alpha1.ExportRun{reversalOf("a", 2, "here")}, want: "[{a 2}] 2 Partly"},
		"of all claims, in the order in which it was": {reversals: []v1alpha1.ExportRun{ended(reversalOf("a", 2, "here"), 2), ended(reversalOf("b", 3, "here"), 1)}, want: "[{b 3} {a 2}] 5 Wholly"},
		"keeps a reversal whose ExportRun is gone":    {known: []v1alpha1.Reversing{{Name: "a", Claims: 2}}, counted: 2, reversals: []v1alpha1.ExportRun{reversalOf("b", 3, "here")}, want: "[{a 2} {b 3}] 5 Wholly"},
		"changes nothing the second time":             {known: []v1alpha1.Reversing{{Name: "a", Claims: 2}}, counted: 2, reversals: []v1alpha1.ExportRun{reversalOf("a", 2, "here")}, want: "[{a 2}] 2 Partly"},
		"counts no less where it does not name all":   {known: []v1alpha1.Reversing{{Name: "a", Claims: 2}}, counted: 4, reversals: []v1alpha1.ExportRun{reversalOf("a", 2, "here")}, want: "[{a 2}] 4 Partly"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := reversalOf("first", 5, "here")
			run.Status.ReversedBy, run.Status.ReversedClaims = test.known, test.counted
			reversedBy(&run, test.reversals)
			if got := fmt.Sprint(run.Status.ReversedBy, run.Status.ReversedClaims, " ", run.Status.Reversed); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
	t.Run("names no more than the API server takes, and counts all", func(t *testing.T) {
		t.Parallel()
		run := reversalOf("first", 150, "here")
		var reversals []v1alpha1.ExportRun
		for n := range 150 {
			reversals = append(reversals, ended(reversalOf(fmt.Sprint(n), 1, "here"), n))
		}
		for range 2 {
			reversedBy(&run, slices.Clone(reversals))
			if len(run.Status.ReversedBy) != mostReversals || run.Status.ReversedBy[99].Name != "99" || run.Status.Reversed != v1alpha1.WhollyReversed || run.Status.ReversedClaims != 150 {
				t.Errorf("%d names, %d claims, %s", len(run.Status.ReversedBy), run.Status.ReversedClaims, run.Status.Reversed)
			}
		}
	})
}
