package ledger

import "strings"

// Reverse turns a voucher into the one that reverses it: the same postings with the signs changed, in the mapper's series,
// on the same date, or where that period is closed on the first day of the open one. Every text names the voucher that is
// reversed: the law wants that of a correction (GoBD, Rz. 64; BFL 5 kap. 5 §; bokføringsloven § 9), and not every format has a
// field for it. Its number is left to the caller.
func (m *Mapper) Reverse(voucher *Voucher) {
	voucher.Reverses = voucher.ID()
	voucher.Series, voucher.Number = m.series, 0
	voucher.Receipts = voucher.Receipts[:0] // they are where the reversed voucher is
	if voucher.PostingDate.Before(m.dates.openFrom) {
		voucher.PostingDate = m.dates.openFrom
		voucher.FiscalYear = m.chart.fiscalYear.Year(voucher.PostingDate)
	}
	reverses := "Reverses " + voucher.Reverses + ": "
	voucher.Text = reverses + voucher.Text
	for i := range voucher.Postings {
		p := &voucher.Postings[i]
		p.Text, p.Quantity = reverses+p.Text, negated(p.Quantity)
		p.Amount, p.BaseAmount = -p.Amount, -p.BaseAmount
		p.TaxAmount, p.BaseTaxAmount = -p.TaxAmount, -p.BaseTaxAmount
	}
}

// negated returns a decimal, or nothing, with the other sign.
func negated(quantity string) string {
	switch positive, negative := strings.CutPrefix(quantity, "-"); {
	case negative:
		return positive
	case strings.Trim(quantity, "0.") == "":
		return quantity
	}
	return "-" + quantity
}
