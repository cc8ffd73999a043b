package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/cel-go/cel"

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

// Error returns field and problem.
func (e *ChartError) Error() string { return e.Field + ": " + e.Problem }

// chart is a compiled ChartOfAccounts.
type chart struct {
	base       Currency
	fiscalYear FiscalYearStart
	accounts   map[string]string // number → name
	taxCodes   map[string]v1alpha1.TaxCode
	rules      ruleSet
	offset     v1alpha1.OffsetPosting
	rounding   *rounding // nil: a claim that leaves a residue is held
	suspense   string    // account for unmatched lines; empty where they are held
	problems   []error
	compiled   map[compiledKey]*expression.Program // of the chart's rules, each once
	sources    int                                 // bytes of those
	tooMany    bool                                // of them, which was said
}

type compiledKey struct{ source, result string }

// Bounds of what the expressions of a chart take to compile and to keep. One that is there several times counts once.
const (
	MaxExpressions      = 1000
	MaxExpressionsBytes = 64 << 10
)

type rounding struct {
	account string
	limit   Amount
}

// defaultRoundingLimit is the default of the custom resource, for charts that have not been through an API server.
const defaultRoundingLimit = "1.00"

// compileChart compiles a chart, and finds everything that is wrong with it.
func compileChart(spec *v1alpha1.ChartOfAccountsSpec) (*chart, error) {
	c := &chart{compiled: map[compiledKey]*expression.Program{}, accounts: map[string]string{}, taxCodes: map[string]v1alpha1.TaxCode{}, offset: spec.Offset}
	c.compileBooks(spec)
	c.requireAccount("spec.offset.account", spec.Offset.Account)
	if spec.Rounding != nil {
		c.compileRounding(spec.Rounding)
	}
	if spec.Unmapped == v1alpha1.UnmappedSuspense {
		c.suspense = spec.SuspenseAccount
		c.requireAccount("spec.suspenseAccount", spec.SuspenseAccount)
	}
	for i := range spec.Rules {
		c.compileRule(i, &spec.Rules[i])
	}
	return c, errors.Join(c.problems...)
}

// compileBooks takes currency, fiscal year, accounts and tax codes.
func (c *chart) compileBooks(spec *v1alpha1.ChartOfAccountsSpec) {
	var err error
	if c.base, err = ParseCurrency(spec.Currency); err != nil {
		c.wrong("spec.currency", "%s", err)
	}
	if c.fiscalYear, err = ParseFiscalYearStart(spec.FiscalYearStart); err != nil {
		c.wrong("spec.fiscalYearStart", "%s", err)
	}
	for i, account := range spec.Accounts {
		if _, twice := c.accounts[account.Number]; twice {
			c.wrong(fmt.Sprintf("spec.accounts[%d].number", i), "account %q is there twice", account.Number)
		}
		c.accounts[account.Number] = account.Name
	}
	for i, code := range spec.TaxCodes {
		field := fmt.Sprintf("spec.taxCodes[%d]", i)
		if _, twice := c.taxCodes[code.Code]; twice {
			c.wrong(field+".code", "tax code %q is there twice", code.Code)
		}
		c.taxCodes[code.Code] = code
		if code.Account != "" {
			c.requireAccount(field+".account", code.Account)
		}
	}
}

func (c *chart) compileRounding(spec *v1alpha1.RoundingPosting) {
	c.requireAccount("spec.rounding.account", spec.Account)
	limit, err := ParseAmount(cmp.Or(spec.Limit, defaultRoundingLimit), c.base)
	if err != nil && c.base != (Currency{}) {
		c.wrong("spec.rounding.limit", "%q: %s", spec.Limit, err)
	}
	c.rounding = &rounding{account: spec.Account, limit: limit}
}

// compileRule checks one rule and adds it to the set.
func (c *chart) compileRule(index int, spec *v1alpha1.MappingRule) {
	r := &rule{position: index, field: fmt.Sprintf("spec.rules[%d]", index), account: spec.Account, taxCode: spec.TaxCode}
	c.requireAccount(r.field+".account", spec.Account)
	if _, ok := c.taxCodes[spec.TaxCode]; spec.TaxCode != "" && !ok {
		c.wrong(r.field+".taxCode", "tax code %q is not in spec.taxCodes", spec.TaxCode)
	}
	if spec.Match.Expression != "" {
		r.match = c.compileExpression(r.matchField(), spec.Match.Expression, expression.Bool)
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Dimensions)) {
		value := c.compileExpression(r.dimensionField(name), spec.Dimensions[name], expression.String)
		r.dimensions = append(r.dimensions, dimensionRule{name: name, value: value})
	}
	c.rules.add(r, spec.Match.Categories)
}

func (c *chart) compileExpression(field, source string, result *cel.Type) *expression.Program {
	key := compiledKey{source, result.String()}
	if program, known := c.compiled[key]; known {
		return program
	}
	c.sources += len(source)
	if len(c.compiled) >= MaxExpressions || c.sources > MaxExpressionsBytes {
		if !c.tooMany {
			c.wrong(field, "the chart has more than %d different expressions, or more than %d KiB of them; use match.categories, and fewer and shorter expressions",
				MaxExpressions, MaxExpressionsBytes>>10)
		}
		c.tooMany = true
		return nil
	}
	program, err := lineScope().Compile(source, result)
	if err != nil {
		c.wrong(field, "%s", err)
	}
	c.compiled[key] = program // nil is wrong once
	return program
}

func (c *chart) requireAccount(field, account string) {
	if _, ok := c.accounts[account]; !ok {
		c.wrong(field, "account %q is not in spec.accounts", account)
	}
}

func (c *chart) wrong(field, format string, args ...any) {
	c.problems = append(c.problems, &ChartError{Field: field, Problem: fmt.Sprintf(format, args...)})
}
