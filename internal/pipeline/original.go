package pipeline

import (
	"context"
	"errors"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// restoreOriginal makes the artifact of the other run again, in the spool, from what is recorded of that, and insists on the same
// bytes.
func (a *attempt) restoreOriginal(ctx context.Context) error {
	if err := a.findOriginal(ctx); err != nil {
		return err
	}
	manifest, err := a.original.ReadManifest()
	if err != nil {
		return err
	}
	if manifest.Submission != nil {
		err = a.submission().Restore(ctx)
	} else {
		err = a.renderVouchers(ctx)
	}
	if err == nil && !slices.Equal(a.spool.Files(), a.original.Files) {
		err = failure.Stalled(v1alpha1.ReasonBytesChanged, nil, "this version of the operator writes the vouchers in other bytes")
	}
	return notRedeliverable(&a.original, err)
}

// findOriginal reads the record of the other run.
func (a *attempt) findOriginal(ctx context.Context) error {
	original, known, err := a.database.Run(ctx, a.run.Redelivers)
	if err == nil && (!known || original.State != claims.StateCommitted) {
		err = claims.RecordInvalid("runs", a.run.ID, errors.New("redelivers is not the id of a committed run"))
	}
	if err == nil {
		a.original = original
	}
	return err
}

// renderVouchers renders those of the other run.
func (a *attempt) renderVouchers(ctx context.Context) error {
	vouchers, err := a.database.KeptVouchers(ctx, a.original)
	if err != nil {
		return err
	}
	count, err := a.renderKept(ctx, vouchers)
	if err == nil && count != a.original.Claims {
		err = failure.Stalled(v1alpha1.ReasonNotRedeliverable, nil, "its vouchers are not recorded any more")
	}
	return err
}

// notRedeliverable is the failure of a redelivery whose bytes this operator cannot make, or may not: nothing that is tried again will.
func notRedeliverable(of *claims.Run, err error) error {
	if err == nil {
		return nil
	}
	failed := failure.From(err)
	if !failed.Stalled || failed.Reason == v1alpha1.ReasonRecordInvalid {
		return err
	}
	return failure.Condition(failed.Condition).Stalled(v1alpha1.ReasonNotRedeliverable, err,
		"the bytes of run %s cannot be made again: %s; copy the files from where that run delivered them, if they are there: %s", of.Name, failed.Message, of.Location)
}
