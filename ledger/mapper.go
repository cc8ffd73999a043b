package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// Mapper makes vouchers from claims by the rules of one chart. One goroutine at a time may use it.
type Mapper struct {
	chart      *chart
	dates      postingDates
	series     string
	currencies map[string]Currency // of the claims so far
	claimState
	// Memory that is used again.
	vouchers []Voucher
	parts    [][]*Line
	room     []Posting
}

// claimState is what the vouchers of one claim have in common while they are made.
type claimState struct {
	currency Currency
	// advance is what of it is not settled yet, and baseAdvance the same in the books' currency.
	advance, baseAdvance Amount
	sum                  claimSum // of the voucher
	given                int      // bytes of the dimensions that rules gave to the claim so far
	postings             int      // of its vouchers before
	variables            lineVariables
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

// Map makes the vouchers of a claim, which are valid until the next call. Their numbers are left to the caller. A *Hold says that this
// claim has to wait, and why. Any other error is the context's.
func (m *Mapper) Map(ctx context.Context, claim *Claim) ([]Voucher, error) {
	if err := m.begin(claim); err != nil {
		return nil, err
	}
	m.vouchers = slices.Grow(m.vouchers[:0], len(m.parts))[:len(m.parts)]
	room := m.room
	for i, lines := range m.parts {
		voucher := &m.vouchers[i]
		voucher.Postings = room[:0]
		if err := m.voucher(ctx, claim, lines, i == len(m.parts)-1, voucher); err != nil {
			return nil, err
		}
		voucher.takeReceipts(claim, lines, i == 0)
		if cap(voucher.Postings) > cap(m.room) {
			m.room = voucher.Postings[:0]
		}
		m.postings += len(voucher.Postings)
		room = voucher.Postings[len(voucher.Postings):]
		voucher.Postings = slices.Clip(voucher.Postings)
	}
	return m.vouchers, checkSize(claim, m.vouchers)
}

// begin checks what concerns the whole claim, and divides its lines among vouchers.
func (m *Mapper) begin(claim *Claim) (err error) {
	if claim.Held != nil {
		return claim.Held
	}
	if len(claim.Lines) == 0 {
		return hold(claim, HoldNoLines, "the claim has no lines; add its expenses in the application, or reject it there")
	}
	if m.chart.offset.Subledger == v1alpha1.SubledgerClaimant && strings.TrimSpace(claim.ClaimantID) == "" {
		return noClaimant(claim, "spec.offset")
	}
	m.claimState = claimState{}
	if m.currency, err = m.currencyOf(claim); err != nil {
		return err
	}
	for _, check := range [...]func(*Claim) error{checkTexts, checkLines, m.dates.check, m.readAdvance} {
		if err := check(claim); err != nil {
			return err
		}
	}
	m.parts, err = m.chart.split(claim, m.parts)
	return err
}

// voucher makes the voucher of some lines of a claim, with the memory of its postings.
func (m *Mapper) voucher(ctx context.Context, claim *Claim, lines []*Line, last bool, voucher *Voucher) error {
	if err := m.head(claim, lines, voucher); err != nil {
		return err
	}
	for _, line := range lines {
		if err := ctx.Err(); err != nil { // a claim of many lines and rules takes a while
			return err
		}
		if err := m.post(ctx, claim, line, voucher); err != nil {
			return err
		}
	}
	if err := m.balance(claim, last, voucher); err != nil {
		return err
	}
	dropEmpty(voucher)
	return nil
}

// head fills all of a voucher but its postings.
func (m *Mapper) head(claim *Claim, lines []*Line, voucher *Voucher) error {
	if err := m.chart.oneYear(claim, lines); err != nil {
		return err
	}
	date, err := m.dates.open(claim, m.chart.within(m.dates.wanted(claim, lines), lines))
	if err != nil {
		return err
	}
	m.sum = claimSum{currency: m.currency, base: m.chart.base}
	*voucher = Voucher{
		Series: m.series, FiscalYear: m.chart.fiscalYear.Year(date), PostingDate: date, DocumentDate: latestExpense(lines),
		Text: m.free(claim.Description), ClaimID: claim.ID,
		ClaimantID: claim.ClaimantID, ClaimantName: claim.ClaimantName, ClaimantIBAN: claim.ClaimantIBAN,
		ClaimantBIC: claim.ClaimantBIC, ClaimantAddress: claim.ClaimantAddress,
		ApprovedAt: claim.ApprovedAt, ApprovedBy: claim.ApprovedBy,
		Currency: m.currency, BaseCurrency: m.chart.base, Postings: voucher.Postings[:0],
		Receipts: voucher.Receipts[:0],
	}
	if voucher.Text == "" {
		voucher.Text = "Claim " + claim.ID
	}
	return nil
}

func (m *Mapper) currencyOf(claim *Claim) (Currency, error) {
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

// post adds the postings of one line: its expense and tax, and who paid it if that was not the claimant.
func (m *Mapper) post(ctx context.Context, claim *Claim, line *Line, voucher *Voucher) error {
	amounts, err := m.sum.read(claim, line)
	if err != nil {
		return err
	}
	m.variables = lineVariables{claim: claim, line: line, gross: amounts.gross, tax: amounts.tax}
	if err := m.spend(ctx, claim, line, amounts, voucher); err != nil {
		return err
	}
	if err := m.settle(ctx, claim, line, amounts, voucher); err != nil {
		return err
	}
	if m.postings+len(voucher.Postings) > MaxPostings {
		return hold(claim, HoldTooLarge, "its lines and the chart's rules make more than %d postings; divide it in the application", MaxPostings)
	}
	return nil
}

// dropEmpty leaves out postings of nothing. A claim of nothing keeps its expenses, so that its voucher tells of them.
func dropEmpty(voucher *Voucher) {
	if keep(voucher, moves) == 0 {
		keep(voucher, func(p *Posting) bool { return p.Kind == ExpensePosting })
	}
}

// keep leaves out the postings that are not wanted, if any are, and returns how many are.
func keep(voucher *Voucher, wanted func(*Posting) bool) (kept int) {
	for i := range voucher.Postings {
		if wanted(&voucher.Postings[i]) {
			if kept != i { // exchanged, not overwritten: each place keeps memory of its own for dimensions
				voucher.Postings[kept], voucher.Postings[i] = voucher.Postings[i], voucher.Postings[kept]
			}
			kept++
		}
	}
	if kept > 0 {
		voucher.Postings = voucher.Postings[:kept]
	}
	return kept
}

// moves reports whether a posting moves something. An expense that is all tax is kept: its tax posting refers to it.
func moves(p *Posting) bool {
	return p.Amount != 0 || p.BaseAmount != 0 || p.TaxAmount != 0
}

// checkSize bounds what the vouchers of a claim move, so that nothing that sums their postings overflows.
func checkSize(claim *Claim, vouchers []Voucher) (err error) {
	var debit, credit [2]Amount
	for i := range vouchers {
		for j := range vouchers[i].Postings {
			p := &vouchers[i].Postings[j]
			for currency, amount := range [...]Amount{p.Amount, p.BaseAmount} {
				if amount > 0 {
					debit[currency], err = AddAmounts(debit[currency], amount)
				} else {
					credit[currency], err = AddAmounts(credit[currency], amount)
				}
				if err != nil {
					return hold(claim, HoldInvalidAmount, "what the claim's postings move is %s", ErrTooLarge)
				}
			}
		}
	}
	return nil
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
