package ledger

import (
	"slices"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// MaxVouchers of a claim.
const MaxVouchers = 1000

// splitKey is what the lines of one voucher have in common.
type splitKey struct {
	paymentMethod string
	period, line  int
}

// splitKeyOf says to which voucher of its claim a line belongs.
func (c *chart) splitKeyOf(line *Line) (key splitKey) {
	for _, by := range c.splitBy {
		switch by {
		case v1alpha1.SplitByPaymentMethod:
			key.paymentMethod = line.PaymentMethod
		case v1alpha1.SplitByFiscalYear, v1alpha1.SplitByMonth:
			key.period = max(key.period, c.periodOf(by, line.ExpenseDate))
		case v1alpha1.SplitByLine:
			key.line = line.Number
		}
	}
	return key
}

// periodOf numbers the fiscal year or the month of it that a date is in. Months have greater numbers than their years, and everything
// else has none.
func (c *chart) periodOf(by v1alpha1.VoucherSplit, date time.Time) int {
	const year = 100
	switch by {
	case v1alpha1.SplitByFiscalYear:
		return year * c.fiscalYear.Year(date)
	case v1alpha1.SplitByMonth:
		return year*c.fiscalYear.Year(date) + c.fiscalYear.Period(date)
	default:
		return 0
	}
}

// split divides the lines of a claim among its vouchers, which are in the order of their first lines. It uses the memory of parts.
func (c *chart) split(claim *Claim, parts [][]*Line) ([][]*Line, error) {
	parts = parts[:0]
	places := map[splitKey]int{}
	var before splitKey
	place := 0
	for i := range claim.Lines {
		line := &claim.Lines[i]
		key := c.splitKeyOf(line)
		known := i > 0 && key == before
		if !known {
			place, known = places[key]
		}
		before = key
		if !known {
			place = len(parts)
			if place == MaxVouchers {
				return parts, hold(claim, HoldTooLarge, "spec.vouchers.splitBy of the chart of accounts makes more than %d vouchers of it; divide it in the application", MaxVouchers)
			}
			places[key] = place
			parts = slices.Grow(parts, 1)[:place+1]
			parts[place] = parts[place][:0]
		}
		parts[place] = append(parts[place], line)
	}
	return parts, nil
}

// within returns the date on which the voucher of some lines wants to be posted. One that was made for a fiscal year or a month stays
// in it: on the date that the export's policy says, or else on that of its last expense.
func (c *chart) within(date time.Time, lines []*Line) time.Time {
	for _, by := range c.splitBy {
		if c.periodOf(by, date) != c.periodOf(by, lines[0].ExpenseDate) {
			return latestExpense(lines)
		}
	}
	return date
}
