package ledger

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger/expression"
)

// ChartError says which field of a ChartOfAccounts or of a posting policy is wrong, and how.
type ChartError struct {
	// Field is the path of the field, such as spec.rules[3].account.
	Field string
	// Problem says what is wrong and what would be right.
	Problem string
}

// Error gives field and problem.
func (e *ChartError) Error() string { return e.Field + ": " + e.Problem }

// chart is a compiled ChartOfAccounts.
type chart struct {
	base       Currency
	fiscalYear FiscalYearStart
	accounts   map[string]string // number → name
	taxCodes   map[string]v1alpha1.TaxCode
	rules      ruleSet
	offset     v1alpha1.OffsetPosting
	rounding   *roundingLimit
	suspense   string // account for unmatched lines; empty where they are held
}

type roundingLimit struct {
	account string
	limit   Amount
}

// compileChart compiles a chart, and finds everything that is wrong with it.
func compileChart(spec *v1alpha1.ChartOfAccountsSpec) (*chart, error) {
	c := &chart{accounts: map[string]string{}, taxCodes: map[string]v1alpha1.TaxCode{}, offset: spec.Offset}
	var problems []error
	wrong := func(field, format string, args ...any) {
		problems = append(problems, &ChartError{Field: field, Problem: fmt.Sprintf(format, args...)})
	}
	var err error
	if c.base, err = ParseCurrency(spec.Currency); err != nil {
		wrong("spec.currency", "%s", err)
	}
	if c.fiscalYear, err = ParseFiscalYearStart(spec.FiscalYearStart); err != nil {
		wrong("spec.fiscalYearStart", "%s", err)
	}
	for _, account := range spec.Accounts {
		c.accounts[account.Number] = account.Name
	}
	defined := func(field, account string) {
		if _, ok := c.accounts[account]; !ok {
			wrong(field, "account %q is not in spec.accounts", account)
		}
	}
	for i, code := range spec.TaxCodes {
		c.taxCodes[code.Code] = code
		if code.Account != "" {
			defined(fmt.Sprintf("spec.taxCodes[%d].account", i), code.Account)
		}
	}
	defined("spec.offset.account", spec.Offset.Account)
	if spec.Rounding != nil {
		defined("spec.rounding.account", spec.Rounding.Account)
		limit, err := ParseAmount(spec.Rounding.Limit, c.base)
		if err != nil {
			wrong("spec.rounding.limit", "%q is %s", spec.Rounding.Limit, err)
		}
		c.rounding = &roundingLimit{account: spec.Rounding.Account, limit: limit}
	}
	if spec.Unmapped == v1alpha1.UnmappedSuspense {
		defined("spec.suspenseAccount", spec.SuspenseAccount)
		c.suspense = spec.SuspenseAccount
	}
	for i := range spec.Rules {
		problems = append(problems, c.compileRule(i, &spec.Rules[i])...)
	}
	return c, errors.Join(problems...)
}

// compileRule checks one rule and adds it to the set.
func (c *chart) compileRule(index int, spec *v1alpha1.MappingRule) (problems []error) {
	field := func(name string) string { return fmt.Sprintf("spec.rules[%d].%s", index, name) }
	r := &rule{index: index, account: spec.Account, taxCode: spec.TaxCode}
	if _, ok := c.accounts[spec.Account]; !ok {
		problems = append(problems, &ChartError{field("account"), fmt.Sprintf("account %q is not in spec.accounts", spec.Account)})
	}
	if _, ok := c.taxCodes[spec.TaxCode]; spec.TaxCode != "" && !ok {
		problems = append(problems, &ChartError{field("taxCode"), fmt.Sprintf("tax code %q is not in spec.taxCodes", spec.TaxCode)})
	}
	var err error
	if spec.Match.Expression != "" {
		if r.match, err = lineScope().Compile(spec.Match.Expression, expression.Bool); err != nil {
			problems = append(problems, &ChartError{field("match.expression"), err.Error()})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Dimensions)) {
		program, err := lineScope().Compile(spec.Dimensions[name], expression.String)
		if err != nil {
			problems = append(problems, &ChartError{field("dimensions[" + name + "]"), err.Error()})
		}
		r.dimensions = append(r.dimensions, dimensionRule{name: name, value: program})
	}
	c.rules.add(r, spec.Match.Categories)
	return problems
}

// VoucherPolicy is what an AccountingExport says of its vouchers.
type VoucherPolicy struct {
	// Series of the voucher numbers.
	Series string
	// Posting says which date vouchers are posted on.
	Posting v1alpha1.PostingPolicy
	// Location is the time zone in which an instant becomes a date.
	Location *time.Location
	// Cutoff of the run; its date is the run's date.
	Cutoff time.Time
}

// postingDates turns claims into posting dates.
type postingDates struct {
	policy   v1alpha1.PostingDatePolicy
	location *time.Location
	runDate  time.Time
	openFrom time.Time // zero where every period is open
}

func newPostingDates(policy VoucherPolicy) (postingDates, error) {
	dates := postingDates{policy: policy.Posting.Date, location: policy.Location, runDate: dateIn(policy.Cutoff, policy.Location)}
	if open := policy.Posting.OpenFrom; open != "" {
		var err error
		if dates.openFrom, err = time.Parse(time.DateOnly, open); err != nil {
			return dates, &ChartError{Field: "spec.posting.openFrom", Problem: fmt.Sprintf("%q is not a date such as 2026-10-01", open)}
		}
	}
	return dates, nil
}

// of gives the posting date of a claim: the policy's, but never in a closed period.
func (d postingDates) of(claim *Claim) time.Time {
	var date time.Time
	switch d.policy {
	case v1alpha1.PostOnApprovalDate:
		date = dateIn(claim.ApprovedAt, d.location)
	case v1alpha1.PostOnRunDate:
		date = d.runDate
	default:
		for i := range claim.Lines {
			if claim.Lines[i].ExpenseDate.After(date) {
				date = claim.Lines[i].ExpenseDate
			}
		}
	}
	if date.Before(d.openFrom) {
		return d.openFrom
	}
	return date
}

// dateIn is where an instant becomes a date: midnight UTC of the day that the zone's calendar shows.
func dateIn(instant time.Time, location *time.Location) time.Time {
	year, month, day := instant.In(location).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}
