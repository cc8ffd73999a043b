package ledger

import (
	"errors"
	"slices"
	"strings"
)

// ErrTotalTooLarge says that a sum left the range of an Amount.
var ErrTotalTooLarge = errors.New("the total is larger than the largest sum that is supported")

// Totals are the control totals of a set of claims: what the database says of them must equal what was rendered.
type Totals struct {
	Claims, Lines int64
	// Currencies of the claims, sorted by code.
	Currencies []CurrencyTotal
}

// CurrencyTotal sums the claims of one currency, in that currency.
type CurrencyTotal struct {
	Currency      string
	Claims, Lines int64
	// Gross is the sum over the lines: the amounts on the receipts.
	Gross Amount
}

// Add counts one claim.
func (t *Totals) Add(currency string, lines int64, gross Amount) error {
	total := t.of(currency)
	var err error
	if total.Gross, err = AddAmounts(total.Gross, gross); err != nil {
		return err
	}
	total.Claims++
	total.Lines += lines
	t.Claims++
	t.Lines += lines
	return nil
}

func (t *Totals) of(currency string) *CurrencyTotal {
	at, found := slices.BinarySearchFunc(t.Currencies, currency, func(c CurrencyTotal, code string) int {
		return strings.Compare(c.Currency, code)
	})
	if !found {
		t.Currencies = slices.Insert(t.Currencies, at, CurrencyTotal{Currency: currency})
	}
	return &t.Currencies[at]
}

// Equal reports whether both are the same to the last minor unit.
func (t Totals) Equal(other Totals) bool {
	return t.Claims == other.Claims && t.Lines == other.Lines && slices.Equal(t.Currencies, other.Currencies)
}

// AddAmounts adds two sums, or says that the result would not fit.
func AddAmounts(a, b Amount) (Amount, error) {
	sum := a + b
	if (b > 0 && sum < a) || (b < 0 && sum > a) {
		return 0, ErrTotalTooLarge
	}
	return sum, nil
}
