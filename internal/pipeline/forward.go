package pipeline

import (
	"context"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// export takes approved claims to their artifact.
func (a *attempt) export(ctx context.Context) error {
	return a.forward(ctx, a.startExport, a.reserveAndRender)
}

// startExport begins a run by the resources as they are now.
func (a *attempt) startExport(ctx context.Context) error {
	present, err := a.present(ctx)
	if err != nil {
		return err
	}
	series := a.cluster.export.Spec.VoucherSeries
	if a.books, err = compile(a.Resolver, a.task.Namespace, present, series); err != nil {
		return err
	}
	return a.start(ctx, claims.Attempt{Book: a.cluster.export.Spec.Book, Series: series})
}

// forward goes on where the run stands, to its end. What begins and what renders it is for the kind of the run to say.
func (a *attempt) forward(ctx context.Context, start, render func(context.Context) error) error {
	if err := a.stage(ctx, v1alpha1.StagePreflight, func(ctx context.Context) error { return a.preflight(ctx, start) }); err != nil {
		return err
	}
	if a.run.State == claims.StateReleased && a.outcome.Recovered {
		return nil
	}
	if a.run.State == claims.StateReleased {
		return failure.Stalled(v1alpha1.ReasonReleased, nil, "the claims of the run were given back before (%s); the next run takes them", a.run.ReleaseReason)
	}
	a.progress.claims.Store(a.run.Claims) // those recorded, where the run is resumed
	if a.run.State == claims.StateStarted {
		if err := a.stage(ctx, v1alpha1.StageRender, render); err != nil {
			return err
		}
	}
	if a.run.State == claims.StateRendered {
		if waits, err := a.awaitsApproval(); err != nil || waits {
			return err
		}
		if err := a.recordApproval(ctx); err != nil {
			return err
		}
	}
	if a.run.State == claims.StateRendered && a.run.Type != claims.TypeRedelivery {
		if err := a.stage(ctx, v1alpha1.StageDeliver, a.submit); err != nil {
			return err
		}
	}
	if a.run.State == claims.StateRendered || a.run.State == claims.StateSubmitted {
		if err := a.stage(ctx, v1alpha1.StageDeliver, a.deliver); err != nil {
			return err
		}
	}
	if a.run.State == claims.StateDelivered {
		if err := a.stage(ctx, v1alpha1.StageCommit, a.commit); err != nil {
			return err
		}
	}
	return a.conclude()
}

// preflight finds what is missing before anything is touched, and takes the run over. A run that has reserved its claims
// is taken up as it is recorded, whatever has become of chart and options since.
func (a *attempt) preflight(ctx context.Context, start func(context.Context) error) error {
	if err := a.resolve(ctx); err != nil {
		return err
	}
	unready := a.cluster.ready()
	if unready != nil && a.task.Number <= 1 { // later ones may find all done already, and need nothing but the database
		return unready
	}
	if err := a.openDatabase(ctx); err != nil {
		return err
	}
	known, err := a.lookUp(ctx)
	if err != nil || known && a.run.State.Finished() {
		return err
	}
	if known && a.run.State == claims.StateDelivered {
		return a.takeOver(ctx)
	}
	if !known && a.task.Nameless {
		return a.nameless()
	}
	if unready != nil {
		return unready
	}
	if known && a.run.OrganizationID != a.cluster.export.Spec.OrganizationID {
		if err := a.admitted(ctx); err != nil {
			return err
		}
	}
	if err := a.openRest(ctx); err != nil {
		return err
	}
	if known && a.run.State != claims.StateStarted {
		return a.resume(ctx)
	}
	return start(ctx)
}
