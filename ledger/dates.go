package ledger

import (
	"cmp"
	"fmt"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// VoucherPolicy is what an AccountingExport says of its vouchers.
type VoucherPolicy struct {
	// Series of the voucher numbers.
	Series string
	// Posting says which date vouchers are posted on.
	Posting v1alpha1.PostingPolicy
	// Location is the time zone in which an instant becomes a date; nil is UTC.
	Location *time.Location
	// Cutoff of the run; its date is the run's date.
	Cutoff time.Time
}

// Dates outside these years are mistakes, and several formats cannot write them.
const firstYear, lastYear = 1900, 2999

func plausible(date time.Time) bool { return date.Year() >= firstYear && date.Year() <= lastYear }

// PeriodError says that the open period begins after the day of the run, so that nothing can be posted in it.
type PeriodError struct{ OpenFrom, Cutoff time.Time }

// Error says which field to correct.
func (e *PeriodError) Error() string {
	return fmt.Sprintf("spec.posting.openFrom: the open period begins on %s, after the run's cutoff of %s; correct it, or leave the claims to a run after that day",
		e.OpenFrom.Format(time.DateOnly), e.Cutoff.Format(time.DateOnly))
}

// postingDates turns claims into posting dates.
type postingDates struct {
	policy   v1alpha1.PostingDatePolicy
	location *time.Location
	runDate  time.Time
	openFrom time.Time // zero where every period is open
	closed   v1alpha1.ClosedPeriodPolicy
}

func newPostingDates(policy VoucherPolicy) (postingDates, error) {
	location := cmp.Or(policy.Location, time.UTC)
	dates := postingDates{policy: policy.Posting.Date, location: location, runDate: dateIn(policy.Cutoff, location), closed: policy.Posting.Closed}
	if open := policy.Posting.OpenFrom; open != "" {
		var err error
		if dates.openFrom, err = time.Parse(time.DateOnly, open); err != nil || !plausible(dates.openFrom) {
			return dates, &ChartError{Field: "spec.posting.openFrom", Problem: fmt.Sprintf("%q is not a date such as 2026-10-01", open)}
		}
		if dates.inFuture(dates.openFrom) {
			return dates, &PeriodError{OpenFrom: dates.openFrom, Cutoff: dates.runDate}
		}
	}
	return dates, nil
}

// check refuses a claim with a date that no books have.
func (d postingDates) check(claim *Claim) error {
	if !plausible(claim.ApprovedAt) {
		return hold(claim, HoldNotDated, "approved_at is missing, infinite, or not in the years %d to %d, so that the claim belongs to no run; correct it in the application",
			firstYear, lastYear)
	}
	for i := range claim.Lines {
		if !plausible(claim.Lines[i].ExpenseDate) {
			return hold(claim, HoldInvalidDate, "expense_date of line %d is missing or not in the years %d to %d; correct it in the application",
				claim.Lines[i].Number, firstYear, lastYear)
		}
	}
	return nil
}

// open returns the date on which a voucher is posted that wants a date: never in a closed period, nor in the future.
func (d postingDates) open(claim *Claim, date time.Time) (time.Time, error) {
	if !plausible(date) {
		return time.Time{}, hold(claim, HoldInvalidDate, "the date that the claim would be posted on (%s) is not in the years %d to %d",
			d.policy, firstYear, lastYear)
	}
	if date.Before(d.openFrom) {
		if d.closed == v1alpha1.ClosedHold {
			return time.Time{}, hold(claim, HoldClosedPeriod, "the claim would be posted on %s, and the open period begins on %s (spec.posting.openFrom of the export); "+
				"correct its expense dates, open the period, or set spec.posting.closed to NextOpenDay", date.Format(time.DateOnly), d.openFrom.Format(time.DateOnly))
		}
		date = d.openFrom
	}
	if d.inFuture(date) {
		return time.Time{}, hold(claim, HoldFutureDate, "the claim would be posted on %s, after the run's cutoff; correct its expense dates, or leave it to a run after that day",
			date.Format(time.DateOnly))
	}
	return date, nil
}

// inFuture reports whether a date lies after the day of the cutoff in every time zone.
func (d postingDates) inFuture(date time.Time) bool {
	return plausible(d.runDate) && date.After(d.runDate.AddDate(0, 0, 1))
}

// wanted is the date that the policy says for lines of a claim.
func (d postingDates) wanted(claim *Claim, lines []*Line) time.Time {
	switch d.policy {
	case v1alpha1.PostOnApprovalDate:
		return dateIn(claim.ApprovedAt, d.location)
	case v1alpha1.PostOnRunDate:
		return d.runDate
	default:
		return latestExpense(lines)
	}
}

func latestExpense(lines []*Line) (latest time.Time) {
	for _, line := range lines {
		if line.ExpenseDate.After(latest) {
			latest = line.ExpenseDate
		}
	}
	return latest
}

// dateIn is where an instant becomes a date: midnight UTC of the day that the zone's calendar shows.
func dateIn(instant time.Time, location *time.Location) time.Time {
	year, month, day := instant.In(location).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}
