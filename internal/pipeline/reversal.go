package pipeline

import (
	"context"
	"errors"
	"io"

	"k8s.io/apimachinery/pkg/runtime"

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
	source, err := a.database.Reversible(ctx, identity, a.task.Reverses, a.task.Claims)
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
	present.Receipts = "" // they are where the reversed run has delivered them
	present.Reverses = &artifact.Reversed{Name: source.Name, UID: source.ID}
	if a.books, err = compile(a.Resolver, a.task.Namespace, present, source.Series); err != nil {
		return err
	}
	if a.books.sends() {
		return failure.Stalled(v1alpha1.ReasonNotReversible, nil,
			"the exporter %s sends vouchers to its system, which may take some vouchers and reject others; reverse them there", a.books.exporter.Type())
	}
	return a.start(ctx, claims.Attempt{Book: source.Book, Series: source.Series, Reverses: source.ID})
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
		present.Options = &runtime.RawExtension{Raw: options}
	}
	return present, nil
}

// reverseAndRender goes through the vouchers of the reversed run once: each that is to be reversed gets one that reverses it in the
// spool. Vouchers, numbers and hash are recorded together, or not at all.
func (a *attempt) reverseAndRender(ctx context.Context) error {
	source, _, err := a.database.Run(ctx, a.run.Reverses)
	if err != nil {
		return err
	}
	var reversal *claims.Reversal
	err = a.Failpoints.Around(failpoint.Reserve, func() (err error) {
		reversal, err = a.database.Reverse(ctx, a.run.Fence(), a.books.NamedClaims)
		return err
	})
	if err != nil {
		return err
	}
	defer reversal.Rollback()
	a.progress.total.Store(source.Claims)
	if named := len(a.books.NamedClaims); named > 0 {
		a.progress.total.Store(int64(named))
	}
	r := &reversing{Reversal: reversal}
	err = a.Failpoints.Around(failpoint.Render, func() error { return a.renderReversal(ctx, r) })
	if err != nil {
		return err
	}
	return a.recordReversal(ctx, source, r)
}

// reversing is what a reversal has come to.
type reversing struct {
	*claims.Reversal
	*rendering
	// whole are the figures of all vouchers of the reversed run, and taken those of the vouchers that are reversed.
	whole, taken artifact.Figures
}

// renderReversal makes the reversing vouchers, one after the other.
func (a *attempt) renderReversal(ctx context.Context, r *reversing) (err error) {
	if r.rendering, err = a.begin(ctx); err != nil {
		return err
	}
	r.whole, r.taken = artifact.NewFigures(r.figures.Base.Currency), artifact.NewFigures(r.figures.Base.Currency)
	for {
		reverse, err := r.Next(ctx, &r.voucher)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = r.whole.Add(&r.voucher, 0)
		}
		if err == nil && reverse {
			err = a.reverseVoucher(ctx, r)
		}
		if err != nil {
			return err
		}
		if reverse && r.figures.Claims == 1 {
			a.Failpoints.Reach(failpoint.Render.During())
		}
	}
}

// reverseVoucher turns one voucher into the one that reverses it.
func (a *attempt) reverseVoucher(ctx context.Context, r *reversing) error {
	err := r.taken.Add(&r.voucher, 0)
	if err == nil {
		a.books.mapper.Reverse(&r.voucher)
		r.voucher.Number = r.NextNumber(r.voucher.FiscalYear)
		err = a.write(ctx, r.rendering, &r.voucher, r.voucher.LineCount())
	}
	var hold *ledger.Hold
	if errors.As(err, &hold) {
		return failure.OnMapping.Stalled(v1alpha1.ReasonExporterFailed, hold,
			"voucher %s cannot be reversed (claim %s): %s", r.voucher.Reverses, hold.ClaimID, hold.Message)
	}
	if err != nil {
		return err
	}
	return r.Take(ctx, &r.voucher)
}

// recordReversal completes the artifact, checks its totals, and records the reversal: the vouchers of the reversed run must come to
// what its manifest says, and the reversing ones to what those come to that they reverse.
func (a *attempt) recordReversal(ctx context.Context, source claims.Run, r *reversing) error {
	rendered, err := a.complete(ctx, r.rendering)
	if err != nil {
		return err
	}
	reversed, err := source.ReadManifest()
	if err != nil {
		return err
	}
	if r.whole.Claims != source.Claims || !r.whole.SameSums(&reversed.Figures) || !r.figures.Reverses(&r.taken) {
		return failure.Stalled(v1alpha1.ReasonTotalsMismatch, nil,
			"the recorded vouchers of run %s do not come to the totals of its manifest; nothing was delivered", source.Name)
	}
	return a.record(ctx, rendered, r.Commit)
}
