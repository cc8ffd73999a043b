package pipeline

import (
	"context"

	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/submission"
)

// submit sends the vouchers of a rendered run to the accounting system, if the exporter does that: rendered → submitted.
func (a *attempt) submit(ctx context.Context) error {
	if !a.books.sends() || a.run.Claims == 0 {
		return nil
	}
	s := a.submission()
	outstanding, err := s.Outstanding(ctx)
	if err != nil {
		return err
	}
	if outstanding && a.spool.Empty() {
		if err := a.renderAgain(ctx); err != nil {
			return err
		}
	}
	return a.settle(s.Send(ctx))
}

// settle notes that what an accounting system accepted is recorded: its receipt is the artifact from here on.
func (a *attempt) settle(receipt claims.Rendered, err error) error {
	if err != nil {
		return a.books.optionsRefused(err)
	}
	a.run.State, a.run.Rendered = claims.StateSubmitted, receipt
	return nil
}

// submission is the sending of the run's vouchers. Restoring a receipt needs no books.
func (a *attempt) submission() *submission.Submission {
	s := &submission.Submission{
		Database: a.database, Run: *a.rendered(), Spool: a.spool, Exporter: a.books.exporter, Failpoints: a.Failpoints,
		Progress: func(answered, total int64) {
			a.progress.claims.Store(answered)
			a.progress.total.Store(total)
		},
		ListReceipts: a.listAttached,
	}
	if a.books.exporter != nil {
		s.Batch = a.batch()
	}
	if a.books.Receipts != "" {
		s.Attach = a.attachReceipts
	}
	return s
}
