package pipeline

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/ledger"
)

// rendering collects what was rendered in one pass.
type rendering struct {
	writer  exporters.Writer
	voucher ledger.Voucher
	totals  ledger.Totals
	sums    sums
	ranges  []voucherRange
	held    int64
	holds   []*ledger.Hold
	// figures are kept of each voucher that will be sent; nil where none are.
	figures *figures
}

// reserveAndRender streams the approved claims once: each becomes a voucher in the spool and is bound to the run, or is
// held. Reservation, numbers and hash are recorded together, or not at all. Where a claim turns out to be bound already, by
// a run of another organisation that it belonged to, or by one that went on at the same time, a second pass leaves it out.
func (a *attempt) reserveAndRender(ctx context.Context) error {
	err := a.reserveOnce(ctx)
	if failed := (*failure.Error)(nil); errors.As(err, &failed) && failed.Reason == v1alpha1.ReasonReservationConflict && ctx.Err() == nil {
		a.spool.discard()
		a.progress.claims.Store(0)
		err = a.reserveOnce(ctx)
	}
	return err
}

func (a *attempt) reserveOnce(ctx context.Context) error {
	var reservation *claims.Reservation
	err := a.Failpoints.Around(failpoint.Reserve, func() (err error) {
		reservation, err = a.database.Reserve(ctx, a.run.Fence())
		return err
	})
	if err != nil {
		return err
	}
	defer reservation.Rollback()
	var r *rendering
	err = a.Failpoints.Around(failpoint.Render, func() (err error) {
		r, err = a.renderClaims(ctx, reservation)
		return err
	})
	if err != nil {
		return err
	}
	return a.recordRendering(ctx, r, reservation)
}

// pass is one pass over the claims that a run takes: a reservation, or a preview of one.
type pass interface {
	Next(ctx context.Context) (*ledger.Claim, error)
	NextNumber(fiscalYear int) int64
	Take(ctx context.Context, voucher *ledger.Voucher) error
	Hold(ctx context.Context, hold *ledger.Hold) error
}

// renderClaims makes vouchers of claims in the spool.
func (a *attempt) renderClaims(ctx context.Context, from pass) (*rendering, error) {
	r, err := a.begin(ctx)
	if err == nil {
		err = a.noteFigures(r)
	}
	if err != nil {
		return nil, err
	}
	for {
		claim, err := from.Next(ctx)
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, err
		}
		if err := a.take(ctx, r, from, claim); err != nil {
			return nil, err
		}
		if r.totals.Claims == 1 {
			a.Failpoints.Reach(failpoint.Render.During())
		}
	}
}

// take makes the voucher of one claim and binds the claim to the run, or leaves it out.
func (a *attempt) take(ctx context.Context, r *rendering, from pass, claim *ledger.Claim) error {
	err := a.mapper.Map(ctx, claim, &r.voucher)
	if err == nil {
		r.voucher.Number = from.NextNumber(r.voucher.FiscalYear)
		err = a.write(ctx, r, len(claim.Lines))
	}
	var hold *ledger.Hold
	switch {
	case err == nil:
		return from.Take(ctx, &r.voucher)
	case !errors.As(err, &hold):
		return err
	case hold.Reason == ledger.HoldUnmapped && a.inputs.Chart.Unmapped == v1alpha1.UnmappedFail:
		return onMapping.Stalled(v1alpha1.ReasonUnmappedClaim, hold,
			"claim %s: %s; the chart of accounts says that this fails the run (spec.unmapped: Fail)", hold.ClaimID, hold.Message)
	}
	r.held++
	if len(r.holds) < manifestHeld {
		r.holds = append(r.holds, hold)
	}
	return from.Hold(ctx, hold)
}

// begin starts an artifact in the spool.
func (a *attempt) begin(ctx context.Context) (*rendering, error) {
	base, err := ledger.ParseCurrency(a.inputs.Chart.Currency)
	if err != nil {
		return nil, failure.Stalled(v1alpha1.ReasonInvalidChart, err, "spec.currency of the chart of accounts: %s", err)
	}
	r := &rendering{sums: sums{base: sum{currency: base}}}
	r.writer, err = a.exporter.Begin(ctx, a.batch(), &a.spool)
	return r, a.exporterFailure(ctx, err)
}

// batch is what the exporter may know of the run.
func (a *attempt) batch() exporters.Batch {
	return exporters.Batch{
		RunID: a.run.ID, Namespace: a.task.Namespace, Export: a.task.Export, Run: a.task.Name,
		OrganizationID: a.run.OrganizationID,
		CreatedAt:      a.inputs.CreatedAt.In(a.location),
		Cutoff:         a.inputs.Cutoff.In(a.location),
		Series:         a.run.Series,
		Books:          &a.inputs.Chart,
		Options:        references.Options(a.inputs.Exporter),
		Credentials:    a.credentials,
		HTTPClient:     a.client,
		Program:        a.Program, ProgramVersion: a.inputs.ProgramVersion,
	}
}

// write adds the voucher of a claim with so many lines to the artifact and counts what was written, from the postings
// themselves.
func (a *attempt) write(ctx context.Context, r *rendering, lines int) error {
	voucher := &r.voucher
	if !voucher.Balanced() {
		return failure.Stalled(v1alpha1.ReasonTotalsMismatch, nil, "the voucher of claim %s does not balance; nothing was delivered", voucher.ClaimID)
	}
	if err := r.writer.Write(ctx, voucher); err != nil {
		return a.exporterFailure(ctx, err)
	}
	var gross ledger.Amount
	for i := range voucher.Postings {
		if kind := voucher.Postings[i].Kind; kind == ledger.ExpensePosting || kind == ledger.TaxPosting {
			gross += voucher.Postings[i].Amount
		}
	}
	if err := errors.Join(r.totals.Add(voucher.Currency.Code(), int64(lines), gross), r.sums.add(voucher)); err != nil {
		return failure.Stalled(v1alpha1.ReasonTotalsMismatch, err, "the run is too large: %s", err)
	}
	if r.figures != nil {
		if err := r.figures.note(r.totals.Claims, voucher, int64(lines)); err != nil {
			return err
		}
	}
	r.number(voucher)
	a.progress.claims.Store(r.totals.Claims)
	return nil
}

// number extends the range of the voucher's fiscal year.
func (r *rendering) number(voucher *ledger.Voucher) {
	at, found := slices.BinarySearchFunc(r.ranges, voucher.FiscalYear, func(have voucherRange, year int) int { return have.FiscalYear - year })
	if !found {
		r.ranges = slices.Insert(r.ranges, at, voucherRange{Series: voucher.Series, FiscalYear: voucher.FiscalYear, First: voucher.Number})
	}
	r.ranges[at].Last = voucher.Number
}

// recordRendering completes the artifact, checks its totals against SQL, and records the reservation.
func (a *attempt) recordRendering(ctx context.Context, r *rendering, reservation *claims.Reservation) error {
	manifest, err := a.complete(ctx, r)
	if err != nil {
		return err
	}
	expected, err := reservation.Totals(ctx)
	if err != nil {
		return err
	}
	if !expected.Equal(r.totals) {
		return totalsMismatch(expected, r.totals)
	}
	rendered := a.rendered(r, manifest)
	if r.figures != nil && r.totals.Claims > 0 {
		next, err := r.figures.reader()
		if err != nil {
			return err
		}
		if err := reservation.RecordPosting(ctx, next); err != nil {
			return err
		}
	}
	if err := a.admitted(ctx); err != nil { // while the transaction is open
		return err
	}
	err = a.Failpoints.Around(failpoint.Record, func() error { return reservation.Commit(ctx, rendered) })
	if err != nil {
		return err
	}
	a.run.State, a.run.Rendered = claims.StateRendered, rendered
	return nil
}

// rendered is what goes on record of the artifact in the spool.
func (a *attempt) rendered(r *rendering, manifest []byte) claims.Rendered {
	rendered := claims.Rendered{
		Files: a.spool.records(), Manifest: manifest,
		Claims: r.totals.Claims, Lines: r.totals.Lines, Held: r.held,
	}
	rendered.FirstVoucher, rendered.LastVoucher = firstAndLast(r.ranges)
	return rendered
}

// complete closes the artifact and puts the manifest behind it. A run without claims has neither.
func (a *attempt) complete(ctx context.Context, r *rendering) ([]byte, error) {
	if err := a.exporterFailure(ctx, r.writer.Close(ctx)); err != nil {
		return nil, err
	}
	artifact := a.spool.records()
	if r.totals.Claims == 0 {
		a.spool.discard()
		artifact = nil
	}
	manifest, err := a.manifest(r, artifact)
	if err != nil || artifact == nil {
		return manifest, err
	}
	return manifest, a.spoolManifest(manifest)
}

func (a *attempt) spoolManifest(manifest []byte) error {
	file, err := a.spool.create(manifestName, manifestMediaType)
	if err != nil {
		return err
	}
	if _, err := file.Write(manifest); err != nil {
		return err
	}
	return file.Close()
}

// renderAgain renders the vouchers of a run that is on record, and insists on the same bytes.
func (a *attempt) renderAgain(ctx context.Context) error {
	vouchers, err := a.database.Vouchers(ctx, a.run.Fence())
	if err != nil {
		return err
	}
	a.progress.total.Store(a.run.Claims)
	r, err := a.begin(ctx)
	if err != nil {
		return err
	}
	for {
		err := vouchers.Next(ctx, &r.voucher)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := a.write(ctx, r, 0); err != nil { // the manifest on record counts the lines
			return a.voucherRefused(err)
		}
	}
	if err := a.exporterFailure(ctx, r.writer.Close(ctx)); err != nil {
		return err
	}
	if err := a.spoolManifest(a.run.Manifest); err != nil {
		return err
	}
	return a.sameBytes()
}

// sameBytes insists that the spool has the artifact on record.
func (a *attempt) sameBytes() error {
	if !slices.Equal(a.spool.records(), a.run.Files) {
		return bytesChanged()
	}
	return nil
}

// exporterFailure classifies an error of the exporter. Holds and failures pass as they are, and so does the end of the attempt. A
// timeout of the network is none, though errors.Is finds context.DeadlineExceeded in it, too.
func (a *attempt) exporterFailure(ctx context.Context, err error) error {
	var hold *ledger.Hold
	var failed *failure.Error
	var option *exporters.OptionError
	var system *exporters.SystemError
	switch {
	case err == nil, errors.As(err, &hold), errors.As(err, &failed), ctx.Err() != nil:
		return err
	case outbound.Refusal(err) != nil:
		return failure.On(v1alpha1.ConditionMappingReady, outbound.Refusal(err))
	case errors.As(err, &option):
		return a.inputsRefused(onMapping.Stalled(v1alpha1.ReasonInvalidOptions, err,
			"spec.exporter.options of the exporter %s: %s", a.exporter.Type(), option))
	case errors.As(err, &system):
		return a.systemFailure(system)
	case timedOut(err):
		return failure.Transient(v1alpha1.ReasonSystemTimeout, err, "the accounting system of the exporter %s did not answer in time", a.exporter.Type())
	}
	return failure.Transient(v1alpha1.ReasonExporterFailed, err, "the exporter %s could not write the artifact", a.exporter.Type())
}

func totalsMismatch(expected, rendered ledger.Totals) error {
	return failure.Transient(v1alpha1.ReasonTotalsMismatch, nil,
		"the database counts %d claims with %d lines, and %d claims with %d lines were rendered, or their sums differ; nothing was delivered",
		expected.Claims, expected.Lines, rendered.Claims, rendered.Lines)
}

func bytesChanged() error {
	return failure.Stalled(v1alpha1.ReasonBytesChanged, nil,
		"the vouchers of this run no longer render to the bytes on record, because the operator was upgraded to another version of the exporter; "+
			"cancel the run to give its claims back")
}
