package references

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// LedgerIndex is the index of ExportRuns by the ledger that they are recorded in, and by whose they are.
const LedgerIndex = "status.ledger"

const ledgerPrefix = "ledger/"

// LedgerKeys are the values of an ExportRun in the LedgerIndex.
func LedgerKeys(object client.Object) []string {
	run, is := object.(*v1alpha1.ExportRun)
	if !is || run.Status.Ledger == nil {
		return nil
	}
	keys := []string{
		ledgerKey(run.Status.Ledger.ID),
		exportKey(run.Namespace, run.Spec.ExportRef.Name),
		organizationKey(run.Namespace, run.Status.Ledger.OrganizationID),
	}
	if at := run.Status.SourceRef; at != nil {
		keys = append(keys, sourceKey(types.NamespacedName{Namespace: at.Namespace, Name: at.Name}))
	}
	return keys
}

func ledgerKey(id string) string              { return ledgerPrefix + id }
func isLedgerKey(key string) bool             { return strings.HasPrefix(key, ledgerPrefix) }
func exportKey(namespace, name string) string { return "export/" + namespace + "/" + name }
func organizationKey(namespace, organization string) string {
	return "organization/" + namespace + "/" + organization
}
func sourceKey(source types.NamespacedName) string { return "source/" + source.String() }

// CheckLedger fails unless the ledger in a database is the one that its source, and an export if one is given, had before, and
// has all of it that this cluster has seen. A run that began in another one would export claims that were exported before.
func (r *Resolver) CheckLedger(ctx context.Context, database *claims.Database, source *v1alpha1.ClaimSource, export *v1alpha1.AccountingExport) (claims.Ledger, error) {
	ledger, err := database.Ledger(ctx)
	if err != nil {
		return ledger, err
	}
	if ledger.Moved() {
		return ledger, failure.OnSource.Transient(v1alpha1.ReasonLedgerMoved, nil,
			"the ledger in the database of ClaimSource %s belongs to another server (system identifier %s, and this one has %s): a dump was restored here, or PostgreSQL was upgraded. "+
				`If nothing is exported from the other one any more, accept this one with "ledgerport ledger accept"`,
			client.ObjectKeyFromObject(source), ledger.System, ledger.Server)
	}
	if err := r.expectSource(ctx, ledger.ID, source); err != nil {
		return ledger, err
	}
	if export != nil {
		if err := r.ExpectLedger(ctx, ledger.ID, source, export); err != nil {
			return ledger, err
		}
	}
	return ledger, r.complete(ctx, database, ledger, source, export)
}

// expectSource fails with ReasonLedgerChanged if a source had another ledger before, and nobody has accepted this one.
func (r *Resolver) expectSource(ctx context.Context, ledgerID string, source *v1alpha1.ClaimSource) error {
	before := source.Status.LedgerID
	if before == "" { // it is new, or was made again
		last, err := r.newestRun(ctx, sourceKey(client.ObjectKeyFromObject(source)))
		if err != nil || last == nil {
			return err
		}
		before = last.Status.Ledger.ID
	}
	if before == ledgerID || source.Annotations[v1alpha1.AcceptedLedgerAnnotation] == ledgerID {
		return nil
	}
	return ledgerChanged(source, ledgerID, before, "it", "the ClaimSource")
}

// ExpectLedger fails with ReasonLedgerChanged if an export, or its organisation in this namespace, was recorded in another
// ledger before, and nobody has accepted this one: for the source if that is still the same, or else for the export.
func (r *Resolver) ExpectLedger(ctx context.Context, ledgerID string, source *v1alpha1.ClaimSource, export *v1alpha1.AccountingExport) error {
	if export.Annotations[v1alpha1.AcceptedLedgerAnnotation] == ledgerID {
		return nil
	}
	key := client.ObjectKeyFromObject(source)
	for _, scope := range []string{exportKey(export.Namespace, export.Name), organizationKey(export.Namespace, export.Spec.OrganizationID)} {
		last, err := r.newestRun(ctx, scope)
		if err != nil {
			return err
		}
		if last == nil || last.Status.Ledger.ID == ledgerID {
			continue
		}
		at := last.Status.SourceRef
		same := at != nil && *at == v1alpha1.NamespacedReference{Namespace: key.Namespace, Name: key.Name}
		if same && source.Annotations[v1alpha1.AcceptedLedgerAnnotation] == ledgerID {
			continue
		}
		return ledgerChanged(source, ledgerID, last.Status.Ledger.ID, "ExportRun "+last.Name, "AccountingExport "+export.Name)
	}
	return nil
}

func ledgerChanged(source *v1alpha1.ClaimSource, ledgerID, before, who, where string) error {
	return failure.OnSource.Transient(v1alpha1.ReasonLedgerChanged, nil,
		"the database of ClaimSource %s holds the ledger %s, and %s was last with the ledger %s: it is another database, or its ledger was renewed, and what was exported before may be exported again. "+
			"Lead the source back to the former database; or see to the books, and accept this one with the annotation %s: %s on %s",
		client.ObjectKeyFromObject(source), ledgerID, who, before, v1alpha1.AcceptedLedgerAnnotation, ledgerID, where)
}

// newestRun returns the run that ended last among those of a scope, or one that has not ended; nil if there is none.
func (r *Resolver) newestRun(ctx context.Context, scope string) (newest *v1alpha1.ExportRun, err error) {
	runs, err := r.recordedRuns(ctx, scope)
	for i := range runs {
		run := &runs[i]
		switch {
		case newest == nil, run.Status.CompletedAt == nil, newest.Status.CompletedAt != nil && newest.Status.CompletedAt.Before(run.Status.CompletedAt):
			newest = run
		case newest.Status.CompletedAt.Equal(run.Status.CompletedAt) && newest.Status.Ledger.Sequence < run.Status.Ledger.Sequence:
			newest = run
		}
	}
	return newest, err
}

// complete fails with ReasonLedgerIncomplete unless a ledger has all that the runs that concern it have seen of it: the one that
// has seen the most is recorded as far as that. What they have seen is asked first, because the ledger goes on meanwhile.
func (r *Resolver) complete(ctx context.Context, database *claims.Database, ledger claims.Ledger, source *v1alpha1.ClaimSource, export *v1alpha1.AccountingExport) error {
	last, err := r.seenMost(ctx, ledger.ID, source, export)
	if err != nil || last == nil {
		return err
	}
	recorded, _, err := database.Run(ctx, last.Status.Ledger.RunID)
	if err != nil || recorded.Sequence >= last.Status.Ledger.Sequence {
		return err
	}
	what := fmt.Sprintf("a run that this cluster has seen recorded at %d", last.Status.Ledger.Sequence)
	if export != nil && last.Namespace == export.Namespace {
		what = fmt.Sprintf("ExportRun %s, which was recorded at %d", last.Name, last.Status.Ledger.Sequence)
	}
	return failure.OnSource.Transient(v1alpha1.ReasonLedgerIncomplete, nil,
		"the database of ClaimSource %s does not know of %s (its ledger is at %d): it was restored from an older backup, or is an older copy, and what it has forgotten would be exported again. "+
			`Restore a newer backup; or see to the books, and then run "ledgerport ledger accept --renew"`,
		client.ObjectKeyFromObject(source), what, ledger.Sequence)
}

// seenMost returns the run that has seen the most of a ledger among those by which a source, and an export if one is given, go; nil if there is
// none. The server of any tenant can name the ledger of another one, and say of it what it likes. What counts is what the server of this very
// source has said, and what runs in the namespaces of source and export were told. The runs of others are not looked at: a tenant has as many as
// they like.
func (r *Resolver) seenMost(ctx context.Context, ledger string, source *v1alpha1.ClaimSource, export *v1alpha1.AccountingExport) (last *v1alpha1.ExportRun, err error) {
	type scope struct {
		key    string
		within []client.ListOption
	}
	in := func(namespace string) scope {
		return scope{ledgerKey(ledger), []client.ListOption{client.InNamespace(namespace)}}
	}
	scopes := []scope{{key: sourceKey(client.ObjectKeyFromObject(source))}, in(source.Namespace)}
	if export != nil && export.Namespace != source.Namespace {
		scopes = append(scopes, in(export.Namespace))
	}
	for _, of := range scopes {
		runs, err := r.recordedRuns(ctx, of.key, of.within...)
		if err != nil {
			return nil, err
		}
		for i := range runs {
			run := &runs[i]
			if run.Status.Ledger.ID == ledger && (last == nil || run.Status.Ledger.Sequence > last.Status.Ledger.Sequence) {
				last = run
			}
		}
	}
	return last, nil
}

// recordedRuns returns the ExportRuns of a scope, and within a namespace if one is given. They must not be changed.
func (r *Resolver) recordedRuns(ctx context.Context, scope string, within ...client.ListOption) ([]v1alpha1.ExportRun, error) {
	var runs v1alpha1.ExportRunList
	err := r.Objects.List(ctx, &runs, append(within, client.MatchingFields{LedgerIndex: scope})...)
	return runs.Items, err
}
