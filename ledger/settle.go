package ledger

import (
	"context"
	"strings"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// settle adds the credit side of one line that somebody else than the claimant has paid. Any other line is owed.
func (m *Mapper) settle(ctx context.Context, claim *Claim, line *Line, amounts lineAmounts, voucher *Voucher) error {
	found, field, err := m.chart.offsets.find(ctx, line.PaymentMethod, &m.variables)
	if err != nil {
		return expressionFailed(ctx, claim, line, field, err)
	}
	if found == nil {
		return m.sum.owe(claim, amounts)
	}
	posting := m.ofLine(voucher, line, PaidPosting)
	where := &found.parts[0]
	posting.Account, posting.AccountName = where.account, m.chart.accounts[where.account]
	posting.Amount, posting.BaseAmount = -amounts.gross, -amounts.baseGross
	if posting.Subledger, err = subledger(claim, line, found.subledger, found.field); err != nil {
		return err
	}
	return m.dimensions(ctx, claim, line, where, posting)
}

// subledger returns what a policy of the chart puts into the subledger; the line is nil for what concerns the whole claim.
func subledger(claim *Claim, line *Line, policy v1alpha1.SubledgerPolicy, field string) (string, error) {
	switch {
	case policy == v1alpha1.SubledgerClaimant && strings.TrimSpace(claim.ClaimantID) == "":
		return "", noClaimant(claim, field)
	case policy == v1alpha1.SubledgerClaimant:
		return claim.ClaimantID, nil
	case policy != v1alpha1.SubledgerPaymentReference:
		return "", nil
	case strings.TrimSpace(line.PaymentReference) == "":
		return "", hold(claim, HoldNoPaymentReference, "payment_reference of line %d is empty, and %s of the chart of accounts posts by it; add it in the application, or set its subledger to None",
			line.Number, field)
	case strings.ContainsAny(line.PaymentReference, "\t\r\n"): // a text is put on one line, but that would be another card
		return "", hold(claim, HoldInvalidText, "payment_reference of line %d has a line break or a tab; correct it in the application", line.Number)
	}
	return line.PaymentReference, nil
}

func noClaimant(claim *Claim, field string) error {
	return hold(claim, HoldNoClaimant, "claimant_id is empty, and %s of the chart of accounts posts per claimant; add it in the application, or set its subledger to None", field)
}

// readAdvance reads what the claimant was paid before.
func (m *Mapper) readAdvance(claim *Claim) (err error) {
	m.sum = claimSum{currency: m.currency, base: m.chart.base}
	m.advance, m.baseAdvance, err = m.sum.advance(claim)
	if err == nil && m.advance != 0 && m.chart.advances == nil {
		err = hold(claim, HoldNoAdvanceAccount, "the claim settles an advance, and the chart of accounts has no account of advances; add spec.advances")
	}
	return err
}

// takeAdvance returns how much of the advance a voucher settles: no more than it owes, unless it is the last.
func (m *Mapper) takeAdvance(last bool) (amount, base Amount) {
	amount, base = m.advance, m.baseAdvance
	if owed := max(m.sum.gross, 0); !last && owed < amount {
		amount, base = owed, share(base, uint64(owed), uint64(amount)) // neither is negative
	}
	m.advance -= amount
	m.baseAdvance -= base
	return amount, base
}

// balance adds what makes the voucher sum to zero: the residue of conversion, what the claimant was paid before, and the debt to
// the claimant.
func (m *Mapper) balance(claim *Claim, last bool, voucher *Voucher) error {
	baseOwed, err := m.sum.owed()
	if err != nil {
		return hold(claim, HoldInvalidAmount, "the sum of the claim is %s", ErrTooLarge)
	}
	advance, baseAdvance := m.takeAdvance(last)
	payable, basePayable := m.sum.gross-advance, baseOwed-baseAdvance
	if advance != 0 && payable == 0 {
		basePayable = 0 // the advance was converted at another rate: nothing is owed in either currency
	}
	if advance != 0 && contradicts(basePayable, payable) {
		return hold(claim, HoldMixedCurrencies, "after its advance the claim owes %s and %s; correct advance_amount or base_advance_amount in the application",
			quoteAmount(payable, m.currency), quoteAmount(basePayable, m.chart.base))
	}
	if err := m.round(claim, basePayable+baseAdvance-m.sum.baseGross, voucher); err != nil {
		return err
	}
	if advance != 0 {
		posting := Posting{Kind: AdvancePosting, Account: m.chart.advances.Account, Amount: -advance, BaseAmount: -baseAdvance}
		if posting.Subledger, err = subledger(claim, nil, m.chart.advances.Subledger, "spec.advances"); err != nil {
			return err
		}
		m.append(voucher, posting)
	}
	offset := Posting{Kind: OffsetPosting, Account: m.chart.offset.Account, Amount: -payable, BaseAmount: -basePayable}
	if m.chart.offset.Subledger == v1alpha1.SubledgerClaimant {
		offset.Subledger = claim.ClaimantID
	}
	m.append(voucher, offset)
	return nil
}

// round adds the residue of conversion, if there is one and the chart takes it.
func (m *Mapper) round(claim *Claim, residue Amount, voucher *Voucher) error {
	if residue == 0 {
		return nil
	}
	rounding := m.chart.rounding
	if rounding == nil || magnitude(residue) > rounding.limit {
		return hold(claim, HoldRoundingExceeded, "rounding its lines to %s leaves %s, more than spec.rounding of the chart of accounts takes; raise its limit, or correct the base amounts in the application",
			m.chart.base.Code(), residue.Decimal(m.chart.base))
	}
	m.append(voucher, Posting{Kind: RoundingPosting, Account: rounding.account, BaseAmount: residue})
	return nil
}

func (m *Mapper) append(voucher *Voucher, posting Posting) {
	into := next(voucher)
	posting.AccountName, posting.Text, posting.Dimensions = m.chart.accounts[posting.Account], voucher.Text, into.Dimensions[:0]
	*into = posting
}

func quoteAmount(amount Amount, c Currency) string { return amount.Decimal(c) + " " + c.Code() }
