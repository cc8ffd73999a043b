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
	base          Currency
	fiscalYear    FiscalYearStart
	accounts      map[string]string // number → name
	taxCodes      map[string]*taxCode
	tolerance     Amount // of tax above its rate
	rules         ruleSet
	offsets       ruleSet // for payment methods
	offset        v1alpha1.OffsetPosting
	advances      *v1alpha1.AdvancePosting // nil: a claim that settles one is held
	rounding      *rounding                // nil: a claim that leaves a residue is held
	suspense      string                   // account for unmatched lines; empty where they are held
	transliterate bool                     // descriptions
	splitBy       []v1alpha1.VoucherSplit
	acrossYears   bool // a voucher may have expenses of several fiscal years
	problems      []error
	compiled      map[compiledKey]*expression.Program // of the chart's rules, each once
	sources       int                                 // bytes of those
	tooMany       bool                                // of them, which was said
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
	c := &chart{compiled: map[compiledKey]*expression.Program{}, accounts: map[string]string{}, taxCodes: map[string]*taxCode{}, offset: spec.Offset, advances: spec.Advances,
		transliterate: spec.Texts == v1alpha1.TextsTransliterate, splitBy: spec.Vouchers.SplitBy,
		acrossYears: spec.Vouchers.AcrossFiscalYears == v1alpha1.FiscalYearsPost}
	c.compileBooks(spec)
	c.compileSettlement(spec)
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
	for i := range spec.TaxCodes {
		c.compileTaxCode(fmt.Sprintf("spec.taxCodes[%d]", i), &spec.TaxCodes[i])
	}
	c.tolerance = defaultTaxTolerance
	if spec.TaxTolerance != "" && c.base != (Currency{}) {
		if c.tolerance, err = ParseAmount(spec.TaxTolerance, c.base); err != nil {
			c.wrong("spec.taxTolerance", "%q: %s", spec.TaxTolerance, err)
		}
	}
}

// compileSettlement takes what is credited: offsets, offset and advances.
func (c *chart) compileSettlement(spec *v1alpha1.ChartOfAccountsSpec) {
	c.requireAccount("spec.offset.account", spec.Offset.Account)
	if spec.Offset.Subledger == v1alpha1.SubledgerPaymentReference {
		c.wrong("spec.offset.subledger", "is None or Claimant: what the offset takes is owed to the claimant")
	}
	for i := range spec.Offsets {
		c.compileOffset(i, &spec.Offsets[i])
	}
	if spec.Advances == nil {
		return
	}
	c.requireAccount("spec.advances.account", spec.Advances.Account)
	if spec.Advances.Subledger == v1alpha1.SubledgerPaymentReference {
		c.wrong("spec.advances.subledger", "is None or Claimant: an advance was paid to the claimant")
	}
}

// compileOffset checks one entry of offsets and adds it to the set.
func (c *chart) compileOffset(index int, spec *v1alpha1.PaidPosting) {
	r := &rule{position: index, field: fmt.Sprintf("spec.offsets[%d]", index), subledger: spec.Subledger}
	if len(spec.Match.PaymentMethods) == 0 && spec.Match.Expression == "" {
		c.wrong(r.field+".match", "has neither paymentMethods nor an expression; lines that no entry matches are for spec.offset")
	}
	c.compileMatch(r, spec.Match.Expression)
	r.parts = []part{c.compilePart(r.field, spec.Account, "", c.compileDimensions(r.field, spec.Dimensions))}
	c.offsets.add(r, spec.Match.PaymentMethods)
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
	r := &rule{position: index, field: fmt.Sprintf("spec.rules[%d]", index)}
	c.compileMatch(r, spec.Match.Expression)
	dimensions := c.compileDimensions(r.field, spec.Dimensions)
	if len(spec.Split) > 0 {
		c.compileSplit(r, spec, dimensions)
	} else {
		r.parts = []part{c.compilePart(r.field, spec.Account, spec.TaxCode, dimensions)}
	}
	c.rules.add(r, spec.Match.Categories)
}

// MaxSplit is how many parts a rule may divide a line into.
const MaxSplit = 10

// compileSplit checks the parts of a rule, which have its tax code and dimensions unless they say otherwise.
func (c *chart) compileSplit(r *rule, spec *v1alpha1.MappingRule, common []dimensionRule) {
	field := r.field + ".split"
	switch {
	case spec.Account != "":
		c.wrong(r.field+".account", "is beside a split, which has accounts of its own")
	case len(spec.Split) > MaxSplit:
		c.wrong(field, "has %d parts, more than %d", len(spec.Split), MaxSplit)
		return
	}
	var sum uint64
	for i := range spec.Split {
		from, field := &spec.Split[i], fmt.Sprintf("%s[%d]", field, i)
		percent, ok := ParsePercent(from.Percent)
		if !ok {
			c.wrong(field+".percent", "%.20q is not a percentage such as 70 or 12.5", from.Percent)
			return
		}
		made := c.compilePart(field, from.Account, cmp.Or(from.TaxCode, spec.TaxCode), merge(common, c.compileDimensions(field, from.Dimensions)))
		made.percent = percent
		r.parts = append(r.parts, made)
		sum += percent
	}
	if sum != wholePercent {
		c.wrong(field, "the percentages do not sum to 100")
	}
}

// compilePart checks where a share of a line goes.
func (c *chart) compilePart(field, account, code string, dimensions []dimensionRule) part {
	c.requireAccount(field+".account", account)
	if _, ok := c.taxCodes[code]; code != "" && !ok {
		c.wrong(field+".taxCode", "tax code %q is not in spec.taxCodes", code)
	}
	return part{percent: wholePercent, account: account, taxCode: code, dimensions: dimensions}
}

// compileMatch compiles the condition of a rule.
func (c *chart) compileMatch(r *rule, match string) {
	if match != "" {
		r.match = c.compileExpression(r.matchField(), match, expression.Bool)
	}
}

// compileDimensions compiles dimensions, sorted by name.
func (c *chart) compileDimensions(field string, dimensions map[string]string) (compiled []dimensionRule) {
	for _, name := range slices.Sorted(maps.Keys(dimensions)) {
		d := dimensionRule{name: name, field: field + ".dimensions[" + name + "]"}
		d.value = c.compileExpression(d.field, dimensions[name], expression.String)
		compiled = append(compiled, d)
	}
	return compiled
}

// merge returns dimensions that are common, but for those that are given their own, sorted by name.
func merge(common, own []dimensionRule) []dimensionRule {
	merged := slices.Clone(own)
	for _, d := range common {
		if !slices.ContainsFunc(own, func(o dimensionRule) bool { return o.name == d.name }) {
			merged = append(merged, d)
		}
	}
	slices.SortFunc(merged, func(a, b dimensionRule) int { return cmp.Compare(a.name, b.name) })
	return merged
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
