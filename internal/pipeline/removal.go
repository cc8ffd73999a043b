package pipeline

import (
	"context"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// removeArtifact removes the files of a committed run, the manifest first, and records that. Only what has the recorded
// hash is removed: what somebody else put under a name of the run stays, and so does everything where the export
// delivers to another destination by now, which is the failure DestinationChanged.
func (a *attempt) removeArtifact(ctx context.Context) error {
	if err := a.resolve(ctx); err != nil {
		return err
	}
	if err := a.openDatabase(ctx); err != nil {
		return err
	}
	known, err := a.lookUp(ctx)
	if ofOtherCluster(err) { // whose files they are
		return nil
	}
	if err != nil || !known || a.run.State != claims.StateCommitted || a.run.ArtifactRemovedAt != nil {
		return err
	}
	if err := a.openDestination(ctx); err != nil {
		return err
	}
	if err := a.sameDestination(ctx); err != nil {
		return err
	}
	for _, file := range slices.Backward(a.run.Files) {
		if err := a.remove(ctx, file); err != nil {
			return err
		}
	}
	if err := a.removeReceipts(ctx); err != nil {
		return err
	}
	return a.Failpoints.Around(failpoint.MarkRemoved, func() error {
		return a.database.MarkArtifactRemoved(ctx, a.run.Fence())
	})
}

func ofOtherCluster(err error) bool {
	return err != nil && failure.From(err).Reason == v1alpha1.ReasonOtherCluster
}
