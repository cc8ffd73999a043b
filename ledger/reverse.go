package ledger

// Reverse turns a voucher into the one that reverses it: the same postings with the signs changed, in the mapper's series,
// on the same date, or where that period is closed on the first day of the open one. Its number is left to the caller.
func (m *Mapper) Reverse(voucher *Voucher) {
	voucher.Reverses = voucher.ID()
	voucher.Series, voucher.Number = m.series, 0
	if voucher.PostingDate.Before(m.dates.openFrom) {
		voucher.PostingDate = m.dates.openFrom
		voucher.FiscalYear = m.chart.fiscalYear.Year(voucher.PostingDate)
	}
	for i := range voucher.Postings {
		p := &voucher.Postings[i]
		p.Amount, p.BaseAmount = -p.Amount, -p.BaseAmount
		p.TaxAmount, p.BaseTaxAmount = -p.TaxAmount, -p.BaseTaxAmount
	}
}
