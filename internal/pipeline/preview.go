package pipeline

import (
	"context"
	"io"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/ledger"
)

// preview delivers under _preview/ what an export would deliver now. It writes nothing to the database and needs no turn in
// the voucher series; what is interrupted restarts. Its totals are not compared with SQL, which knows only of claims that
// were taken.
func (a *attempt) preview(ctx context.Context) error {
	for _, step := range []struct {
		stage v1alpha1.RunStage
		run   func(context.Context) error
	}{
		{v1alpha1.StagePreflight, a.preparePreview},
		{v1alpha1.StageRender, a.renderPreview},
		{v1alpha1.StageDeliver, a.deliverPreview},
	} {
		if err := a.stage(ctx, step.stage, step.run); err != nil {
			return err
		}
	}
	return a.conclude()
}

// preparePreview makes the run that would be recorded.
func (a *attempt) preparePreview(ctx context.Context) error {
	if err := a.resolve(ctx); err != nil {
		return err
	}
	if err := a.cluster.ready(); err != nil {
		return err
	}
	if err := a.openDatabase(ctx); err != nil {
		return err
	}
	if err := a.openRest(ctx); err != nil {
		return err
	}
	present, err := a.present(ctx)
	if err != nil {
		return err
	}
	spec := a.cluster.export.Spec
	a.run = claims.Run{RunIdentity: a.task.identity(spec.OrganizationID), Book: a.cluster.export.Spec.Book, Series: spec.VoucherSeries, Cutoff: a.task.Cutoff}
	a.run.Selection = present.selected()
	a.books, err = compile(a.Resolver, a.task.Namespace, present, spec.VoucherSeries)
	return err
}

func (a *attempt) renderPreview(ctx context.Context) error {
	if err := a.findLacking(ctx); err != nil {
		return err
	}
	preview, err := a.database.Preview(ctx, a.run)
	if err != nil {
		return err
	}
	defer preview.Close()
	var from pass = preview
	if a.task.Limit > 0 {
		from = &limited{preview, a.task.Limit}
	}
	var r *rendering
	err = a.Failpoints.Around(failpoint.Render, func() (err error) {
		r, err = a.renderClaims(ctx, from)
		return err
	})
	if err != nil {
		return err
	}
	a.run.Rendered, err = a.complete(ctx, r)
	return err
}

func (a *attempt) deliverPreview(ctx context.Context) error {
	for i, file := range a.spool.Files() {
		if err := a.put(ctx, file, a.spool.Reader(i), a.admitted); err != nil {
			return err
		}
	}
	a.run.State, a.run.Location = claims.StateCommitted, a.artifactLocation()
	return nil
}

// limited ends a pass after so many claims.
type limited struct {
	pass
	left int64
}

// Next returns the next claim, or io.EOF.
func (l *limited) Next(ctx context.Context) (*ledger.Claim, error) {
	if l.left == 0 {
		return nil, io.EOF
	}
	l.left--
	return l.pass.Next(ctx)
}
