package ledger

import "time"

// Reverse turns a voucher into the one that reverses it: the same postings with the signs changed, in the mapper's series,
// on the same date, or where that period is closed on the first day of the open one. Its number is left to the caller. The error
// is a *Hold: the open period begins after the day of the run.
func (m *Mapper) Reverse(voucher *Voucher) error {
	voucher.Reverses = voucher.ID()
	voucher.Series, voucher.Number = m.series, 0
	if voucher.PostingDate.Before(m.dates.openFrom) {
		if m.dates.inFuture(m.dates.openFrom) {
			return &Hold{ClaimID: voucher.ClaimID, Reason: HoldFutureDate, Message: "it would be posted on " + m.dates.openFrom.Format(time.DateOnly) +
				", the first day of the open period (spec.posting.openFrom), which is after the run's cutoff; correct openFrom, or reverse the run after that day"}
		}
		voucher.PostingDate = m.dates.openFrom
		voucher.FiscalYear = m.chart.fiscalYear.Year(voucher.PostingDate)
	}
	for i := range voucher.Postings {
		p := &voucher.Postings[i]
		p.Amount, p.BaseAmount = -p.Amount, -p.BaseAmount
		p.TaxAmount, p.BaseTaxAmount = -p.TaxAmount, -p.BaseTaxAmount
	}
	return nil
}
