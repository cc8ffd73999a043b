package pipeline

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/internal/submission"
	"github.com/ledgerport/ledgerport/ledger"
)

// rendering collects what was rendered in one pass.
type rendering struct {
	writer  exporters.Writer
	voucher ledger.Voucher // that is read from a record
	// rehearsal takes each voucher before the writer does, where a claim may become several; nil where it may not.
	rehearsal exporters.Writer
	figures   artifact.Figures
	// receipts that are listed of the vouchers.
	receipts int64
	// notes are kept of each voucher that will be sent; nil if none are.
	notes *submission.Notes
}

// reserveAndRender streams the approved claims once: each becomes a voucher in the spool and is bound to the run, or is
// held. Reservation, numbers and hash are recorded together, or not at all. Where a claim turns out to be bound already, by
// a run of another organisation that it belonged to, or by one that went on at the same time, a second pass leaves it out.
func (a *attempt) reserveAndRender(ctx context.Context) error {
	if err := a.findLacking(ctx); err != nil {
		return err
	}
	err := a.reserveOnce(ctx)
	if failed := (*failure.Error)(nil); errors.As(err, &failed) && failed.Reason == v1alpha1.ReasonReservationConflict && ctx.Err() == nil {
		a.spool.Discard()
		a.progress.claims.Store(0)
		err = a.reserveOnce(ctx)
	}
	return err
}

func (a *attempt) reserveOnce(ctx context.Context) error {
	var reservation *claims.Reservation
	err := a.Failpoints.Around(failpoint.Reserve, func() (err error) {
		reservation, err = a.database.Reserve(ctx, a.run.Fence(), a.books.selected())
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
	Number(vouchers []ledger.Voucher)
	Take(ctx context.Context, vouchers []ledger.Voucher) error
	Hold(ctx context.Context, hold *ledger.Hold) error
}

// renderClaims makes vouchers of claims in the spool.
func (a *attempt) renderClaims(ctx context.Context, from pass) (*rendering, error) {
	r, err := a.begin(ctx)
	if err == nil && a.books.sends() {
		r.notes, err = submission.NewNotes(a.spool)
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
		if r.figures.Claims == 1 {
			a.Failpoints.Reach(failpoint.Render.During())
		}
	}
}

// take makes the vouchers of one claim and binds the claim to the run, or leaves it out.
func (a *attempt) take(ctx context.Context, r *rendering, from pass, claim *ledger.Claim) error {
	selected, err := a.books.selection.Includes(ctx, claim)
	if err == nil && !selected {
		return nil // it is not for this export, and stays as it was
	}
	var vouchers []ledger.Voucher
	if err == nil {
		vouchers, err = a.books.mapper.Map(ctx, claim)
	}
	if err == nil {
		err = a.lacks(claim)
	}
	if err == nil {
		from.Number(vouchers)
		for i := range vouchers {
			vouchers[i].NameReceipts()
		}
		err = a.writeAll(ctx, r, vouchers, int64(len(claim.Lines)))
	}
	var hold *ledger.Hold
	switch {
	case err == nil:
		for i := range vouchers {
			r.receipts += int64(len(vouchers[i].Receipts))
		}
		return from.Take(ctx, vouchers)
	case !errors.As(err, &hold):
		return err
	case hold.Reason == ledger.HoldUnmapped && a.books.Chart.Unmapped == v1alpha1.UnmappedFail:
		return failure.OnMapping.Stalled(v1alpha1.ReasonUnmappedClaim, hold,
			"claim %s: %s; the chart of accounts says that this fails the run (spec.unmapped: Fail)", hold.ClaimID, hold.Message)
	}
	r.figures.Hold(hold)
	if a.Witness != nil {
		a.Witness.Held(hold)
	}
	return from.Hold(ctx, hold)
}

// begin starts an artifact in the spool.
func (a *attempt) begin(ctx context.Context) (*rendering, error) {
	base, err := ledger.ParseCurrency(a.books.Chart.Currency)
	if err != nil {
		return nil, failure.Stalled(v1alpha1.ReasonInvalidChart, err, "spec.currency of the chart of accounts: %s", err)
	}
	r := &rendering{figures: artifact.NewFigures(base)}
	r.writer, err = a.books.exporter.Begin(ctx, a.batch(), a.spool)
	return r, a.exporterFailure(ctx, err)
}

// batch is what the exporter may know of the run.
func (a *attempt) batch() exporters.Batch {
	run := a.rendered()
	return exporters.Batch{
		RunID: run.ID, Namespace: run.Namespace, Export: run.Export, Run: run.Name,
		OrganizationID: run.OrganizationID,
		CreatedAt:      a.books.CreatedAt.In(a.books.location),
		Cutoff:         a.books.Cutoff.In(a.books.location),
		Series:         run.Series,
		Books:          &a.books.Chart,
		Options:        references.Options(a.books.Exporter),
		Credentials:    a.secrets(),
		HTTPClient:     a.client,
		Program:        a.Program, ProgramVersion: a.books.ProgramVersion,
	}
}

// write adds a voucher with so many lines to the artifact and counts what was written, from the postings
// themselves.
func (a *attempt) write(ctx context.Context, r *rendering, voucher *ledger.Voucher, lines int64) error {
	if !voucher.Balanced() {
		return failure.Stalled(v1alpha1.ReasonTotalsMismatch, nil, "the voucher of claim %s does not balance; nothing was delivered", voucher.ClaimID)
	}
	if err := r.writer.Write(ctx, voucher); err != nil {
		return a.exporterFailure(ctx, err)
	}
	if err := r.figures.Add(voucher, lines); err != nil {
		return failure.Stalled(v1alpha1.ReasonTotalsMismatch, err, "the run is too large: %s", err)
	}
	if r.notes != nil {
		if err := r.notes.Add(r.figures.Claims, voucher, lines); err != nil {
			return err
		}
	}
	a.progress.claims.Store(r.figures.Claims)
	if a.Witness != nil {
		a.Witness.Voucher(voucher)
	}
	return nil
}

// writeAll adds the vouchers of a claim with so many lines to the artifact, or none of them.
func (a *attempt) writeAll(ctx context.Context, r *rendering, vouchers []ledger.Voucher, lines int64) error {
	if err := a.rehearse(ctx, r, vouchers); err != nil {
		return err
	}
	for i := range vouchers {
		err := a.write(ctx, r, &vouchers[i], lines)
		if hold := (*ledger.Hold)(nil); i > 0 && errors.As(err, &hold) { // or the claim would be held, and a part of it exported
			return failure.OnMapping.Stalled(v1alpha1.ReasonExporterFailed, hold,
				"the exporter %s refuses a voucher of claim %s that it took before; nothing was delivered: %s", a.books.exporter.Type(), hold.ClaimID, hold.Message)
		}
		if err != nil {
			return err
		}
		lines = 0 // they have been counted
	}
	return nil
}

// rehearse finds out whether the format can represent every voucher of a claim, before the first of them is in a file. Where a claim
// may become several, all vouchers are rehearsed, so that what a format says of a file that is full is said here first. A system that
// vouchers are sent to answers for each: it could take one of a claim and reject another.
func (a *attempt) rehearse(ctx context.Context, r *rendering, vouchers []ledger.Voucher) (err error) {
	if len(a.books.Chart.Vouchers.SplitBy) == 0 {
		return nil
	}
	if a.books.sends() {
		if len(vouchers) > 1 {
			return exporters.Unsupported(&vouchers[0], "the claim becomes %d vouchers, and the exporter %s sends each by itself, so that its system could take one and reject another; "+
				"use a chart of accounts without spec.vouchers.splitBy", len(vouchers), a.books.exporter.Type())
		}
		return nil
	}
	if r.rehearsal == nil {
		if r.rehearsal, err = a.books.exporter.Begin(ctx, a.batch(), artifact.Nowhere{}); err != nil {
			return a.exporterFailure(ctx, err)
		}
	}
	for i := range vouchers {
		if err := r.rehearsal.Write(ctx, &vouchers[i]); err != nil {
			return a.exporterFailure(ctx, err)
		}
	}
	return nil
}

// recordRendering completes the artifact, checks its totals against SQL, and records the reservation.
func (a *attempt) recordRendering(ctx context.Context, r *rendering, reservation *claims.Reservation) error {
	rendered, err := a.complete(ctx, r)
	if err != nil {
		return err
	}
	expected, err := reservation.Totals(ctx)
	if err != nil {
		return err
	}
	if totals := r.figures.Totals(); !expected.Equal(totals) {
		return totalsMismatch(expected, totals)
	}
	if r.notes != nil && r.figures.Claims > 0 {
		next, err := r.notes.Reader()
		if err != nil {
			return err
		}
		if err := reservation.RecordSubmission(ctx, next); err != nil {
			return err
		}
	}
	return a.record(ctx, rendered, reservation.Commit)
}

// record ends the transaction of what was rendered, if the run is still admitted: started → rendered.
func (a *attempt) record(ctx context.Context, rendered claims.Rendered, end func(context.Context, claims.Rendered) error) error {
	if err := a.admitted(ctx); err != nil {
		return err
	}
	if err := a.Failpoints.Around(failpoint.Record, func() error { return end(ctx, rendered) }); err != nil {
		return err
	}
	a.run.State, a.run.Rendered = claims.StateRendered, rendered
	return nil
}

// complete closes the artifact and puts the manifest behind it. A run without claims delivers neither.
func (a *attempt) complete(ctx context.Context, r *rendering) (rendered claims.Rendered, err error) {
	if err := a.exporterFailure(ctx, r.writer.Close(ctx)); err != nil {
		return rendered, err
	}
	if r.figures.Claims == 0 {
		a.spool.Discard()
	}
	manifest, err := a.manifest(r)
	if err == nil && r.figures.Claims > 0 {
		err = a.spool.AddManifest(manifest)
	}
	return claims.NewRendered(a.spool.Files(), manifest, &r.figures), err
}

// manifest describes the artifact in the spool.
func (a *attempt) manifest(r *rendering) ([]byte, error) {
	m := artifact.Manifest{
		Type:           cmp.Or(a.task.Type, v1alpha1.RunExport),
		Reverses:       a.books.Reverses,
		Run:            artifact.Run{Name: a.task.Name, UID: a.run.ID, CreatedAt: a.books.CreatedAt.UTC()},
		Namespace:      a.task.Namespace,
		Export:         a.task.Export,
		OrganizationID: a.run.OrganizationID,
		Book:           a.run.Book,
		Cutoff:         a.books.Cutoff.UTC(),
		Exporter:       artifact.Exporter{Type: a.books.Exporter.Type, Version: a.books.exporter.Version()},
		Chart:          artifact.Chart{Name: a.books.ChartName, Generation: a.books.ChartGeneration},
		Figures:        r.figures,
		Files:          a.spool.Files(),
	}
	if a.books.Receipts != "" {
		m.Receipts = &artifact.Receipts{Policy: a.books.Receipts, Listed: r.receipts}
	}
	return m.Encode()
}

// renderAgain renders the vouchers of a run that is recorded, and insists on the same bytes.
func (a *attempt) renderAgain(ctx context.Context) error {
	vouchers, err := a.database.Vouchers(ctx, a.run.Fence())
	if err != nil {
		return err
	}
	_, err = a.renderKept(ctx, vouchers)
	if err != nil {
		return err
	}
	return a.sameBytes()
}

// renderKept renders recorded vouchers behind which comes the recorded manifest, and returns how many they are.
func (a *attempt) renderKept(ctx context.Context, vouchers *claims.Vouchers) (int64, error) {
	a.progress.total.Store(a.rendered().Claims)
	r, err := a.begin(ctx)
	if err != nil {
		return 0, err
	}
	for {
		err := vouchers.Next(ctx, &r.voucher)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		if err := a.write(ctx, r, &r.voucher, 0); err != nil { // the recorded manifest counts the lines
			return 0, a.voucherRefused(err)
		}
	}
	if err := a.exporterFailure(ctx, r.writer.Close(ctx)); err != nil {
		return 0, err
	}
	if listsReceipts(a.rendered()) {
		if _, err := a.spoolReceipts(ctx); err != nil {
			return 0, err
		}
	}
	return r.figures.Claims, a.spool.AddManifest(a.rendered().Manifest)
}

// voucherRefused is the failure of a run with a recorded voucher that the exporter of this operator holds.
func (a *attempt) voucherRefused(err error) error {
	var hold *ledger.Hold
	if !errors.As(err, &hold) {
		return err
	}
	return failure.OnMapping.Stalled(v1alpha1.ReasonInputsRefused, hold,
		"the exporter %s of this operator refuses the recorded voucher of claim %s: %s; cancel the run to give its claims back, or resume it with the version that began it",
		a.books.exporter.Type(), hold.ClaimID, hold.Message)
}

// sameBytes insists that the spool has the recorded artifact.
func (a *attempt) sameBytes() error {
	if !slices.Equal(a.spool.Files(), a.run.Files) {
		return bytesChanged()
	}
	return nil
}

// exporterFailure classifies an error of the exporter.
func (a *attempt) exporterFailure(ctx context.Context, err error) error {
	system := &submission.System{Exporter: a.books.exporter.Type(), Secrets: a.secrets()}
	return a.books.optionsRefused(system.Failure(ctx, err))
}

// secrets are the credentials of the accounting system; none if they cannot be had.
func (a *attempt) secrets() map[string][]byte {
	own, err := a.cluster.credentials()
	if err != nil {
		return nil
	}
	return own.Data
}

func totalsMismatch(expected, rendered ledger.Totals) error {
	return failure.Transient(v1alpha1.ReasonTotalsMismatch, nil,
		"the database counts %d claims with %d lines, and %d claims with %d lines were rendered, or their sums differ; nothing was delivered",
		expected.Claims, expected.Lines, rendered.Claims, rendered.Lines)
}

func bytesChanged() error {
	return failure.Stalled(v1alpha1.ReasonBytesChanged, nil,
		"the vouchers of this run no longer render to the recorded bytes, because the operator was upgraded to another version of the exporter; "+
			"cancel the run to give its claims back")
}
