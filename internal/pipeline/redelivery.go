package pipeline

import (
	"context"

	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
)

// redeliver delivers the artifact of a committed run again, with the same bytes, at a place of its own. It binds nothing, so that it
// waits for no other run.
func (a *attempt) redeliver(ctx context.Context) error {
	return a.forward(ctx, a.startRedelivery, a.renderOriginal)
}

// startRedelivery begins with the inputs of the other run, and a destination of its own.
func (a *attempt) startRedelivery(ctx context.Context) error {
	checked, err := a.checkDestination(ctx)
	if err != nil {
		return err
	}
	source, err := a.database.Redeliverable(ctx, a.task.identity(a.cluster.export.Spec.OrganizationID), a.task.Redelivers)
	if err != nil {
		return err
	}
	if err := source.BelongsTo(a.Cluster); err != nil {
		return err
	}
	if a.books, err = recall(a.Resolver, source); err != nil {
		return notRedeliverable(&source, err)
	}
	a.books.Destination, a.books.Place, a.books.Marker = a.destination.Location(""), a.destination.Place(), checked.Marker
	return a.start(ctx, claims.Attempt{Book: source.Book, Series: source.Series, Redelivers: source.ID})
}

// renderOriginal renders the artifact of the other run, and records that it is what this one delivers.
func (a *attempt) renderOriginal(ctx context.Context) error {
	err := a.Failpoints.Around(failpoint.Render, func() error { return a.restoreOriginal(ctx) })
	if err != nil {
		return err
	}
	rendered := a.original.Rendered
	rendered.Held = 0 // by the other run
	return a.record(ctx, rendered, func(ctx context.Context, rendered claims.Rendered) error {
		return a.database.MarkRedelivery(ctx, a.run.Fence(), rendered)
	})
}
