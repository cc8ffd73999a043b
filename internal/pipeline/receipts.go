package pipeline

import (
	"context"
	"errors"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/receipts"
	"github.com/ledgerport/ledgerport/ledger"
)

// receiptsDue reports whether the receipts of the run are still to be delivered, where the destination has not all of its files. Those
// that an accounting system has are not. A redelivery has their list from the beginning: it may have to deliver them until its manifest is there.
func (a *attempt) receiptsDue() bool {
	if a.books.Receipts == "" || a.run.State != claims.StateRendered || a.run.Claims == 0 || a.books.sends() {
		return false
	}
	return a.run.Type == claims.TypeRedelivery || !listsReceipts(&a.run)
}

// deliverReceipts copies the receipts of the recorded vouchers beside the artifact, block by block from where the record ends, and
// records the artifact anew, with their list.
func (a *attempt) deliverReceipts(ctx context.Context) error {
	if a.run.Type == claims.TypeRedelivery {
		return a.redeliverReceipts(ctx)
	}
	if err := a.copyReceipts(ctx); err != nil {
		return err
	}
	if a.spool.Empty() {
		if err := a.renderAgain(ctx); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(a.spool.Files(), func(file claims.File) bool { return file.Name == receipts.ListName }) {
		return failure.OnMapping.Stalled(v1alpha1.ReasonInvalidSpec, nil,
			"the exporter %s writes a file %s, which is the name of the list of the receipts; give its file another name in spec.exporter.options", a.books.exporter.Type(), receipts.ListName)
	}
	manifest, err := a.run.ReadManifest()
	if err != nil {
		return err
	}
	a.spool.DropManifest()
	total, err := a.spoolReceipts(ctx)
	if err != nil {
		return err
	}
	manifest.Files = a.spool.Files()
	manifest.Receipts = comesTo(a.books.Receipts, &total)
	encoded, err := manifest.Encode()
	if err == nil {
		err = a.spool.AddManifest(encoded)
	}
	if err != nil {
		return err
	}
	files := a.spool.Files()
	err = a.Failpoints.Around(failpoint.CompleteReceipts, func() error { return a.database.CompleteReceipts(ctx, a.run.Fence(), files, encoded) })
	if err == nil {
		a.run.Files, a.run.Manifest = files, encoded
	}
	return err
}

// copyReceipts copies what is not recorded as copied.
func (a *attempt) copyReceipts(ctx context.Context) error {
	copier, err := a.copier(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = copier.From.Close() }() // only read
	return a.eachUnrecorded(ctx, ofEach, func() error {
		err := a.copyBlock(ctx, copier)
		copier.Look = false
		return err
	})
}

// copyBlock copies a block of receipts.
func (a *attempt) copyBlock(ctx context.Context, copier *receipts.Copier) error {
	err := a.Failpoints.Around(failpoint.CopyReceipts, func() error { return copier.Copy(ctx, a.copied) })
	if err == nil && a.books.Receipts == v1alpha1.RequireReceipts {
		err = a.problemOf("put it back, or cancel the run, and the next one holds the claim")
	}
	return err
}

// redeliverReceipts copies what the other run has delivered, and nothing else.
func (a *attempt) redeliverReceipts(ctx context.Context) error {
	if err := a.findOriginal(ctx); err != nil || !listsReceipts(&a.original) {
		return err
	}
	copier, err := a.copier(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = copier.From.Close() }() // only read
	vouchers, err := a.database.KeptVouchers(ctx, a.original)
	if err != nil {
		return err
	}
	var done int64
	return a.eachDelivered(ctx, func(block claims.ReceiptBlock, delivered []receipts.Receipt) error {
		a.copied, err = deliveredOf(ctx, vouchers, block.Vouchers-done, delivered)
		if err != nil {
			return err
		}
		done = block.Vouchers
		if err := a.Failpoints.Around(failpoint.CopyReceipts, func() error { return copier.Copy(ctx, a.copied) }); err != nil {
			return err
		}
		return a.problemOf("put it back, or copy it from where run " + a.original.Name + " delivered it")
	})
}

// deliveredOf reads so many vouchers, and returns those of their receipts that were delivered, each once, with the size and hash that they had.
func deliveredOf(ctx context.Context, vouchers *claims.Vouchers, count int64, delivered []receipts.Receipt) (found []receipts.Receipt, err error) {
	was := map[string]destinations.Object{}
	for i := range delivered {
		was[delivered[i].Path()] = delivered[i].Object
	}
	var voucher ledger.Voucher
	for ; count > 0; count-- {
		if err := vouchers.Next(ctx, &voucher); err != nil {
			return nil, err
		}
		for _, receipt := range receipts.Of(&voucher) {
			if object, known := was[receipt.Path()]; known {
				delete(was, receipt.Path())
				receipt.Size, receipt.SHA256 = object.Size, object.SHA256
				found = append(found, receipt)
			}
		}
	}
	return found, nil
}

// eachDelivered does something with the receipts that each recorded block says were delivered.
func (a *attempt) eachDelivered(ctx context.Context, do func(block claims.ReceiptBlock, delivered []receipts.Receipt) error) error {
	return a.eachBlock(ctx, func(block claims.ReceiptBlock) error {
		delivered, err := receipts.Delivered(block.Rows)
		if err != nil {
			return claims.RecordInvalid("run_receipts", a.rendered().ID, err)
		}
		return do(block, delivered)
	})
}

// removeReceipts removes what the destination has of the receipts of the run: those that are recorded, and those that an attempt which
// died may have delivered before it recorded them.
func (a *attempt) removeReceipts(ctx context.Context) error {
	recorded, err := inputsOf(a.run)
	if err != nil || recorded.Receipts == "" {
		return err
	}
	if manifest, err := a.run.ReadManifest(); err != nil || manifest.Submission != nil { // an accounting system has them
		return err
	}
	if a.run.Type == claims.TypeRedelivery {
		if err := a.findOriginal(ctx); err != nil {
			return err
		}
	}
	var done int64
	err = a.eachDelivered(ctx, func(block claims.ReceiptBlock, delivered []receipts.Receipt) error {
		done = block.Vouchers
		return a.withdrawReceipts(ctx, delivered)
	})
	if err != nil || a.run.State != claims.StateRendered || listsReceipts(&a.run) {
		return err
	}
	vouchers, err := a.database.Vouchers(ctx, a.run.Fence())
	if err != nil {
		return err
	}
	if _, _, err = a.nextReceipts(ctx, vouchers, done, ofEach); err != nil {
		return err
	}
	return a.withdrawReceipts(ctx, a.copied)
}

// withdrawReceipts removes receipts. Of one whose hash is not known goes what has its name: nobody else gives a file of the run's own
// directory the name of a voucher.
func (a *attempt) withdrawReceipts(ctx context.Context, delivered []receipts.Receipt) error {
	return receipts.Each(ctx, delivered, func(ctx context.Context, r *receipts.Receipt) (err error) {
		key, object := a.task.directory()+"/"+r.Path(), r.Object
		if object.SHA256 == "" {
			object, err = a.destination.Stat(ctx, key)
		}
		if errors.Is(err, destinations.ErrNotFound) || errors.Is(err, destinations.ErrOccupied) {
			err = nil
		}
		if err != nil {
			return err
		}
		return a.destination.Remove(ctx, key, object)
	})
}
