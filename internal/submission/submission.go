// Package submission sends the vouchers of a run to an accounting system, and makes a receipt of what it accepted. What may
// have been sent is recorded before it is, and every answer is recorded before the next voucher is sent, so that any process can
// go on where another ended. What a run does before and after is not its business.
package submission

import (
	"context"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Submission is a run whose vouchers are sent.
type Submission struct {
	Database *claims.Database
	// Run is rendered, by the attempt that its fence names.
	Run claims.Run
	// Spool has the requests, one on each line of its first file, while vouchers are sent; it takes the receipt.
	Spool *artifact.Spool
	// Exporter knows the accounting system, and Batch is what it is told.
	Exporter exporters.Exporter
	Batch    exporters.Batch
	// Failpoints are those of the attempt.
	Failpoints failpoint.Hook
	// Progress is told how many vouchers have an answer, and how many there are.
	Progress func(answered, total int64)
	// Attach goes through the receipts of accepted vouchers, and has some of them attached at a time; nil if none are.
	Attach func(ctx context.Context, attach func(context.Context, []exporters.Attachment) error) error
	// ListReceipts puts the list of the receipts behind the receipt of the accounting system, if the run has one, and returns what they
	// come to; nil if it has none.
	ListReceipts func(context.Context) (*artifact.Receipts, error)
}

// Outstanding reports whether a voucher has no answer yet, so that its request is needed.
func (s *Submission) Outstanding(ctx context.Context) (bool, error) {
	totals, err := s.Database.SubmissionTotals(ctx, s.Run.Fence())
	return totals.Open() > 0, err
}

// Send sends what has no answer, has receipts attached to what the system accepted, lets it complete that, and records the receipt: rendered → submitted.
func (s *Submission) Send(ctx context.Context) (receipt claims.Rendered, err error) {
	opened, err := s.open(ctx)
	if err != nil {
		return receipt, err
	}
	if err := opened.sendAll(ctx); err != nil {
		return receipt, err
	}
	unfinished := ""
	if opened.stopped {
		if err := opened.settled(ctx); err != nil {
			return receipt, err
		}
		unfinished = v1alpha1.ReasonVouchersRejected
	}
	if err := opened.attach(ctx); err != nil {
		return receipt, err
	}
	if err := opened.finish(ctx); err != nil {
		return receipt, err
	}
	return s.Settle(ctx, opened.session.Describe(), unfinished)
}

// LookUp finds out about every voucher whose outcome is unknown, for a run that is to be released. One that the system does not
// have is only given back when the system cannot be processing it any more.
func (s *Submission) LookUp(ctx context.Context) error {
	opened, err := s.open(ctx)
	if err != nil {
		return err
	}
	return opened.settled(ctx)
}

// Whereabouts says where the vouchers are that were sent; nil if that is not known.
func (s *Submission) Whereabouts(ctx context.Context) map[string]string {
	opened, err := s.open(ctx)
	if err != nil {
		return nil
	}
	return opened.session.Describe()
}

// open begins a session with the accounting system.
func (s *Submission) open(ctx context.Context) (*sending, error) {
	submitter, submits := s.Exporter.(exporters.Submitter)
	if !submits {
		return nil, failure.Stalled(v1alpha1.ReasonInternal, nil, "run %s has sent vouchers, and the exporter %s of this operator sends none", s.Run.Name, s.Exporter.Type())
	}
	batch := s.Batch
	batch.HTTPClient = fenced(batch.HTTPClient, func(ctx context.Context) error { return s.Database.Guard(ctx, s.Run.Fence(), s.Run.State) })
	system := &System{Exporter: s.Exporter.Type(), Secrets: batch.Credentials}
	session, err := submitter.Open(ctx, batch)
	if err != nil {
		return nil, system.Failure(ctx, err)
	}
	opened := &sending{Submission: s, system: system, session: session, terms: session.Terms()}
	if !s.Spool.Empty() {
		opened.lines = newLines(s.Spool.Reader(0))
	}
	return opened, nil
}
