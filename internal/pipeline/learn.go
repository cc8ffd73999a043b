package pipeline

import (
	"context"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
)

// Learn finds out from the record of a run how an attempt has ended that another process made. It changes nothing. The outcome is that of
// a run that has ended; of any other it reports whether the run may hold claims. A preview has no record, and nothing is learned of it.
func (p *Pipeline) Learn(ctx context.Context, task Task) (Outcome, error) {
	a := p.reader(ctx, task)
	defer a.close()
	if task.Type == v1alpha1.RunPreview {
		a.outcome.Record = RecordEmpty
		return a.outcome, nil
	}
	err := a.learn(ctx)
	if err == nil {
		a.database.Keep()
	}
	a.note()
	return a.outcome, a.discreet(err)
}

func (a *attempt) learn(ctx context.Context) error {
	known, err := a.findRecord(ctx)
	if err != nil || !known {
		return err
	}
	if a.run.State == claims.StateRendered && !a.task.Release {
		_, err := a.awaitsApproval()
		return err
	}
	if !a.run.State.Finished() {
		return nil
	}
	a.outcome.Stage = v1alpha1.StageCommit
	switch {
	case a.run.State == claims.StateCommitted:
		return a.conclude()
	case !a.outcome.Recovered && !a.task.Release:
		return failure.Stalled(v1alpha1.ReasonReleased, nil, "the claims of the run were given back before (%s); the next run takes them", a.run.ReleaseReason)
	}
	return nil
}

// Seen finds what runs have seen of the ledgers that an attempt may meet, for a process that makes the attempt and cannot see them.
func (p *Pipeline) Seen(ctx context.Context, task Task) (references.Seen, error) {
	return p.Resolver.Seen(ctx, types.NamespacedName{Namespace: task.Source.Namespace, Name: task.Source.Name}, task.Namespace, task.Export)
}
