package ledger

import (
	"errors"
	"strconv"

	"github.com/cockroachdb/apd/v3"
)

// claimSum reads the amounts of one claim's lines and sums those that are owed to the claimant.
type claimSum struct {
	currency, base Currency
	// gross is in the claim's currency, baseGross in the books': the sum of what each line was rounded to.
	gross, baseGross Amount
	// rest is what rounding took from the lines, exactly; not in use where nothing was rounded.
	rest    apd.Decimal
	rounded bool
	// taken is what rounding took from the line that was read last, if it took something.
	taken     apd.Decimal
	inexactly bool
}

// lineAmounts of one line: in the claim's currency, and in the books' currency rounded to its minor unit.
type lineAmounts struct {
	gross, tax, baseGross, baseTax Amount
}

// share returns a percentage of the amounts, but not more than is left of them. The rate is that of their tax, or 0.
func (a lineAmounts) share(percent, rate uint64, left lineAmounts) lineAmounts {
	taken := taxed{a.gross, a.tax}.share(percent, rate, taxed{left.gross, left.tax})
	base := taxed{a.baseGross, a.baseTax}.share(percent, rate, taxed{left.baseGross, left.baseTax})
	return lineAmounts{gross: taken.gross, tax: taken.tax, baseGross: base.gross, baseTax: base.tax}
}

func (a lineAmounts) minus(b lineAmounts) lineAmounts {
	return lineAmounts{gross: a.gross - b.gross, tax: a.tax - b.tax, baseGross: a.baseGross - b.baseGross, baseTax: a.baseTax - b.baseTax}
}

// read checks the amounts of a line. They count when the line is owed.
func (s *claimSum) read(claim *Claim, line *Line) (a lineAmounts, err error) {
	s.inexactly = false
	if line.Currency != "" && line.Currency != claim.Currency {
		return a, hold(claim, HoldMixedCurrencies, "line %d is in %q and its claim in %q; make one claim per currency",
			line.Number, quotable(line.Currency), quotable(claim.Currency))
	}
	if a.gross, err = parse(claim, field{"gross_amount", line}, line.Gross, s.currency); err != nil {
		return a, err
	}
	if line.Tax != "" {
		if a.tax, err = parse(claim, field{"tax_amount", line}, line.Tax, s.currency); err != nil {
			return a, err
		}
	}
	if exceeds(a.tax, a.gross) {
		return a, hold(claim, HoldTaxExceedsAmount, "tax_amount of line %d is larger than gross_amount, or of the other sign; correct it in the application", line.Number)
	}
	if s.currency == s.base {
		err = s.readSame(claim, line, &a)
	} else {
		err = s.readConverted(claim, line, &a)
	}
	return a, err
}

// owe adds the line that was read last to what the claimant is owed. Sums are bounded as single amounts are, so that nothing that
// is made of them overflows.
func (s *claimSum) owe(claim *Claim, line lineAmounts) error {
	s.gross += line.gross
	s.baseGross += line.baseGross
	if s.inexactly {
		s.rounded = true
		if _, err := arithmetic.Add(&s.rest, &s.rest, &s.taken); err != nil {
			return hold(claim, HoldInvalidAmount, "the sum of the claim is %s", ErrTooLarge)
		}
	}
	if magnitude(s.gross) > MaxAmount || magnitude(s.baseGross) > MaxAmount {
		return hold(claim, HoldInvalidAmount, "the sum of the claim is %s", ErrTooLarge)
	}
	return nil
}

// exceeds reports whether a part cannot be a part of the whole.
func exceeds(part, whole Amount) bool {
	return magnitude(part) > magnitude(whole) || part > 0 && whole < 0 || part < 0 && whole > 0
}

// field is a column of a claim, or of one of its lines.
type field struct {
	column string
	line   *Line // nil: of the claim
}

// String names the column for people.
func (f field) String() string {
	if f.line == nil {
		return f.column + " of the claim"
	}
	return f.column + " of line " + strconv.Itoa(f.line.Number)
}

func parse(claim *Claim, from field, text string, currency Currency) (Amount, error) {
	amount, err := ParseAmount(text, currency)
	switch {
	case errors.Is(err, ErrTooPrecise):
		return 0, hold(claim, HoldAmountTooPrecise, "%s has more than the %d decimals of %s; correct it in the application",
			from, currency.Exponent(), currency.Code())
	case err != nil:
		return 0, invalidAmount(claim, from, err)
	}
	return amount, nil
}

func invalidAmount(claim *Claim, from field, problem error) error {
	return hold(claim, HoldInvalidAmount, "%s is missing or wrong: %s; correct it in the application", from, problem)
}

// readSame takes the amounts as those of the books, and insists that base amounts, where there are any, say the same.
func (s *claimSum) readSame(claim *Claim, line *Line, a *lineAmounts) error {
	a.baseGross, a.baseTax = a.gross, a.tax
	if same(line.BaseGross, a.gross, s.base) && same(line.BaseTax, a.tax, s.base) {
		return nil
	}
	return hold(claim, HoldMixedCurrencies, "line %d is in the books' currency %s and its base amounts differ from its amounts; leave them empty",
		line.Number, s.base.Code())
}

func same(text string, want Amount, currency Currency) bool {
	if text == "" {
		return true
	}
	amount, err := ParseAmount(text, currency)
	return err == nil && amount == want
}

// readConverted rounds the amounts in the books' currency, and keeps the exact sum of what rounding took.
func (s *claimSum) readConverted(claim *Claim, line *Line, a *lineAmounts) (err error) {
	for _, missing := range [...]struct {
		field string
		yes   bool
	}{{"base_gross_amount", line.BaseGross == ""}, {"base_tax_amount", line.BaseTax == "" && a.tax != 0}} {
		if missing.yes {
			return hold(claim, HoldMissingBaseAmount, "line %d is in %s and has no %s in %s; add it in the application",
				line.Number, s.currency.Code(), missing.field, s.base.Code())
		}
	}
	if a.baseGross, err = s.round(claim, field{"base_gross_amount", line}, line.BaseGross, true); err != nil {
		return err
	}
	if line.BaseTax != "" {
		if a.baseTax, err = s.round(claim, field{"base_tax_amount", line}, line.BaseTax, false); err != nil {
			return err
		}
	}
	if contradicts(a.baseGross, a.gross) || contradicts(a.baseTax, a.tax) {
		return hold(claim, HoldMixedCurrencies, "base amounts of line %d in %s contradict its amounts in %s: a sign differs, or only one is zero; correct them in the application",
			line.Number, s.base.Code(), s.currency.Code())
	}
	if exceeds(a.baseTax, a.baseGross) {
		return hold(claim, HoldTaxExceedsAmount, "base_tax_amount of line %d is larger than base_gross_amount; correct it in the application", line.Number)
	}
	return nil
}

// contradicts reports whether an amount cannot be the conversion of another. It may have been rounded to zero.
func contradicts(converted, amount Amount) bool {
	return converted > 0 && amount <= 0 || converted < 0 && amount >= 0
}

// round reads an amount that may have more decimals than the books' currency. Where it is to be summed, what rounding
// takes is kept.
func (s *claimSum) round(claim *Claim, from field, text string, summed bool) (Amount, error) {
	amount, err := ParseAmount(text, s.base)
	if err == nil {
		return amount, nil
	}
	if !errors.Is(err, ErrTooPrecise) {
		return 0, invalidAmount(claim, from, err)
	}
	if len(text) > maxDecimalLength {
		return 0, invalidAmount(claim, from, errTooLong)
	}
	var exact apd.Decimal
	if _, _, err = exact.SetString(text); err == nil {
		amount, err = RoundAmount(&exact, s.base)
	}
	if err == nil && summed {
		err = s.keepRest(&exact, amount)
	}
	if err != nil {
		return 0, invalidAmount(claim, from, ErrTooLarge) // its form has been checked
	}
	return amount, nil
}

func (s *claimSum) keepRest(exact *apd.Decimal, rounded Amount) error {
	s.inexactly = true
	_, err := arithmetic.Sub(&s.taken, exact, decimal(rounded, s.base))
	return err
}

// owed is the exact sum of the claim in the books' currency, rounded once.
func (s *claimSum) owed() (Amount, error) {
	if !s.rounded {
		return s.baseGross, nil
	}
	var exact apd.Decimal
	if _, err := arithmetic.Add(&exact, decimal(s.baseGross, s.base), &s.rest); err != nil {
		return 0, err
	}
	return RoundAmount(&exact, s.base)
}

// advance reads what the claimant was paid before, in the claim's currency and in the books'.
func (s *claimSum) advance(claim *Claim) (amount, base Amount, err error) {
	if claim.Advance == "" && claim.BaseAdvance == "" {
		return 0, 0, nil
	}
	if amount, err = parse(claim, field{column: "advance_amount"}, claim.Advance, s.currency); err != nil {
		return 0, 0, err
	}
	switch {
	case amount < 0:
		return 0, 0, invalidAmount(claim, field{column: "advance_amount"}, errNegative)
	case s.currency == s.base && same(claim.BaseAdvance, amount, s.base):
		return amount, amount, nil
	case s.currency != s.base && claim.BaseAdvance == "" && amount != 0:
		return 0, 0, hold(claim, HoldMissingBaseAmount, "the claim is in %s and has no base_advance_amount in %s; add it in the application", s.currency.Code(), s.base.Code())
	case claim.BaseAdvance != "":
		base, err = s.round(claim, field{column: "base_advance_amount"}, claim.BaseAdvance, false)
	}
	if err == nil && (s.currency == s.base || contradicts(base, amount)) {
		err = hold(claim, HoldMixedCurrencies, "base_advance_amount of the claim contradicts its advance_amount; correct it in the application, or leave it empty if the claim is in %s", s.base.Code())
	}
	return amount, base, err
}

var errNegative = errors.New("it is negative")

func decimal(amount Amount, c Currency) *apd.Decimal {
	return apd.New(int64(amount), -int32(c.exponent))
}
