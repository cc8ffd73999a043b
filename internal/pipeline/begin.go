package pipeline

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/references"
)

// openRest looks at the claims' tables, if the run reads any, and opens the destination.
func (a *attempt) openRest(ctx context.Context) error {
	if a.task.Type != v1alpha1.RunRedeliver {
		if err := a.database.LookAtTables(ctx); err != nil {
			return err
		}
	}
	return a.openDestination(ctx)
}

// checkDestination writes where the run will. It is only done where the run may write.
func (a *attempt) checkDestination(ctx context.Context) (destinations.Checked, error) {
	checked, err := a.destination.Check(ctx, a.task.exportDirectory())
	return checked, a.ofDestination(err)
}

// present are the inputs as the cluster has them now, for a destination that was checked.
func (a *attempt) present(ctx context.Context) (inputs, error) {
	checked, err := a.checkDestination(ctx)
	if err != nil {
		return inputs{}, err
	}
	chart, err := a.cluster.chart()
	if err != nil {
		return inputs{}, err
	}
	export := a.cluster.export
	policy, err := a.receiptPolicy()
	if err != nil {
		return inputs{}, err
	}
	return inputs{
		Receipts: policy, Approval: approvalOf(export),
		Exporter: export.Spec.Exporter,
		Chart:    chart.Spec, ChartName: chart.Name, ChartGeneration: chart.Generation,
		Claims: export.Spec.Claims, NamedClaims: a.task.Claims,
		Posting: export.Spec.Posting, TimeZone: export.Spec.TimeZone,
		CreatedAt: a.task.CreatedAt, Cutoff: a.task.Cutoff,
		ProgramVersion: a.ProgramVersion, Source: references.SourceKey(export).String(), Destination: a.destination.Location(""),
		Place: a.destination.Place(), Marker: checked.Marker,
	}, nil
}

// start records the inputs that were compiled, with holder and deadline, before anything else happens. What is given of the attempt is
// where its vouchers are counted, and which run it reverses or delivers again.
func (a *attempt) start(ctx context.Context, of claims.Attempt) error {
	recorded, err := json.Marshal(a.books.inputs)
	if err != nil {
		return fmt.Errorf("recording the inputs of the run: %w", err)
	}
	of.RunIdentity = a.task.identity(a.cluster.export.Spec.OrganizationID)
	of.Holder, of.Cluster, of.Deadline = a.Holder, a.Cluster, a.task.Deadline
	of.Cutoff, of.Inputs = a.task.Cutoff, recorded
	a.outcome.Record = RecordUnknown // should there be no answer
	if err := a.adopt(func() (claims.Run, error) { return a.database.StartAttempt(ctx, of) }); err != nil {
		return err
	}
	a.outcome.Record = RecordOpen
	if a.run.State == claims.StateStarted {
		return nil
	}
	if a.books, err = recall(a.Resolver, a.run); err != nil { // another process was faster
		return err
	}
	return a.sameDestination(ctx)
}

// resume takes up a run that is recorded with its claims.
func (a *attempt) resume(ctx context.Context) (err error) {
	if a.books, err = recall(a.Resolver, a.run); err != nil {
		return err
	}
	if err := a.sameDestination(ctx); err != nil {
		return err
	}
	if _, err := a.checkDestination(ctx); err != nil {
		return err
	}
	return a.takeOver(ctx)
}

// takeOver raises the attempt, so that the attempt before it cannot change anything any more.
func (a *attempt) takeOver(ctx context.Context) error {
	return a.adopt(func() (claims.Run, error) {
		return a.database.TakeOver(ctx, a.run.ID, a.Holder, a.Cluster, a.task.Deadline)
	})
}

// adopt makes the run this attempt's. If that fails, what was read of its record before stands.
func (a *attempt) adopt(call func() (claims.Run, error)) error {
	return a.Failpoints.Around(failpoint.Attempt, func() error {
		run, err := call()
		if err == nil {
			a.run = run
		}
		return err
	})
}
