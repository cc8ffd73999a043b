package pipeline

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

// reversed finds the run that a reversal reverses. Its vouchers were made by the chart on record, so the reversal has that
// one too; exporter, options, destination and closed periods are the present ones.
func (a *attempt) reversed(ctx context.Context, present *inputs) (claims.Run, error) {
	identity := a.task.identity(a.export.Spec.OrganizationID)
	source, err := a.database.Reversible(ctx, identity, a.task.Reverses)
	if err != nil {
		return source, err
	}
	if err := source.BelongsTo(a.Cluster); err != nil {
		return source, err
	}
	then, err := inputsOf(source)
	if err != nil {
		return source, err
	}
	present.Chart, present.ChartName, present.ChartGeneration = then.Chart, then.ChartName, then.ChartGeneration
	present.Reverses = &manifestReversed{Name: source.Name, UID: source.ID}
	return source, nil
}

// reverseAndRender goes through the vouchers of the reversed run once: each gets one that reverses it in the spool.
// Vouchers, numbers and hash are recorded together, or not at all.
func (a *attempt) reverseAndRender(ctx context.Context) error {
	source, _, err := a.database.Run(ctx, a.run.Reverses)
	if err != nil {
		return err
	}
	var reversal *claims.Reversal
	err = a.Failpoints.Around(failpoint.Reserve, func() (err error) {
		reversal, err = a.database.Reverse(ctx, a.run.Fence())
		return err
	})
	if err != nil {
		return err
	}
	defer reversal.Rollback()
	a.progress.total.Store(source.Claims)
	var r *rendering
	err = a.Failpoints.Around(failpoint.Render, func() (err error) {
		r, err = a.renderReversal(ctx, reversal)
		return err
	})
	if err != nil {
		return err
	}
	r.totals.Lines = source.Lines
	return a.recordReversal(ctx, source, r, reversal)
}

// renderReversal makes the reversing vouchers, one after the other.
func (a *attempt) renderReversal(ctx context.Context, reversal *claims.Reversal) (*rendering, error) {
	r, err := a.begin(ctx)
	if err != nil {
		return nil, err
	}
	for {
		err := reversal.Next(ctx, &r.voucher)
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, err
		}
		if err := a.reverse(ctx, r, reversal); err != nil {
			return nil, err
		}
		if r.totals.Claims == 1 {
			a.Failpoints.Reach(failpoint.Render.During())
		}
	}
}

// reverse turns one voucher into the one that reverses it.
func (a *attempt) reverse(ctx context.Context, r *rendering, reversal *claims.Reversal) error {
	err := a.mapper.Reverse(&r.voucher)
	if err == nil {
		r.voucher.Number = reversal.NextNumber(r.voucher.FiscalYear)
		err = a.write(ctx, r, 0)
	}
	var hold *ledger.Hold
	if errors.As(err, &hold) {
		return onMapping.Stalled(v1alpha1.ReasonExporterFailed, hold,
			"voucher %s cannot be reversed (claim %s): %s", r.voucher.Reverses, hold.ClaimID, hold.Message)
	}
	if err != nil {
		return err
	}
	return reversal.Take(ctx, &r.voucher)
}

// recordReversal completes the artifact, checks its totals, and records the reversal.
func (a *attempt) recordReversal(ctx context.Context, source claims.Run, r *rendering, reversal *claims.Reversal) error {
	manifest, err := a.complete(ctx, r)
	if err != nil {
		return err
	}
	if err := cancelsOut(source, r); err != nil {
		return err
	}
	rendered := a.rendered(r, manifest)
	if err := a.admitted(ctx); err != nil { // while the transaction is open
		return err
	}
	err = a.Failpoints.Around(failpoint.Record, func() error { return reversal.Commit(ctx, rendered) })
	if err != nil {
		return err
	}
	a.run.State, a.run.Rendered = claims.StateRendered, rendered
	return nil
}

// cancelsOut insists that a reversal comes to the totals in the manifest of the run that it reverses, debit and credit
// exchanged, in every currency.
func cancelsOut(source claims.Run, r *rendering) error {
	manifest, err := manifestOf(source)
	if err != nil {
		return err
	}
	exchanged := func(s sum) manifestSum {
		s.debit, s.credit, s.payable = s.credit, s.debit, -s.payable
		return s.manifest()
	}
	currencies := make([]manifestSum, 0, len(r.sums.currencies))
	for _, s := range r.sums.currencies {
		currencies = append(currencies, exchanged(s))
	}
	if r.totals.Claims != source.Claims || exchanged(r.sums.base) != manifest.Base || !slices.Equal(currencies, manifest.Currencies) {
		return failure.Stalled(v1alpha1.ReasonTotalsMismatch, nil,
			"the vouchers on record of run %s do not come to the totals of its manifest; nothing was delivered", source.Name)
	}
	return nil
}
