package pipeline

import (
	"cmp"
	"context"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// release gives the claims of the run back. If its artifact is already whole at the destination somebody may have
// imported it, and if it was sent the accounting system may have some of it: then the run is completed with that instead.
func (a *attempt) release(ctx context.Context) error {
	if a.task.Type == v1alpha1.RunPreview {
		return nil // it holds nothing
	}
	known, err := a.findRecord(ctx)
	if err == nil && !known {
		err = a.forestall(ctx)
	}
	if err != nil {
		return err
	}
	if !a.run.State.Finished() {
		if err := a.takeOver(ctx); err != nil {
			return err
		}
	}
	if a.run.State == claims.StateRendered {
		if err := a.recede(ctx); err != nil {
			return err
		}
	}
	if a.run.State == claims.StateSubmitted {
		if err := a.deliverReceipt(ctx); err != nil {
			return err
		}
	}
	switch a.run.State {
	case claims.StateDelivered:
		if err := a.commit(ctx); err != nil {
			return err
		}
		return a.conclude()
	case claims.StateCommitted:
		return a.conclude()
	case claims.StateReleased:
		return nil
	default:
		return a.Failpoints.Around(failpoint.Release, func() error {
			return a.database.Release(ctx, a.run.Fence(), a.task.ReleaseReason)
		})
	}
}

// forestall records the end of a run that is not recorded: an attempt before this one may live on in a process that was taken for dead,
// and would begin the run after its end, with claims that nobody gives back.
func (a *attempt) forestall(ctx context.Context) error {
	export := a.cluster.export
	return a.adopt(func() (claims.Run, error) {
		return a.database.ReleaseUnbegun(ctx, claims.Attempt{
			RunIdentity: a.task.identity(export.Spec.OrganizationID), Holder: a.Holder, Cluster: a.Cluster,
			Book: export.Spec.Book, Series: export.Spec.VoucherSeries, Cutoff: a.task.Cutoff,
		}, a.task.recordedType(), a.task.ReleaseReason)
	})
}

// findRecord finds what a run that ends holds, though its source may not admit it any more: what was reserved while it did can
// only be given back by the run that holds it. Of a source that denies access nothing is told but that, and what was not begun there
// is not taken for given back.
func (a *attempt) findRecord(ctx context.Context) (known bool, err error) {
	if err := a.resolve(ctx); err != nil {
		return false, err
	}
	_, denied := a.cluster.source()
	if denied != nil {
		if err := a.Resolver.Visit(ctx, a.task.Namespace); err != nil {
			return false, err
		}
	}
	if err = a.reopenDatabase(ctx); err == nil {
		known, err = a.lookUp(ctx)
	}
	if denied != nil && (err != nil || !known) {
		return false, denied
	}
	return known, a.ofSource(err)
}

// reopenBegun opens the destination that a run has begun to deliver to, whether or not it still admits it. Of one that does
// not, and is another one, nothing is told.
func (a *attempt) reopenBegun(ctx context.Context) error {
	_, denied := a.cluster.destination()
	err := a.reopenDestination(ctx)
	if err == nil {
		err = a.sameDestination(ctx)
	}
	if err != nil && denied != nil {
		return denied
	}
	return err
}

// recede settles what was sent, or withdraws what was delivered. What the accounting system has is exported, and can only be
// completed; what it rejected is held, and the rest is given back.
func (a *attempt) recede(ctx context.Context) error {
	totals, err := a.database.SubmissionTotals(ctx, a.run.Fence())
	if err != nil {
		return err
	}
	if totals.Sent > 0 {
		if err := a.recallSystem(); err != nil {
			return err
		}
		if err := a.submission().LookUp(ctx); err != nil {
			return a.books.optionsRefused(err)
		}
		if totals, err = a.database.SubmissionTotals(ctx, a.run.Fence()); err != nil {
			return err
		}
	}
	if totals.Answered() == 0 {
		return a.withdraw(ctx)
	}
	if err := a.noteUnattached(ctx); err != nil {
		return err
	}
	var system map[string]string
	if a.recallSystem() == nil { // a release does not fail if it is not known where vouchers are
		system = a.submission().Whereabouts(ctx)
	}
	return a.settle(a.submission().Settle(ctx, system, cmp.Or(a.task.ReleaseReason, v1alpha1.ReasonReleased)))
}

// recallSystem compiles what a session with the accounting system needs.
func (a *attempt) recallSystem() (err error) {
	if a.books, err = recall(a.Resolver, a.run); err != nil {
		return err
	}
	_, err = a.cluster.credentials()
	return err
}

// deliverReceipt delivers what an accounting system has accepted.
func (a *attempt) deliverReceipt(ctx context.Context) error {
	if len(a.run.Files) > 0 {
		if err := a.openDestination(ctx); err != nil {
			return err
		}
	}
	return a.deliver(ctx)
}

// withdraw removes what a destination has of an artifact that is not whole, the manifest first, or records the delivery of
// one that is. Of what is not there that is removed which an attempt that was stopped has hidden beside it, so that it cannot
// put it there any more. A file that the destination does not let be removed stays, without the manifest.
func (a *attempt) withdraw(ctx context.Context) error {
	if len(a.run.Files) == 0 {
		return nil
	}
	if err := a.reopenBegun(ctx); err != nil {
		return err
	}
	have, err := a.delivered(ctx)
	if err != nil {
		return err
	}
	if a.whole(have) {
		return a.deliver(ctx)
	}
	for _, file := range slices.Backward(a.run.Files) {
		err := a.remove(ctx, file)
		if err != nil && (file.Name == artifact.ManifestName || failure.From(err).Reason != v1alpha1.ReasonNotRemovable) {
			return err
		}
	}
	if err := a.removeReceipts(ctx); err != nil && failure.From(err).Reason != v1alpha1.ReasonNotRemovable {
		return err
	}
	return nil
}
