package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// MaxTextLength bounds every text of a claim, in bytes.
const MaxTextLength = 10_000

// Mapper makes vouchers from claims by the rules of one chart. One goroutine at a time may use it.
type Mapper struct {
	chart      *chart
	dates      postingDates
	series     string
	currencies map[string]Currency
	variables  lineVariables
	sum        baseSum
}

// NewMapper compiles a chart. The error joins a *ChartError for everything that is wrong.
func NewMapper(spec *v1alpha1.ChartOfAccountsSpec, policy VoucherPolicy) (*Mapper, error) {
	compiled, err := compileChart(spec)
	dates, datesErr := newPostingDates(policy)
	if err := errors.Join(err, datesErr); err != nil {
		return nil, err
	}
	return &Mapper{chart: compiled, dates: dates, series: policy.Series, currencies: map[string]Currency{}}, nil
}

// Map makes the voucher of a claim into voucher, whose memory is used again. Its number is left to the caller. A *Hold
// says that this claim has to wait, and why.
func (m *Mapper) Map(ctx context.Context, claim *Claim, voucher *Voucher) error {
	if err := m.open(claim, voucher); err != nil {
		return err
	}
	m.sum.reset()
	var gross Amount
	for i := range claim.Lines {
		posted, err := m.post(ctx, claim, &claim.Lines[i], voucher)
		if err != nil {
			return err
		}
		gross += posted
	}
	return m.balance(claim, voucher, gross)
}

// open checks what concerns the whole claim, and fills the voucher's head.
func (m *Mapper) open(claim *Claim, voucher *Voucher) error {
	if len(claim.Lines) == 0 {
		return hold(claim, HoldNoLines, "the claim has no lines; add its expenses in the application, or reject it there")
	}
	if claim.ClaimantID == "" && m.chart.offset.Subledger == v1alpha1.SubledgerClaimant {
		return hold(claim, HoldNoClaimant, "the claim has no claimant_id, and the chart posts its offset per claimant")
	}
	currency, known := m.currencies[claim.Currency]
	if !known {
		var err error
		if currency, err = ParseCurrency(claim.Currency); err != nil {
			return hold(claim, HoldUnknownCurrency, "the currency %q is not in ISO 4217", quotable(claim.Currency))
		}
		m.currencies[claim.Currency] = currency
	}
	if err := checkTexts(claim); err != nil {
		return err
	}
	date := m.dates.of(claim)
	if date.Year() < 1900 || date.Year() > 2999 {
		return hold(claim, HoldInvalidDate, "the posting date would be in the year %d; correct the dates of the claim", date.Year())
	}
	*voucher = Voucher{
		Series: m.series, FiscalYear: m.chart.fiscalYear.Year(date), PostingDate: date,
		Text: tidy(claim.Description), ClaimID: claim.ID,
		ClaimantID: claim.ClaimantID, ClaimantName: claim.ClaimantName, ClaimantIBAN: claim.ClaimantIBAN,
		ApprovedAt: claim.ApprovedAt, ApprovedBy: claim.ApprovedBy,
		Currency: currency, BaseCurrency: m.chart.base, Postings: voucher.Postings[:0],
	}
	if voucher.Text == "" {
		voucher.Text = "Claim " + claim.ID
	}
	return nil
}

// post adds the postings of one line and gives its gross amount.
func (m *Mapper) post(ctx context.Context, claim *Claim, line *Line, voucher *Voucher) (Amount, error) {
	if line.ExpenseDate.IsZero() {
		return 0, hold(claim, HoldInvalidDate, "line %d has no expense date", line.Number)
	}
	amounts, err := m.amounts(claim, line, voucher.Currency)
	if err != nil {
		return 0, err
	}
	m.variables = lineVariables{claim: claim, line: line, gross: amounts.gross, tax: amounts.tax}
	found, err := m.chart.rules.find(ctx, &m.variables)
	if err != nil {
		return 0, expressionFailed(ctx, claim, line, "match", err)
	}
	if found == nil && m.chart.suspense == "" {
		return 0, hold(claim, HoldUnmapped, "line %d with category %q matches no rule; add one to the chart of accounts", line.Number, quotable(line.Category))
	}
	posting := next(voucher)
	*posting = Posting{
		Kind: ExpensePosting, Account: m.chart.suspense, Amount: amounts.gross, BaseAmount: amounts.baseGross,
		Text: tidy(line.Description), Dimensions: posting.Dimensions[:0],
		LineNumber: line.Number, ExpenseDate: line.ExpenseDate, Category: line.Category,
		Quantity: line.Quantity, Unit: line.Unit, ReceiptURI: line.ReceiptURI,
	}
	if posting.Text == "" {
		posting.Text = line.Category
	}
	if found == nil {
		posting.AccountName = m.chart.accounts[posting.Account]
		return amounts.gross, nil
	}
	posting.Account, posting.AccountName = found.account, m.chart.accounts[found.account]
	if err := m.dimensions(ctx, claim, line, found, posting); err != nil {
		return 0, err
	}
	return amounts.gross, m.splitTax(claim, line, found, amounts, voucher)
}

// next gives a posting at the end of the voucher whose memory may be used again.
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
			return expressionFailed(ctx, claim, line, "dimension "+dimension.name, err)
		}
		if text, _ := value.Value().(string); text != "" {
			posting.Dimensions = append(posting.Dimensions, Dimension{Name: dimension.name, Value: tidy(text)})
		}
	}
	return nil
}

// splitTax moves the tax of the line, as the receipt shows it, from the expense posting just added to one of its own.
func (m *Mapper) splitTax(claim *Claim, line *Line, found *rule, amounts lineAmounts, voucher *Voucher) error {
	code := found.taxCode
	if code == "" {
		code = line.TaxCode
	}
	if code == "" {
		return nil
	}
	tax, defined := m.chart.taxCodes[code]
	switch {
	case !defined:
		return hold(claim, HoldUndefinedTaxCode, "line %d has the tax code %q, which is not in the chart's taxCodes", line.Number, quotable(code))
	case tax.Account == "":
		return nil // not deductible: the tax stays on the expense
	}
	expense := &voucher.Postings[len(voucher.Postings)-1]
	expense.TaxCode, expense.TaxRate = code, tax.Rate
	expense.Amount -= amounts.tax
	expense.BaseAmount -= amounts.baseTax
	expense.TaxAmount, expense.BaseTaxAmount = amounts.tax, amounts.baseTax
	if amounts.tax == 0 && amounts.baseTax == 0 {
		return nil
	}
	split := *expense
	posting := next(voucher)
	*posting = Posting{
		Kind: TaxPosting, Account: tax.Account, AccountName: m.chart.accounts[tax.Account],
		Amount: amounts.tax, BaseAmount: amounts.baseTax, TaxCode: code, TaxRate: tax.Rate,
		Text: split.Text, Dimensions: posting.Dimensions[:0], LineNumber: split.LineNumber, ExpenseDate: split.ExpenseDate, Category: split.Category,
	}
	return nil
}

// balance adds what makes the voucher sum to zero: the residue of conversion, and the debt to the claimant.
func (m *Mapper) balance(claim *Claim, voucher *Voucher, gross Amount) error {
	owed, err := m.sum.total(m.chart.base)
	if err != nil {
		return hold(claim, HoldInvalidAmount, "the sum of the claim is too large")
	}
	var posted Amount
	for i := range voucher.Postings {
		posted += voucher.Postings[i].BaseAmount
	}
	if residue := owed - posted; residue != 0 {
		limit := m.chart.rounding
		if limit == nil || residue > limit.limit || residue < -limit.limit {
			return hold(claim, HoldRoundingExceeded, "conversion to %s leaves %s; the chart's rounding takes less than that",
				m.chart.base.Code(), residue.Decimal(m.chart.base))
		}
		m.append(voucher, Posting{Kind: RoundingPosting, Account: limit.account, BaseAmount: residue})
	}
	offset := Posting{Kind: OffsetPosting, Account: m.chart.offset.Account, Amount: -gross, BaseAmount: -owed}
	if m.chart.offset.Subledger == v1alpha1.SubledgerClaimant {
		offset.Subledger = claim.ClaimantID
	}
	m.append(voucher, offset)
	return nil
}

func (m *Mapper) append(voucher *Voucher, posting Posting) {
	into := next(voucher)
	posting.AccountName, posting.Text, posting.Dimensions = m.chart.accounts[posting.Account], voucher.Text, into.Dimensions[:0]
	*into = posting
}

// lineAmounts of one line: in the claim's currency, and in the books' with each posting rounded.
type lineAmounts struct {
	gross, tax, baseGross, baseTax Amount
}

func (m *Mapper) amounts(claim *Claim, line *Line, currency Currency) (a lineAmounts, err error) {
	if line.Currency != "" && line.Currency != claim.Currency {
		return a, hold(claim, HoldMixedCurrencies, "line %d is in %q and its claim in %q; one claim has one currency",
			line.Number, quotable(line.Currency), quotable(claim.Currency))
	}
	if a.gross, err = m.amount(claim, line, "gross_amount", line.Gross, currency); err != nil {
		return a, err
	}
	if line.Tax != "" {
		if a.tax, err = m.amount(claim, line, "tax_amount", line.Tax, currency); err != nil {
			return a, err
		}
	}
	if a.tax != 0 && (a.tax > 0) != (a.gross > 0) || magnitude(a.tax) > magnitude(a.gross) {
		return a, hold(claim, HoldTaxExceedsAmount, "the tax of line %d is larger than its amount, or of the other sign", line.Number)
	}
	if currency == m.chart.base {
		return m.sameCurrency(claim, line, a)
	}
	return m.convertedAmounts(claim, line, a)
}

func (m *Mapper) amount(claim *Claim, line *Line, field, text string, currency Currency) (Amount, error) {
	amount, err := ParseAmount(text, currency)
	switch {
	case errors.Is(err, ErrTooPrecise):
		return 0, hold(claim, HoldAmountTooPrecise, "%s of line %d has more decimals than %s", field, line.Number, currency.Code())
	case err != nil:
		return 0, hold(claim, HoldInvalidAmount, "%s of line %d is %s", field, line.Number, err)
	}
	return amount, nil
}

// sameCurrency insists that base amounts, where there are any, say the same.
func (m *Mapper) sameCurrency(claim *Claim, line *Line, a lineAmounts) (lineAmounts, error) {
	for _, pair := range []struct {
		text string
		want Amount
	}{{line.BaseGross, a.gross}, {line.BaseTax, a.tax}} {
		if pair.text == "" {
			continue
		}
		if base, err := ParseAmount(pair.text, m.chart.base); err != nil || base != pair.want {
			return a, hold(claim, HoldMixedCurrencies, "line %d is in the books' currency and its base amounts are others", line.Number)
		}
	}
	a.baseGross, a.baseTax = a.gross, a.tax
	return a, m.sum.addAmount(a.gross)
}

// convertedAmounts rounds the amounts in the books' currency, and keeps their exact sum.
func (m *Mapper) convertedAmounts(claim *Claim, line *Line, a lineAmounts) (_ lineAmounts, err error) {
	if line.BaseGross == "" || line.BaseTax == "" && a.tax != 0 {
		return a, hold(claim, HoldMissingBaseAmount, "line %d is in %s and lacks its amount in %s", line.Number, claim.Currency, m.chart.base.Code())
	}
	var gross apd.Decimal
	if a.baseGross, err = m.convert(claim, line, "base_gross_amount", line.BaseGross, &gross); err != nil {
		return a, err
	}
	if line.BaseTax != "" {
		var tax apd.Decimal
		if a.baseTax, err = m.convert(claim, line, "base_tax_amount", line.BaseTax, &tax); err != nil {
			return a, err
		}
	}
	if magnitude(a.baseTax) > magnitude(a.baseGross) || a.baseTax != 0 && (a.baseTax > 0) != (a.baseGross > 0) {
		return a, hold(claim, HoldTaxExceedsAmount, "the base tax of line %d is larger than its base amount, or of the other sign", line.Number)
	}
	return a, m.sum.addDecimal(&gross)
}

func (m *Mapper) convert(claim *Claim, line *Line, field, text string, into *apd.Decimal) (Amount, error) {
	if _, _, err := into.SetString(text); err != nil || into.Form != apd.Finite {
		return 0, hold(claim, HoldInvalidAmount, "%s of line %d is %s", field, line.Number, ErrNotDecimal)
	}
	amount, err := RoundAmount(into, m.chart.base)
	if err != nil {
		return 0, hold(claim, HoldInvalidAmount, "%s of line %d is %s", field, line.Number, err)
	}
	return amount, nil
}

// baseSum is the exact sum of a claim in the books' currency.
type baseSum struct {
	minor Amount      // of amounts that need no conversion
	exact apd.Decimal // of those that do
	inUse bool
}

func (s *baseSum) reset() {
	s.minor = 0
	if s.inUse {
		s.exact, s.inUse = apd.Decimal{}, false
	}
}

func (s *baseSum) addAmount(amount Amount) (err error) {
	s.minor, err = AddAmounts(s.minor, amount)
	return err
}

func (s *baseSum) addDecimal(amount *apd.Decimal) error {
	s.inUse = true
	_, err := rounding.Add(&s.exact, &s.exact, amount)
	return err
}

func (s *baseSum) total(base Currency) (Amount, error) {
	if !s.inUse {
		return s.minor, nil
	}
	return RoundAmount(&s.exact, base)
}

func magnitude(a Amount) Amount { return max(a, -a) }

func hold(claim *Claim, reason HoldReason, format string, args ...any) *Hold {
	return &Hold{ClaimID: claim.ID, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func expressionFailed(ctx context.Context, claim *Claim, line *Line, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return hold(claim, HoldExpressionFailed, "the %s expression of the rule for line %d with category %q can not be evaluated: %s",
		what, line.Number, quotable(line.Category), err)
}

// checkTexts refuses texts that no file should carry.
func checkTexts(claim *Claim) error {
	for _, field := range []struct{ name, text string }{
		{"id", claim.ID}, {"claimant_id", claim.ClaimantID}, {"claimant_name", claim.ClaimantName}, {"claimant_iban", claim.ClaimantIBAN},
		{"approved_by", claim.ApprovedBy}, {"description", claim.Description},
	} {
		if problem := textProblem(field.text); problem != "" {
			return hold(claim, HoldInvalidText, "%s of the claim %s", field.name, problem)
		}
	}
	for i := range claim.Lines {
		line := &claim.Lines[i]
		for _, field := range [...]struct{ name, text string }{
			{"category", line.Category}, {"description", line.Description}, {"tax_code", line.TaxCode},
			{"quantity", line.Quantity}, {"unit", line.Unit}, {"receipt_uri", line.ReceiptURI},
		} {
			if problem := textProblem(field.text); problem != "" {
				return hold(claim, HoldInvalidText, "%s of line %d %s", field.name, line.Number, problem)
			}
		}
		for name, value := range line.Dimensions {
			if textProblem(name) != "" || textProblem(value) != "" {
				return hold(claim, HoldInvalidText, "a dimension of line %d is too long or has control characters", line.Number)
			}
		}
	}
	return nil
}

func textProblem(text string) string {
	if len(text) > MaxTextLength {
		return fmt.Sprintf("has %d bytes, more than %d", len(text), MaxTextLength)
	}
	ascii := true
	for i := range len(text) {
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			ascii = false
		case c < ' ' && c != '\t' && c != '\n' && c != '\r', c == 0x7f:
			return "has control characters"
		}
	}
	if ascii {
		return ""
	}
	if !utf8.ValidString(text) {
		return "is not UTF-8"
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' }) {
		return "has control characters"
	}
	return ""
}

// tidy puts a text on one line.
func tidy(text string) string {
	if strings.ContainsAny(text, "\t\r\n") {
		text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\t' || r == '\r' || r == '\n' }), " ")
	}
	return strings.TrimSpace(text)
}

// quotable cuts a code for a message.
func quotable(code string) string {
	const most = 100
	if len(code) <= most {
		return code
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(code[cut]) {
		cut--
	}
	return code[:cut] + "…"
}
