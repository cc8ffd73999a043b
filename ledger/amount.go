// Package ledger turns approved expense claims into balanced vouchers: exact money, the rules of a chart of accounts,
// posting dates, fiscal years and control totals. It knows nothing of Kubernetes objects' lives, databases or formats.
package ledger

import (
	"errors"
	"fmt"

	"github.com/bojanz/currency"
)

// Amount is an exact sum of money: a count of its currency's minor units (cents, öre, yen). Positive is debit.
type Amount int64

// MaxAmount bounds a single amount, so that the sum of a voucher's lines can not overflow.
const MaxAmount Amount = 1_000_000_000_000_000

var (
	// ErrNotDecimal: the text is not a decimal number.
	ErrNotDecimal = errors.New("not a decimal number")
	// ErrTooPrecise: the number has more decimals than its currency.
	ErrTooPrecise = errors.New("more decimals than the currency has")
	// ErrTooLarge: the number is larger than MaxAmount minor units.
	ErrTooLarge = errors.New("larger than the largest amount that is supported")
	// ErrUnknownCurrency: the code is not in ISO 4217.
	ErrUnknownCurrency = errors.New("not a currency of ISO 4217")
)

// Currency is a currency of ISO 4217 with its exponent: the number of decimals of its minor unit.
type Currency struct {
	code     string
	exponent uint8
}

// ParseCurrency gives the currency of an ISO 4217 code such as EUR, JPY (no decimals) or KWD (three).
func ParseCurrency(code string) (Currency, error) {
	digits, ok := currency.GetDigits(code)
	if !ok {
		return Currency{}, fmt.Errorf("%q: %w", code, ErrUnknownCurrency)
	}
	return Currency{code: code, exponent: digits}, nil
}

// Code is the ISO 4217 code.
func (c Currency) Code() string { return c.code }

// Exponent is the number of decimals of the minor unit.
func (c Currency) Exponent() int { return int(c.exponent) }
