package submission

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/ledger"
)

const (
	receiptName      = "receipt.jsonl"
	receiptMediaType = "application/jsonl"
)

// receiptLine says what became of one voucher that was sent to an accounting system.
type receiptLine struct {
	Voucher string `json:"voucher"`
	Claim   string `json:"claim"`
	// Outcome is accepted, rejected, or returned for a voucher that the system does not have.
	Outcome   string `json:"outcome"`
	Reference string `json:"reference,omitempty"`
	Message   string `json:"message,omitempty"`
}

var outcomes = map[claims.VoucherState]string{
	claims.VoucherAcknowledged: "accepted", claims.VoucherRejected: "rejected",
	claims.VoucherWaiting: "returned", claims.VoucherSent: "returned",
}

// Settle makes the receipt and a manifest of what the accounting system accepted, and records both: rendered → submitted.
// Nothing of it depends on what the claims are now. A run that did not come to its end says why.
func (s *Submission) Settle(ctx context.Context, system map[string]string, unfinished v1alpha1.Reason) (receipt claims.Rendered, err error) {
	totals, err := s.Database.SubmissionTotals(ctx, s.Run.Fence())
	if err != nil {
		return receipt, err
	}
	s.Spool.Discard()
	var attached *artifact.Receipts
	if totals.Acknowledged > 0 {
		if attached, err = s.spoolReceipt(ctx); err != nil {
			return receipt, err
		}
	}
	manifest, err := s.manifest(ctx, &totals, system, unfinished)
	if err != nil {
		return receipt, err
	}
	manifest.Receipts = attached
	if err := manifest.Validate(); err != nil { // or nobody could read it
		return receipt, claims.RecordInvalid("submitted_vouchers", s.Run.ID, err)
	}
	content, err := manifest.Encode()
	if err != nil {
		return receipt, err
	}
	if totals.Acknowledged > 0 {
		if err := s.Spool.AddManifest(content); err != nil {
			return receipt, err
		}
	}
	receipt = claims.NewRendered(s.Spool.Files(), content, &manifest.Figures)
	err = s.Failpoints.Around(failpoint.Settle, func() error { return s.Database.Settle(ctx, s.Run.Fence(), receipt) })
	return receipt, err
}

// Restore puts the receipt that is recorded into the spool.
func (s *Submission) Restore(ctx context.Context) error {
	if _, err := s.spoolReceipt(ctx); err != nil {
		return err
	}
	return s.Spool.AddManifest(s.Run.Manifest)
}

// spoolReceipt writes what became of each voucher, in order, and behind it what became of the receipts of the claims, if that is known.
func (s *Submission) spoolReceipt(ctx context.Context) (*artifact.Receipts, error) {
	file, err := s.Spool.Add(receiptName, receiptMediaType)
	if err != nil {
		return nil, err
	}
	encoder := json.NewEncoder(file)
	encoder.SetEscapeHTML(false)
	err = s.everyVoucher(ctx, func(v *claims.SubmittedVoucher) error {
		return encoder.Encode(receiptLine{Voucher: s.voucherID(v), Claim: v.ClaimID, Outcome: outcomes[v.State], Reference: v.Reference, Message: v.Message})
	}, claims.VoucherAcknowledged, claims.VoucherRejected, claims.VoucherWaiting, claims.VoucherSent)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return s.ListReceipts(ctx)
}

// everyVoucher calls a function with each recorded voucher that is in one of the states, in order.
func (s *Submission) everyVoucher(ctx context.Context, do func(*claims.SubmittedVoucher) error, states ...claims.VoucherState) error {
	for position := int64(0); ; {
		vouchers, err := s.Database.SubmittedVouchers(ctx, s.Run.Fence(), position, windowSize, states...)
		if err != nil || len(vouchers) == 0 {
			return err
		}
		for i := range vouchers {
			if err := do(&vouchers[i]); err != nil {
				return err
			}
		}
		position = vouchers[len(vouchers)-1].Position
	}
}

// manifest makes of the manifest of what was rendered one of what was accepted.
func (s *Submission) manifest(ctx context.Context, totals *claims.SubmissionTotals, system map[string]string, unfinished v1alpha1.Reason) (m artifact.Manifest, err error) {
	if m, err = s.Run.ReadManifest(); err != nil {
		return m, err
	}
	m.Submission = &artifact.Submission{
		Submitted: artifact.Submitted{Accepted: totals.Acknowledged, Rejected: totals.Rejected, Returned: totals.Open(), Unfinished: unfinished},
		Requests:  m.Files, System: system,
	}
	m.Files = s.Spool.Files()
	accepted := totals.Accepted
	accepted.Base.Currency, accepted.Held, accepted.HeldTotal = m.Base.Currency, m.Held, m.HeldTotal
	m.Figures = accepted
	err = s.everyVoucher(ctx, func(v *claims.SubmittedVoucher) error {
		m.Hold(&ledger.Hold{ClaimID: v.ClaimID, Reason: ledger.HoldRejected, Message: v.Message})
		return nil
	}, claims.VoucherRejected)
	return m, err
}
