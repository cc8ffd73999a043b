package references

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// Seen is what the runs of a cluster have seen of ledgers, as far as a source and an export go by it: what CheckLedger finds in a cache of
// all runs, for a process that has none. It is a few runs, however many there are.
type Seen struct {
	// Scopes that were looked at: the source, the export and its organisation.
	Scopes []string `json:"scopes"`
	// Runs are the newest of each scope, and those that have seen the most of each ledger.
	Runs []SeenRun `json:"runs,omitempty"`
}

// SeenRun is a run with what CheckLedger reads of it.
type SeenRun struct {
	Namespace   string                        `json:"namespace"`
	Name        string                        `json:"name"`
	Export      string                        `json:"export"`
	Source      *v1alpha1.NamespacedReference `json:"source,omitempty"`
	Ledger      v1alpha1.RunLedger            `json:"ledger"`
	CompletedAt *metav1.Time                  `json:"completedAt,omitempty"`
}

// Seen finds what runs have seen of the ledgers that an export of a source may meet.
func (r *Resolver) Seen(ctx context.Context, source types.NamespacedName, namespace, name string) (Seen, error) {
	export, err := r.Export(ctx, namespace, name)
	if err != nil {
		return Seen{}, err
	}
	seen := Seen{Scopes: []string{sourceKey(source), exportKey(namespace, name), organizationKey(namespace, export.Spec.OrganizationID)}}
	found := map[types.NamespacedName]*v1alpha1.ExportRun{}
	for _, scope := range seen.Scopes {
		newest, err := r.newestRun(ctx, scope)
		if err != nil {
			return Seen{}, err
		}
		if newest != nil {
			found[client.ObjectKeyFromObject(newest)] = newest
		}
	}
	if err := r.farthest(ctx, source, namespace, found); err != nil {
		return Seen{}, err
	}
	for _, key := range slices.SortedFunc(maps.Keys(found), func(a, b types.NamespacedName) int { return cmp.Compare(a.String(), b.String()) }) {
		run := found[key]
		seen.Runs = append(seen.Runs, SeenRun{
			Namespace: run.Namespace, Name: run.Name, Export: run.Spec.ExportRef.Name, Source: run.Status.SourceRef,
			Ledger: *run.Status.Ledger, CompletedAt: run.Status.CompletedAt,
		})
	}
	return seen, nil
}

// farthest finds the runs that have seen the most of each ledger, among those that a source goes by, and among those of the export's namespace.
func (r *Resolver) farthest(ctx context.Context, source types.NamespacedName, namespace string, found map[types.NamespacedName]*v1alpha1.ExportRun) error {
	for _, of := range [][]client.ListOption{
		{client.MatchingFields{LedgerIndex: sourceKey(source)}}, {client.InNamespace(source.Namespace)}, {client.InNamespace(namespace)},
	} {
		var runs v1alpha1.ExportRunList
		if err := r.Objects.List(ctx, &runs, of...); err != nil {
			return err
		}
		most := map[string]*v1alpha1.ExportRun{} // by ledger
		for i := range runs.Items {
			run := &runs.Items[i]
			if run.Status.Ledger == nil {
				continue
			}
			if last := most[run.Status.Ledger.ID]; last == nil || last.Status.Ledger.Sequence < run.Status.Ledger.Sequence {
				most[run.Status.Ledger.ID] = run
			}
		}
		for _, run := range most {
			found[client.ObjectKeyFromObject(run)] = run
		}
	}
	return nil
}

// Over returns a reader that reads from another one, and finds in what was seen the runs by their ledgers.
func (s Seen) Over(reader client.Reader) client.Reader { return seenReader{reader, s} }

type seenReader struct {
	client.Reader
	seen Seen
}

// List implements client.Reader.
func (s seenReader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	asked := (&client.ListOptions{}).ApplyOptions(options)
	runs, is := list.(*v1alpha1.ExportRunList)
	if !is || asked.FieldSelector == nil {
		return s.Reader.List(ctx, list, options...)
	}
	scope, known := asked.FieldSelector.RequiresExactMatch(LedgerIndex)
	if !known || !isLedgerKey(scope) && !slices.Contains(s.seen.Scopes, scope) {
		return fmt.Errorf("what runs have seen of %s was not looked at before the attempt", scope)
	}
	for _, seen := range s.seen.Runs {
		if run := seen.run(); slices.Contains(LedgerKeys(run), scope) && (asked.Namespace == "" || run.Namespace == asked.Namespace) {
			runs.Items = append(runs.Items, *run)
		}
	}
	return nil
}

func (s *SeenRun) run() *v1alpha1.ExportRun {
	run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}
	run.Spec.ExportRef.Name = s.Export
	run.Status.SourceRef, run.Status.Ledger, run.Status.CompletedAt = s.Source, &s.Ledger, s.CompletedAt
	return run
}
