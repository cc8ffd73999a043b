package ledger

import (
	"cmp"
	"context"

	"github.com/ledgerport/ledgerport/texts"
)

// spend adds the debit side of one line: its expense, and the tax that is split off.
func (m *Mapper) spend(ctx context.Context, claim *Claim, line *Line, amounts lineAmounts, voucher *Voucher) error {
	found, field, err := m.chart.rules.find(ctx, line.Category, &m.variables)
	if err != nil {
		return expressionFailed(ctx, claim, line, field, err)
	}
	if found == nil && m.chart.suspense == "" {
		return hold(claim, HoldUnmapped, "line %d with category %q matches no rule; add a rule to the chart of accounts", line.Number, quotable(line.Category))
	}
	if found == nil { // suspense takes the gross amount
		m.expense(voucher, line, m.chart.suspense, amounts)
		return nil
	}
	rest, rate := amounts, m.rateOf(line, found.parts)
	for i := range found.parts {
		taken := rest
		if i < len(found.parts)-1 {
			taken = amounts.share(found.parts[i].percent, rate, rest)
		}
		if err := m.spendPart(ctx, claim, line, &found.parts[i], amounts, taken, voucher); err != nil {
			return err
		}
		rest = rest.minus(taken)
	}
	return nil
}

// rateOf returns the rate at which tax of every part of a line is split off, or 0 if the parts differ in their tax codes.
func (m *Mapper) rateOf(line *Line, parts []part) uint64 {
	code := cmp.Or(parts[0].taxCode, line.TaxCode)
	for i := range parts {
		if cmp.Or(parts[i].taxCode, line.TaxCode) != code {
			return 0
		}
	}
	if tax := m.chart.taxCodes[code]; tax != nil && tax.account != "" {
		return tax.percent
	}
	return 0
}

// spendPart adds the postings of one part of a line, which takes some of its amounts.
func (m *Mapper) spendPart(ctx context.Context, claim *Claim, line *Line, where *part, whole, taken lineAmounts, voucher *Voucher) error {
	tax, err := m.taxCodeOf(claim, line, where, whole)
	if err != nil {
		return err
	}
	expense := m.expense(voucher, line, where.account, taken)
	if err := m.dimensions(ctx, claim, line, where, expense); err != nil {
		return err
	}
	switch {
	case tax == nil:
	case tax.owed != "":
		m.selfAssess(line, tax, voucher)
	default:
		m.deduct(line, tax, taken, voucher)
	}
	return nil
}

// expense adds an expense posting of gross amounts. The quantity of a line is on the first.
func (m *Mapper) expense(voucher *Voucher, line *Line, account string, amounts lineAmounts) *Posting {
	first := len(voucher.Postings) == 0 || voucher.Postings[len(voucher.Postings)-1].LineNumber != line.Number
	posting := m.ofLine(voucher, line, ExpensePosting)
	posting.Account, posting.AccountName = account, m.chart.accounts[account]
	posting.Amount, posting.BaseAmount = amounts.gross, amounts.baseGross
	if !first {
		posting.Quantity, posting.Unit = "", ""
	}
	return posting
}

// ofLine returns a posting at the end of the voucher that has what the line says.
func (m *Mapper) ofLine(voucher *Voucher, line *Line, kind PostingKind) *Posting {
	posting := next(voucher)
	*posting = Posting{
		Kind: kind, Text: m.free(line.Description), Dimensions: posting.Dimensions[:0],
		LineNumber: line.Number, ExpenseDate: line.ExpenseDate, Category: line.Category,
		Quantity: line.Quantity, Unit: line.Unit, ReceiptURI: line.ReceiptURI,
		PaymentMethod: line.PaymentMethod, PaymentReference: line.PaymentReference,
		Merchant: line.Merchant, Country: line.Country, DocumentNumber: line.DocumentNumber,
	}
	if posting.Text == "" {
		posting.Text = texts.OneLine(line.Category)
	}
	return posting
}

// next returns a posting at the end of the voucher whose memory may be used again.
func next(voucher *Voucher) *Posting {
	if n := len(voucher.Postings); n < cap(voucher.Postings) {
		voucher.Postings = voucher.Postings[:n+1]
	} else {
		voucher.Postings = append(voucher.Postings, Posting{})
	}
	return &voucher.Postings[len(voucher.Postings)-1]
}

func (m *Mapper) dimensions(ctx context.Context, claim *Claim, line *Line, from *part, posting *Posting) error {
	for _, dimension := range from.dimensions {
		value, err := dimension.value.Eval(ctx, &m.variables)
		if err != nil {
			return expressionFailed(ctx, claim, line, dimension.field, err)
		}
		text, _ := value.Value().(string)
		if problem := textProblem(text); problem != "" {
			return hold(claim, HoldInvalidText, "what %s of the chart returns for line %d %s", dimension.field, line.Number, problem)
		}
		if text = texts.OneLine(text); text != "" {
			if m.given += DimensionSize + len(text); m.given > MaxClaimSize {
				return hold(claim, HoldTooLarge, "what the chart's rules give for the dimensions of its lines takes more than %d MiB; let them give fewer, and codes", MaxClaimSize>>20)
			}
			posting.Dimensions = append(posting.Dimensions, Dimension{Name: dimension.name, Value: text})
		}
	}
	return nil
}
