package ledger

import (
	"fmt"
	"time"
)

// FiscalYearStart is the month and day on which the books' year begins.
type FiscalYearStart struct {
	Month time.Month
	Day   int
}

// ParseFiscalYearStart reads MM-DD; an empty text is 1 January. 29 February is refused: most years have none.
func ParseFiscalYearStart(text string) (FiscalYearStart, error) {
	if text == "" {
		return FiscalYearStart{Month: time.January, Day: 1}, nil
	}
	date, err := time.Parse("2006-01-02", "2001-"+text) // no leap year
	if err != nil {
		return FiscalYearStart{}, fmt.Errorf("%q is not a month and day such as 07-01", text)
	}
	return FiscalYearStart{Month: date.Month(), Day: date.Day()}, nil
}

// Year names the fiscal year of a date by the calendar year in which it begins.
func (s FiscalYearStart) Year(date time.Time) int {
	year := date.Year()
	if date.Before(time.Date(year, s.Month, s.Day, 0, 0, 0, 0, date.Location())) {
		return year - 1
	}
	return year
}

// Range returns the first and last day of a fiscal year, midnight UTC.
func (s FiscalYearStart) Range(year int) (first, last time.Time) {
	first = time.Date(year, s.Month, s.Day, 0, 0, 0, 0, time.UTC)
	return first, first.AddDate(1, 0, -1)
}

// Period is the month of the fiscal year that a date is in, counted from 1. A month begins on the day on which the year does.
func (s FiscalYearStart) Period(date time.Time) int {
	const months = 12
	period := (date.Year()-s.Year(date))*months + int(date.Month()-s.Month)
	if date.Day() < s.Day {
		period--
	}
	return period + 1
}

// oneYear holds a claim if a voucher of it would have expenses of several fiscal years: they belong to the year in which they were made
// (ÅRL 2:4, HGB §252 (1) No. 5, rskl §4-1), and a voucher has one posting date.
func (c *chart) oneYear(claim *Claim, lines []*Line) error {
	if c.acrossYears {
		return nil
	}
	first := lines[0]
	for _, line := range lines {
		if c.fiscalYear.Year(line.ExpenseDate) != c.fiscalYear.Year(first.ExpenseDate) {
			return hold(claim, HoldSeveralYears, "line %d is of %s and line %d of %s, which are two fiscal years; split the claim by spec.vouchers.splitBy of the chart of accounts, or divide it in the application",
				first.Number, first.ExpenseDate.Format(time.DateOnly), line.Number, line.ExpenseDate.Format(time.DateOnly))
		}
	}
	return nil
}
