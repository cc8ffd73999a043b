package pipeline

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
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
	// Outcome is accepted, rejected, or returned for a voucher that the system has nothing of.
	Outcome   string `json:"outcome"`
	Reference string `json:"reference,omitempty"`
	Message   string `json:"message,omitempty"`
}

var outcomes = map[claims.VoucherState]string{
	claims.VoucherAcknowledged: "accepted", claims.VoucherRejected: "rejected",
	claims.VoucherWaiting: "returned", claims.VoucherSent: "returned",
}

// settle makes the receipt and a manifest of what the accounting system accepted, and records both: rendered → posted.
// Nothing of it depends on what the claims are now. A run that did not come to its end says why.
func (a *attempt) settle(ctx context.Context, system map[string]string, unfinished v1alpha1.Reason) error {
	totals, err := a.database.PostingTotals(ctx, a.run.Fence())
	if err != nil {
		return err
	}
	a.spool.discard()
	manifest, err := manifestOf(a.run)
	if err != nil {
		return err
	}
	if totals.Acknowledged > 0 {
		if err := a.spoolReceipt(ctx); err != nil {
			return err
		}
	}
	if err := a.describePosting(ctx, &manifest, &totals, system, unfinished); err != nil {
		return err
	}
	receipt := claims.Rendered{Claims: manifest.Claims, Lines: manifest.Lines, Held: manifest.HeldTotal}
	if receipt.Manifest, err = manifest.encode(); err != nil {
		return err
	}
	if totals.Acknowledged > 0 {
		if err := a.spoolManifest(receipt.Manifest); err != nil {
			return err
		}
	}
	receipt.Files = a.spool.records()
	receipt.FirstVoucher, receipt.LastVoucher = firstAndLast(manifest.Vouchers)
	err = a.Failpoints.Around(failpoint.Settle, func() error { return a.database.Settle(ctx, a.run.Fence(), receipt) })
	if err != nil {
		return err
	}
	a.run.State, a.run.Rendered = claims.StatePosted, receipt
	return nil
}

// restoreReceipt makes the receipt on record anew.
func (a *attempt) restoreReceipt(ctx context.Context) error {
	if err := a.spoolReceipt(ctx); err != nil {
		return err
	}
	if err := a.spoolManifest(a.run.Manifest); err != nil {
		return err
	}
	return a.sameBytes()
}

// spoolReceipt writes what became of each voucher, in order.
func (a *attempt) spoolReceipt(ctx context.Context) error {
	file, err := a.spool.create(receiptName, receiptMediaType)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(file)
	encoder.SetEscapeHTML(false)
	err = a.everyVoucher(ctx, func(v *claims.PostedVoucher) error {
		return encoder.Encode(receiptLine{Voucher: a.voucherID(v), Claim: v.ClaimID, Outcome: outcomes[v.State], Reference: v.Reference, Message: v.Message})
	}, claims.VoucherAcknowledged, claims.VoucherRejected, claims.VoucherWaiting, claims.VoucherSent)
	if err != nil {
		return err
	}
	return file.Close()
}

// everyVoucher calls a function with each voucher on record that is in one of the states, in order.
func (a *attempt) everyVoucher(ctx context.Context, do func(*claims.PostedVoucher) error, states ...claims.VoucherState) error {
	for position := int64(0); ; {
		vouchers, err := a.database.PostedVouchers(ctx, a.run.Fence(), position, postingWindow, states...)
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

// describePosting makes the manifest of what was rendered one of what was accepted.
func (a *attempt) describePosting(ctx context.Context, m *Manifest, totals *claims.PostingTotals, system map[string]string, unfinished v1alpha1.Reason) error {
	m.Posting = &manifestPosting{
		Posted:   Posted{Accepted: totals.Acknowledged, Rejected: totals.Rejected, Returned: totals.Waiting + totals.Sent, Unfinished: unfinished},
		Requests: m.Files, System: system,
	}
	m.Files = []manifestFile{}
	for _, file := range a.spool.records() {
		m.Files = append(m.Files, manifestFile(file))
	}
	if err := m.sum(totals, a.run.Series); err != nil {
		return failure.Stalled(v1alpha1.ReasonInternal, err, "the sums of run %s cannot be read", a.task.Name)
	}
	m.HeldTotal += totals.Rejected
	return a.everyVoucher(ctx, func(v *claims.PostedVoucher) error {
		if len(m.Held) < manifestHeld {
			m.Held = append(m.Held, manifestHeldClaim{Claim: v.ClaimID, Reason: ledger.HoldRejected, Detail: v.Message})
		}
		return nil
	}, claims.VoucherRejected)
}

// sum makes counts, ranges and sums those of the vouchers that were accepted.
func (m *Manifest) sum(totals *claims.PostingTotals, series string) error {
	base, err := ledger.ParseCurrency(m.Base.Currency)
	if err != nil {
		return err
	}
	whole := sums{base: sum{currency: base}}
	m.Claims, m.Lines = 0, 0
	for _, posted := range totals.Sums {
		currency, err := ledger.ParseCurrency(posted.Currency)
		if err != nil {
			return err
		}
		m.Claims += posted.Claims
		m.Lines += posted.Lines
		of := whole.of(currency)
		of.claims, of.debit, of.credit, of.payable = posted.Claims, posted.Debit, posted.Debit, posted.Payable
		whole.base.claims += posted.Claims
		whole.base.debit += posted.BaseDebit
		whole.base.credit += posted.BaseDebit
		whole.base.payable += posted.BasePayable
	}
	m.Base, m.Currencies = whole.base.manifest(), []manifestSum{}
	for _, currency := range whole.currencies {
		m.Currencies = append(m.Currencies, currency.manifest())
	}
	m.Vouchers = nil
	for _, unbroken := range totals.Ranges {
		m.Vouchers = append(m.Vouchers, voucherRange{Series: series, FiscalYear: unbroken.FiscalYear, First: unbroken.First, Last: unbroken.Last})
	}
	return nil
}

// firstAndLast give the voucher IDs at the ends of ranges; empty where there are none.
func firstAndLast(ranges []voucherRange) (first, last string) {
	if len(ranges) == 0 {
		return "", ""
	}
	id := func(r voucherRange, number int64) string {
		return (&ledger.Voucher{Series: r.Series, FiscalYear: r.FiscalYear, Number: number}).ID()
	}
	return id(ranges[0], ranges[0].First), id(ranges[len(ranges)-1], ranges[len(ranges)-1].Last)
}

// encode returns the manifest's bytes.
func (m *Manifest) encode() ([]byte, error) {
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	return append(content, '\n'), nil
}
