package pipeline

import (
	"context"
	"io"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/receipts"
	"github.com/ledgerport/ledgerport/ledger"
)

// attach has an accounting system attach receipts to vouchers that it has.
type attach = func(context.Context, []exporters.Attachment) error

// attachReceipts has the receipts of the vouchers attached that the accounting system has accepted.
func (a *attempt) attachReceipts(ctx context.Context, attach attach) error {
	copier, err := a.copier(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = copier.From.Close() }() // only read
	return a.eachUnrecorded(ctx, a.ofAccepted(), func() error {
		err := a.Failpoints.Around(failpoint.CopyReceipts, func() error { return a.attachBlock(ctx, copier, attach) })
		if err == nil && a.books.Receipts == v1alpha1.RequireReceipts {
			err = a.problemOf("put it back, or cancel the run: it ends with the vouchers that the accounting system has, and lists the receipts that it does not have")
		}
		return err
	})
}

// accepted finds the receipts of vouchers that the accounting system has.
type accepted struct {
	attempt *attempt
	ahead   []claims.SubmittedVoucher // those that were accepted, from the next
	last    int64                     // position that was read
	ended   bool
}

// ofAccepted are the receipts of vouchers that the accounting system has.
func (a *attempt) ofAccepted() receiptsOf { return (&accepted{attempt: a}).receipts }

// window is how many accepted vouchers are read from the record at a time.
const window = 100

// receipts of a voucher, if it was accepted. Both records have their vouchers in the same order.
func (v *accepted) receipts(ctx context.Context, voucher *ledger.Voucher) (of []receipts.Receipt, err error) {
	if len(v.ahead) == 0 && !v.ended {
		v.ahead, err = v.attempt.database.SubmittedVouchers(ctx, v.attempt.run.Fence(), v.last, window, claims.VoucherAcknowledged)
		if err != nil {
			return nil, err
		}
		if v.ended = len(v.ahead) < window; len(v.ahead) > 0 {
			v.last = v.ahead[len(v.ahead)-1].Position
		}
	}
	if len(v.ahead) == 0 || v.ahead[0].FiscalYear != voucher.FiscalYear || v.ahead[0].Number != voucher.Number {
		return nil, nil
	}
	v.ahead = v.ahead[1:]
	of = receipts.Of(voucher)
	for i := range of {
		of[i].Attached = true
	}
	return of, nil
}

// attachBlock has a block of receipts attached, a few at a time: that many are on the local disk at once.
func (a *attempt) attachBlock(ctx context.Context, copier *receipts.Copier, attach attach) error {
	for some := range slices.Chunk(a.copied, receipts.Workers) {
		if err := a.attachSome(ctx, copier, some, attach); err != nil {
			return err
		}
	}
	return nil
}

func (a *attempt) attachSome(ctx context.Context, copier *receipts.Copier, some []receipts.Receipt, attach attach) error {
	kept, discard, err := copier.Keep(ctx, some)
	defer discard()
	if err != nil {
		return err
	}
	var attachments []exporters.Attachment
	for i := range some {
		if r := &some[i]; r.Problem == "" {
			attachments = append(attachments, exporters.Attachment{
				Voucher: exporters.Request{Voucher: r.VoucherID, ClaimID: r.ClaimID}, Name: r.File, Size: r.Object.Size,
				Content: func() io.Reader { return kept[i].Reader() },
			})
		}
	}
	if len(attachments) == 0 {
		return nil
	}
	return attach(ctx, attachments)
}

// noteUnattached records that the receipts which are not recorded yet are not attached, of a run that is ended before they are.
func (a *attempt) noteUnattached(ctx context.Context) error {
	recorded, err := inputsOf(a.run)
	if err != nil || recorded.Receipts == "" {
		return err
	}
	return a.eachUnrecorded(ctx, a.ofAccepted(), func() error {
		for i := range a.copied {
			a.copied[i].Problem = receipts.NotAttached
		}
		return nil
	})
}

// listAttached puts the recorded list of the receipts behind the receipt of the accounting system, and returns what they come to; nil if
// the run ignores receipts.
func (a *attempt) listAttached(ctx context.Context) (*artifact.Receipts, error) {
	recorded, err := inputsOf(*a.rendered())
	if err != nil || recorded.Receipts == "" {
		return nil, err
	}
	total, err := a.spoolReceipts(ctx)
	return comesTo(recorded.Receipts, &total), err
}
