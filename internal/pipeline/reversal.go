package pipeline

import (
	"context"
	"errors"
	"io"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/ledger"
)

// reverse takes the vouchers of a committed run to an artifact that reverses them.
func (a *attempt) reverse(ctx context.Context) error {
	return a.forward(ctx, a.startReversal, a.reverseAndRender)
}

// startReversal begins the reversal of a run. Its vouchers were made by the recorded chart, so the reversal has that one, too, and the
// recorded options that decide what is posted; exporter, other options, destination and closed periods are the present ones.
func (a *attempt) startReversal(ctx context.Context) error {
	present, err := a.present(ctx)
	if err != nil {
		return err
	}
	identity := a.task.identity(a.cluster.export.Spec.OrganizationID)
	source, err := a.database.Reversible(ctx, identity, a.task.Reverses)
	if err != nil {
		return err
	}
	if err := source.BelongsTo(a.Cluster); err != nil {
		return err
	}
	then, err := inputsOf(source)
	if err != nil {
		return err
	}
	present.Chart, present.ChartName, present.ChartGeneration = then.Chart, then.ChartName, then.ChartGeneration
	if present.Exporter, err = a.postingAs(then.Exporter, present.Exporter); err != nil {
		return err
	}
	present.Reverses = &artifact.Reversed{Name: source.Name, UID: source.ID}
	if a.books, err = compile(a.Resolver, present, source.Series); err != nil {
		return err
	}
	if a.books.sends() {
		return failure.Stalled(v1alpha1.ReasonNotReversible, nil,
			"the exporter %s sends vouchers to its system, which may take some vouchers and reject others; reverse them there", a.books.exporter.Type())
	}
	return a.start(ctx, source.Book, source.Series, source.ID)
}

// postingAs returns the exporter of a reversal: the present one, which posts as it did then. Another type cannot.
func (a *attempt) postingAs(then, present v1alpha1.ExporterSpec) (v1alpha1.ExporterSpec, error) {
	exporter, known := a.Resolver.Exporters.Get(present.Type)
	if !known || then.Type != present.Type {
		return present, nil
	}
	options, err := exporters.ReversalOptions(exporter, references.Options(present), references.Options(then))
	if err != nil {
		return present, failure.OnMapping.Stalled(v1alpha1.ReasonInvalidOptions, err, "the options of the exporter %s: %s", present.Type, err)
	}
	if len(options) > 0 {
		present.Options = &apiextensionsv1.JSON{Raw: options}
	}
	return present, nil
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
	r.figures.Lines = source.Lines
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
		if err := a.reverseVoucher(ctx, r, reversal); err != nil {
			return nil, err
		}
		if r.figures.Claims == 1 {
			a.Failpoints.Reach(failpoint.Render.During())
		}
	}
}

// reverseVoucher turns one voucher into the one that reverses it.
func (a *attempt) reverseVoucher(ctx context.Context, r *rendering, reversal *claims.Reversal) error {
	a.books.mapper.Reverse(&r.voucher)
	r.voucher.Number = reversal.NextNumber(r.voucher.FiscalYear)
	err := a.write(ctx, r, &r.voucher, 0)
	var hold *ledger.Hold
	if errors.As(err, &hold) {
		return failure.OnMapping.Stalled(v1alpha1.ReasonExporterFailed, hold,
			"voucher %s cannot be reversed (claim %s): %s", r.voucher.Reverses, hold.ClaimID, hold.Message)
	}
	if err != nil {
		return err
	}
	return reversal.Take(ctx, &r.voucher)
}

// recordReversal completes the artifact, checks its totals, and records the reversal.
func (a *attempt) recordReversal(ctx context.Context, source claims.Run, r *rendering, reversal *claims.Reversal) error {
	rendered, err := a.complete(ctx, r)
	if err != nil {
		return err
	}
	reversed, err := source.ReadManifest()
	if err != nil {
		return err
	}
	if r.figures.Claims != source.Claims || !r.figures.Reverses(&reversed.Figures) {
		return failure.Stalled(v1alpha1.ReasonTotalsMismatch, nil,
			"the recorded vouchers of run %s do not come to the totals of its manifest; nothing was delivered", source.Name)
	}
	return a.record(ctx, rendered, reversal.Commit)
}
