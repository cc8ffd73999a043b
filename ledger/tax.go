package ledger

import (
	"cmp"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// taxCode is a compiled tax code. Percentages are in ten-thousandths.
type taxCode struct {
	code, rate    string
	percent       uint64 // the rate
	account       string // that takes what is deducted; empty: nothing is split off
	deductible    uint64
	nonDeductible string // account of the rest; empty: the line's
	owed          string // account of the tax that the organisation owes itself; empty: the supplier charges it
}

// defaultTaxTolerance is in the smallest units of the books' currency: receipts round the tax of each item.
const defaultTaxTolerance Amount = 10

func (c *chart) compileTaxCode(field string, spec *v1alpha1.TaxCode) {
	if _, twice := c.taxCodes[spec.Code]; twice {
		c.wrong(field+".code", "tax code %q is there twice", spec.Code)
	}
	compiled := &taxCode{code: spec.Code, rate: spec.Rate, account: spec.Account, deductible: wholePercent, nonDeductible: spec.NonDeductibleAccount}
	c.taxCodes[spec.Code] = compiled
	var ok bool
	if compiled.percent, ok = ParsePercent(spec.Rate); !ok {
		c.wrong(field+".rate", "%.20q is not a percentage such as 25 or 5.5", spec.Rate)
	}
	if spec.Deductible != "" {
		if compiled.deductible, ok = ParsePercent(spec.Deductible); !ok || compiled.deductible > wholePercent {
			c.wrong(field+".deductible", "%.20q is not a percentage of at most 100", spec.Deductible)
		}
	}
	for part, account := range map[string]string{".account": spec.Account, ".nonDeductibleAccount": spec.NonDeductibleAccount} {
		if account != "" {
			c.requireAccount(field+part, account)
		}
	}
	if spec.ReverseCharge == nil {
		return
	}
	compiled.owed = spec.ReverseCharge.Account
	c.requireAccount(field+".reverseCharge.account", compiled.owed)
	if compiled.percent == 0 || compiled.percent > wholePercent {
		c.wrong(field+".rate", "%.20q is not above 0 and up to 100, and tax that is owed by reverse charge is computed from it", spec.Rate)
	}
	if spec.Account == "" && compiled.deductible > 0 {
		c.wrong(field+".account", "is missing; it takes the tax that is deducted")
	}
}

// taxCodeOf returns the tax code by which tax of a line is posted; nil if none is split off. The amounts are those of the whole line.
func (m *Mapper) taxCodeOf(claim *Claim, line *Line, where *part, amounts lineAmounts) (*taxCode, error) {
	code := cmp.Or(where.taxCode, line.TaxCode)
	if code == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	tax, defined := m.chart.taxCodes[code]
	switch {
	case !defined:
		return nil, hold(claim, HoldUndefinedTaxCode, "line %d has the tax code %q; add it to taxCodes of the chart of accounts, or give its rule a taxCode",
			line.Number, quotable(code))
	case tax.owed != "" && amounts.tax != 0:
		return nil, hold(claim, HoldTaxExceedsRate, "line %d has tax, and the tax code %q is for receipts without; correct one of them in the application",
			line.Number, quotable(code))
	case tax.owed == "" && tax.account == "":
		return nil, nil //nolint:nilnil // not deductible
	}
	computed := taxIn(amounts.baseGross, tax.percent)
	switch {
	case magnitude(amounts.baseTax) > magnitude(computed)+m.chart.tolerance:
		return nil, hold(claim, HoldTaxExceedsRate, "line %d has %s of tax in %s, and the tax code %q with its %s %% makes %s; correct one of them in the application, or raise spec.taxTolerance of the chart of accounts",
			line.Number, amounts.baseTax.Decimal(m.chart.base), quoteAmount(amounts.baseGross, m.chart.base), quotable(code), tax.rate, computed.Decimal(m.chart.base))
	case tax.owed == "" && amounts.tax == 0 && where.taxCode == "" && magnitude(computed) > m.chart.tolerance:
		return nil, hold(claim, HoldTaxMissing, "line %d has the tax code %q of %s %% and no tax; if the organisation owes the tax itself, give the code a reverseCharge in the chart of accounts, else correct the line in the application",
			line.Number, quotable(code), tax.rate)
	case tax.owed == "" && amounts.tax == 0:
		return nil, nil //nolint:nilnil // the receipt has none
	}
	return tax, nil
}

// deduct moves the tax of the expense at a place, as the receipt shows it, to postings of its own.
func (m *Mapper) deduct(line *Line, tax *taxCode, amounts lineAmounts, voucher *Voucher) {
	deducted := share(amounts.tax, tax.deductible, wholePercent)
	baseDeducted := share(amounts.baseTax, tax.deductible, wholePercent)
	place := len(voucher.Postings) - 1
	expense := &voucher.Postings[place]
	expense.Amount -= amounts.tax
	expense.BaseAmount -= amounts.baseTax
	if deducted != 0 || baseDeducted != 0 {
		expense.TaxCode, expense.TaxRate = tax.code, tax.rate
		expense.TaxAmount, expense.BaseTaxAmount = deducted, baseDeducted
		m.postTax(voucher, line, TaxPosting, tax, tax.account, deducted, baseDeducted)
	}
	m.postRest(voucher, line, NonDeductiblePosting, place, tax, amounts.tax-deducted, amounts.baseTax-baseDeducted)
}

// selfAssess posts the tax that the organisation owes for the expense just added, which is net.
func (m *Mapper) selfAssess(line *Line, tax *taxCode, voucher *Voucher) {
	place := len(voucher.Postings) - 1
	expense := &voucher.Postings[place]
	expense.TaxCode, expense.TaxRate = tax.code, tax.rate
	owed, baseOwed := share(expense.Amount, tax.percent, wholePercent), share(expense.BaseAmount, tax.percent, wholePercent)
	deducted, baseDeducted := share(owed, tax.deductible, wholePercent), share(baseOwed, tax.deductible, wholePercent)
	m.postTax(voucher, line, ReverseChargePosting, tax, tax.account, deducted, baseDeducted)
	m.postRest(voucher, line, ReverseChargePosting, place, tax, owed-deducted, baseOwed-baseDeducted)
	m.postTax(voucher, line, ReverseChargePosting, tax, tax.owed, -owed, -baseOwed)
}

// postTax adds a posting of tax. One of nothing is left out.
func (m *Mapper) postTax(voucher *Voucher, line *Line, kind PostingKind, tax *taxCode, account string, amount, base Amount) {
	if amount == 0 && base == 0 {
		return
	}
	posting := m.ofLine(voucher, line, kind) // may move the others
	posting.Account, posting.AccountName = account, m.chart.accounts[account]
	posting.Amount, posting.BaseAmount = amount, base
	posting.TaxCode, posting.TaxRate = tax.code, tax.rate
}

// postRest adds a posting of the tax that is not deducted, which is expense as that at a place is. One of nothing is left out.
func (m *Mapper) postRest(voucher *Voucher, line *Line, kind PostingKind, place int, tax *taxCode, amount, base Amount) {
	if amount == 0 && base == 0 {
		return
	}
	posting := m.ofLine(voucher, line, kind) // may move the others
	expense := &voucher.Postings[place]
	posting.Account = cmp.Or(tax.nonDeductible, expense.Account)
	posting.AccountName = m.chart.accounts[posting.Account]
	posting.Amount, posting.BaseAmount = amount, base
	posting.Dimensions = append(posting.Dimensions, expense.Dimensions...)
}
