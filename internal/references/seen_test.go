package references

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// allRuns is a cache of runs, with their index, and of one export.
type allRuns struct {
	runs   []v1alpha1.ExportRun
	export v1alpha1.AccountingExport
	handed int // runs that were listed
}

// Get implements client.Reader.
func (a *allRuns) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	a.export.DeepCopyInto(into.(*v1alpha1.AccountingExport))
	return nil
}

// List implements client.Reader.
func (a *allRuns) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	asked := (&client.ListOptions{}).ApplyOptions(options)
	for i := range a.runs {
		run := &a.runs[i]
		if asked.Namespace != "" && run.Namespace != asked.Namespace {
			continue
		}
		if asked.FieldSelector != nil {
			if scope, _ := asked.FieldSelector.RequiresExactMatch(LedgerIndex); !slices.Contains(LedgerKeys(run), scope) {
				continue
			}
		}
		list := into.(*v1alpha1.ExportRunList)
		list.Items = append(list.Items, *run)
		a.handed++
	}
	return nil
}

// TestWhatWasSeenIsWhatACacheOfAllRunsHas compares what a process finds that was given what was seen with what one finds that sees all.
func TestWhatWasSeenIsWhatACacheOfAllRunsHas(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- a test
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	for range 500 {
		all := &allRuns{}
		all.export.Namespace, all.export.Name, all.export.Spec.OrganizationID = "acme", "monthly", "one"
		for n := range random.IntN(30) {
			run := v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: pick("acme", "expenses", "other"), Name: fmt.Sprint("run-", n)}}
			run.Spec.ExportRef.Name = pick("monthly", "weekly")
			run.Status.SourceRef = &v1alpha1.NamespacedReference{Namespace: pick("expenses", "other"), Name: pick("claims", "more")}
			if random.IntN(5) > 0 {
				run.Status.Ledger = &v1alpha1.RunLedger{ID: pick("A", "B"), Sequence: random.Int64N(20), RunID: run.Name, OrganizationID: pick("one", "two")}
				run.Status.CompletedAt = &metav1.Time{Time: time.Unix(random.Int64N(50), 0)}
			}
			all.runs = append(all.runs, run)
		}
		source := &v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Namespace: "expenses", Name: "claims"}}
		whole := &Resolver{Objects: all}
		seen, err := whole.Seen(t.Context(), client.ObjectKeyFromObject(source), "acme", "monthly")
		if err != nil {
			t.Fatal(err)
		}
		given := &Resolver{Objects: carried(t, seen).Over(all)}
		for _, scope := range seen.Scopes {
			if want, got := newest(t, whole, scope), newest(t, given, scope); got != want {
				t.Fatalf("the newest of %s is %s, want %s, of %s", scope, got, want, text(t, seen))
			}
		}
		for _, ledger := range []string{"A", "B"} {
			for _, export := range []*v1alpha1.AccountingExport{nil, &all.export} {
				want := mostOf(all.runs, ledger, source, export)
				if got := most(t, whole, ledger, source, export); got != want {
					t.Fatalf("the most that was seen of %s is %d, want %d", ledger, got, want)
				}
				if got := most(t, given, ledger, source, export); got != want {
					t.Fatalf("the most that was seen of %s is %d, want %d, of %s", ledger, got, want, text(t, seen))
				}
			}
		}
	}
}

func TestWhatWasNotLookedAtIsNotTakenForUnseen(t *testing.T) {
	t.Parallel()
	all := &allRuns{}
	all.export.Namespace, all.export.Name, all.export.Spec.OrganizationID = "acme", "monthly", "one"
	seen, err := (&Resolver{Objects: all}).Seen(t.Context(), types.NamespacedName{Namespace: "expenses", Name: "claims"}, "acme", "monthly")
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&Resolver{Objects: seen.Over(all)}).newestRun(t.Context(), organizationKey("acme", "two"))
	if err == nil {
		t.Error("an organisation that was not looked at has no runs, it seems")
	}
}

// carried is what is left of something that was seen on its way to another process.
func carried(t *testing.T, seen Seen) (arrived Seen) {
	t.Helper()
	if err := json.Unmarshal([]byte(text(t, seen)), &arrived); err != nil {
		t.Fatal(err)
	}
	return arrived
}

func text(t *testing.T, seen Seen) string {
	t.Helper()
	encoded, err := json.Marshal(seen)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// newest is the end and the sequence of the newest run of a scope; several may have both.
func newest(t *testing.T, r *Resolver, scope string) string {
	t.Helper()
	run, err := r.newestRun(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	if run == nil {
		return "none"
	}
	return fmt.Sprint(run.Status.CompletedAt.Unix(), "/", run.Status.Ledger.Sequence)
}

// most is the highest sequence that was seen of a ledger by runs that concern a source and an export.
func most(t *testing.T, r *Resolver, ledger string, source *v1alpha1.ClaimSource, export *v1alpha1.AccountingExport) (most int64) {
	t.Helper()
	run, err := r.seenMost(t.Context(), ledger, source, export)
	if err != nil {
		t.Fatal(err)
	}
	if run == nil {
		return -1
	}
	return run.Status.Ledger.Sequence
}

// concerns reports whether a source, and an export if one is given, go by what a run has seen of a ledger.
func concerns(run *v1alpha1.ExportRun, source *v1alpha1.ClaimSource, export *v1alpha1.AccountingExport) bool {
	at := run.Status.SourceRef
	return run.Namespace == source.Namespace || export != nil && run.Namespace == export.Namespace ||
		at != nil && at.Namespace == source.Namespace && at.Name == source.Name
}

// mostOf is the highest sequence of a ledger that any of the runs has seen that concern a source and an export.
func mostOf(runs []v1alpha1.ExportRun, ledger string, source *v1alpha1.ClaimSource, export *v1alpha1.AccountingExport) (most int64) {
	most = -1
	for i := range runs {
		if seen := runs[i].Status.Ledger; seen != nil && seen.ID == ledger && concerns(&runs[i], source, export) {
			most = max(most, seen.Sequence)
		}
	}
	return most
}

// TestRunsOfOthersThatNameTheLedgerCostNothing: the database of any tenant may say that it is the ledger of another.
func TestRunsOfOthersThatNameTheLedgerCostNothing(t *testing.T) {
	t.Parallel()
	all := &allRuns{}
	all.export.Namespace, all.export.Name = "acme", "monthly"
	for n := range 1000 {
		run := v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "mallory", Name: fmt.Sprint("run-", n)}}
		run.Status.SourceRef = &v1alpha1.NamespacedReference{Namespace: "mallory", Name: "claims"}
		run.Status.Ledger = &v1alpha1.RunLedger{ID: "A", Sequence: int64(n)}
		all.runs = append(all.runs, run)
	}
	source := &v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Namespace: "expenses", Name: "claims"}}
	if got := most(t, &Resolver{Objects: all}, "A", source, &all.export); got != -1 || all.handed > 0 {
		t.Errorf("%d runs of another tenant are looked at, and the most that was seen is %d; want none", all.handed, got)
	}
}
