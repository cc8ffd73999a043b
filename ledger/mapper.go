package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/texts"
)

// Mapper makes vouchers from claims by the rules of one chart. One goroutine at a time may use it.
type Mapper struct {
	chart      *chart
	dates      postingDates
	series     string
	currencies map[string]Currency // of the claims so far
	sum        claimSum
	given      int // bytes of the dimensions that rules gave to the claim so far
	variables  lineVariables
}

// NewMapper compiles a chart. The error joins a *ChartError for everything that is wrong with the chart or the policy.
func NewMapper(spec *v1alpha1.ChartOfAccountsSpec, policy VoucherPolicy) (*Mapper, error) {
	compiled, chartErr := compileChart(spec)
	dates, datesErr := newPostingDates(policy)
	if err := errors.Join(chartErr, datesErr); err != nil {
		return nil, err
	}
	return &Mapper{chart: compiled, dates: dates, series: policy.Series, currencies: map[string]Currency{}}, nil
}

// Map makes the voucher of a claim into voucher, whose memory is used again. Its number is left to the caller. A *Hold
// says that this claim has to wait, and why; the voucher is then of no use. Any other error is the context's.
func (m *Mapper) Map(ctx context.Context, claim *Claim, voucher *Voucher) error {
	if err := m.begin(claim, voucher); err != nil {
		return err
	}
	for i := range claim.Lines {
		if err := ctx.Err(); err != nil { // a claim of many lines and rules takes a while
			return err
		}
		if err := m.post(ctx, claim, &claim.Lines[i], voucher); err != nil {
			return err
		}
	}
	return m.balance(claim, voucher)
}

// begin checks what concerns the whole claim, and fills the voucher's head.
func (m *Mapper) begin(claim *Claim, voucher *Voucher) error {
	if claim.Held != nil {
		return claim.Held
	}
	if len(claim.Lines) == 0 {
		return hold(claim, HoldNoLines, "the claim has no lines; add its expenses in the application, or reject it there")
	}
	if m.chart.offset.Subledger == v1alpha1.SubledgerClaimant && strings.TrimSpace(claim.ClaimantID) == "" {
		return hold(claim, HoldNoClaimant, "claimant_id is empty, and the chart posts what is owed per claimant; add it in the application, or set offset.subledger to None")
	}
	currency, err := m.currency(claim)
	if err != nil {
		return err
	}
	if err := checkTexts(claim); err != nil {
		return err
	}
	if err := checkLines(claim); err != nil {
		return err
	}
	date, err := m.dates.of(claim)
	if err != nil {
		return err
	}
	m.sum, m.given = claimSum{currency: currency, base: m.chart.base}, 0
	*voucher = Voucher{
		Series: m.series, FiscalYear: m.chart.fiscalYear.Year(date), PostingDate: date, DocumentDate: latestExpense(claim),
		Text: texts.OneLine(claim.Description), ClaimID: claim.ID,
		ClaimantID: claim.ClaimantID, ClaimantName: claim.ClaimantName, ClaimantIBAN: claim.ClaimantIBAN,
		ClaimantBIC: claim.ClaimantBIC, ClaimantAddress: claim.ClaimantAddress,
		ApprovedAt: claim.ApprovedAt, ApprovedBy: claim.ApprovedBy,
		Currency: currency, BaseCurrency: m.chart.base, Postings: voucher.Postings[:0],
	}
	if voucher.Text == "" {
		voucher.Text = "Claim " + claim.ID
	}
	return nil
}

func (m *Mapper) currency(claim *Claim) (Currency, error) {
	if currency, known := m.currencies[claim.Currency]; known {
		return currency, nil
	}
	currency, err := ParseCurrency(claim.Currency)
	if err != nil {
		return currency, hold(claim, HoldUnknownCurrency, "the claim's currency %q is not in ISO 4217; correct it in the application", quotable(claim.Currency))
	}
	m.currencies[currency.code] = currency
	return currency, nil
}

// post adds the postings of one line.
func (m *Mapper) post(ctx context.Context, claim *Claim, line *Line, voucher *Voucher) error {
	amounts, err := m.sum.read(claim, line)
	if err != nil {
		return err
	}
	m.variables = lineVariables{claim: claim, line: line, gross: amounts.gross, tax: amounts.tax}
	found, field, err := m.chart.rules.find(ctx, &m.variables)
	if err != nil {
		return expressionFailed(ctx, claim, line, field, err)
	}
	if found == nil && m.chart.suspense == "" {
		return hold(claim, HoldUnmapped, "line %d with category %q matches no rule; add a rule to the chart of accounts", line.Number, quotable(line.Category))
	}
	posting := next(voucher)
	*posting = Posting{
		Kind: ExpensePosting, Account: m.chart.suspense, Amount: amounts.gross, BaseAmount: amounts.baseGross,
		Text: texts.OneLine(line.Description), Dimensions: posting.Dimensions[:0],
		LineNumber: line.Number, ExpenseDate: line.ExpenseDate, Category: line.Category,
		Quantity: line.Quantity, Unit: line.Unit, ReceiptURI: line.ReceiptURI,
	}
	if posting.Text == "" {
		posting.Text = texts.OneLine(line.Category)
	}
	if found != nil {
		posting.Account = found.account
		if err := m.dimensions(ctx, claim, line, found, posting); err != nil {
			return err
		}
	}
	posting.AccountName = m.chart.accounts[posting.Account]
	if found == nil {
		return nil // suspense takes the gross amount
	}
	return m.splitTax(claim, line, found, amounts, voucher)
}

// next returns a posting at the end of the voucher whose memory may be used again.
func next(voucher *Voucher) *Posting {
	if n := len(voucher.Postings); n < cap(voucher.Postings) {
		voucher.Postings = voucher.Postings[:n+1]
	} else {
		voucher.Postings = append(voucher.Postings, Posting{})
	}
	return &voucher.Postings[len(voucher.Postings)-1]
}

func (m *Mapper) dimensions(ctx context.Context, claim *Claim, line *Line, found *rule, posting *Posting) error {
	for _, dimension := range found.dimensions {
		value, err := dimension.value.Eval(ctx, &m.variables)
		if err != nil {
			return expressionFailed(ctx, claim, line, found.dimensionField(dimension.name), err)
		}
		text, _ := value.Value().(string)
		if problem := textProblem(text); problem != "" {
			return hold(claim, HoldInvalidText, "what %s of the chart returns for line %d %s", found.dimensionField(dimension.name), line.Number, problem)
		}
		if text = texts.OneLine(text); text != "" {
			if m.given += DimensionSize + len(text); m.given > MaxClaimSize {
				return hold(claim, HoldTooLarge, "what the chart's rules give for the dimensions of its lines takes more than %d MiB; let them give fewer, and codes", MaxClaimSize>>20)
			}
			posting.Dimensions = append(posting.Dimensions, Dimension{Name: dimension.name, Value: text})
		}
	}
	return nil
}

// splitTax moves the tax of the line, as the receipt shows it, from the expense posting just added to one of its own.
func (m *Mapper) splitTax(claim *Claim, line *Line, found *rule, amounts lineAmounts, voucher *Voucher) error {
	code := cmp.Or(found.taxCode, line.TaxCode)
	if code == "" {
		return nil
	}
	tax, defined := m.chart.taxCodes[code]
	if !defined {
		return hold(claim, HoldUndefinedTaxCode, "line %d has the tax code %q; add it to taxCodes of the chart of accounts, or give its rule a taxCode",
			line.Number, quotable(code))
	}
	if tax.Account == "" || amounts.tax == 0 {
		return nil // not deductible, or none: all of it is expense
	}
	expense := &voucher.Postings[len(voucher.Postings)-1]
	expense.TaxCode, expense.TaxRate = code, tax.Rate
	expense.TaxAmount, expense.BaseTaxAmount = amounts.tax, amounts.baseTax
	expense.Amount -= amounts.tax
	expense.BaseAmount -= amounts.baseTax
	text := expense.Text
	posting := next(voucher) // may move the expense
	*posting = Posting{
		Kind: TaxPosting, Account: tax.Account, AccountName: m.chart.accounts[tax.Account],
		Amount: amounts.tax, BaseAmount: amounts.baseTax, TaxCode: code, TaxRate: tax.Rate,
		Text: text, Dimensions: posting.Dimensions[:0],
		LineNumber: line.Number, ExpenseDate: line.ExpenseDate, Category: line.Category,
		Quantity: line.Quantity, Unit: line.Unit, ReceiptURI: line.ReceiptURI,
	}
	return nil
}

// balance adds what makes the voucher sum to zero: the residue of conversion, and the debt to the claimant.
func (m *Mapper) balance(claim *Claim, voucher *Voucher) error {
	owed, err := m.sum.owed()
	if err != nil {
		return hold(claim, HoldInvalidAmount, "the sum of the claim is %s", ErrTooLarge)
	}
	if residue := owed - m.sum.baseGross; residue != 0 {
		rounding := m.chart.rounding
		if rounding == nil || magnitude(residue) > rounding.limit {
			return hold(claim, HoldRoundingExceeded, "rounding its lines to %s leaves %s, more than spec.rounding of the chart of accounts takes; raise its limit, or correct the base amounts in the application",
				m.chart.base.Code(), residue.Decimal(m.chart.base))
		}
		m.append(voucher, Posting{Kind: RoundingPosting, Account: rounding.account, BaseAmount: residue})
	}
	offset := Posting{Kind: OffsetPosting, Account: m.chart.offset.Account, Amount: -m.sum.gross, BaseAmount: -owed}
	if m.chart.offset.Subledger == v1alpha1.SubledgerClaimant {
		offset.Subledger = claim.ClaimantID
	}
	m.append(voucher, offset)
	dropEmpty(voucher)
	return nil
}

func (m *Mapper) append(voucher *Voucher, posting Posting) {
	into := next(voucher)
	posting.AccountName, posting.Text, posting.Dimensions = m.chart.accounts[posting.Account], voucher.Text, into.Dimensions[:0]
	*into = posting
}

// dropEmpty leaves out postings of nothing. A claim of nothing keeps its expenses, so that its voucher tells of them.
func dropEmpty(voucher *Voucher) {
	keep := 0
	for i := range voucher.Postings {
		if !empty(&voucher.Postings[i]) {
			// Exchanged, not overwritten: each place keeps memory of its own for dimensions.
			voucher.Postings[keep], voucher.Postings[i] = voucher.Postings[i], voucher.Postings[keep]
			keep++
		}
	}
	if keep == 0 {
		keep = len(voucher.Postings) - 1 // all but the offset
	}
	voucher.Postings = voucher.Postings[:keep]
}

// empty reports whether a posting moves nothing. An expense that is all tax is kept: its tax posting refers to it.
func empty(p *Posting) bool {
	return p.Amount == 0 && p.BaseAmount == 0 && p.TaxAmount == 0
}

func hold(claim *Claim, reason HoldReason, format string, args ...any) *Hold {
	return &Hold{ClaimID: claim.ID, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func expressionFailed(ctx context.Context, claim *Claim, line *Line, field string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return hold(claim, HoldExpressionFailed, "%s of the chart of accounts cannot be evaluated for line %d with category %q: %s",
		field, line.Number, quotable(line.Category), err)
}
