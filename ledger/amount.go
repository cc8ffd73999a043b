// Package ledger turns approved expense claims into balanced vouchers: exact money, the rules of a chart of accounts,
// posting dates, fiscal years and control totals. It knows nothing of Kubernetes objects' lives, databases or formats.
package ledger

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/bojanz/currency"
	"github.com/cockroachdb/apd/v3"
)

// Amount is an exact sum of money: a count of its currency's minor units (cents, öre, yen). Positive is debit.
type Amount int64

// MaxAmount bounds a single amount, so that the sum of a voucher's lines cannot overflow.
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

// ParseCurrency returns the currency of an ISO 4217 code such as EUR, JPY (no decimals) or KWD (three).
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

// ParseAmount reads a decimal in the form in which PostgreSQL prints numeric: "-12.50". Decimals beyond the currency's
// must be zeros. It returns ErrNotDecimal, ErrTooPrecise or ErrTooLarge.
func ParseAmount(decimal string, c Currency) (Amount, error) {
	digits, negative := strings.CutPrefix(decimal, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" {
		return 0, ErrNotDecimal
	}
	exponent := min(len(fraction), int(c.exponent))
	amount, err := appendDigits(0, whole)
	if err == nil {
		amount, err = appendDigits(amount, fraction[:exponent])
	}
	var beyond Amount
	if err == nil {
		beyond, err = appendDigits(0, fraction[exponent:])
	}
	if err != nil {
		return 0, err
	}
	for range int(c.exponent) - exponent {
		amount = min(amount*10, MaxAmount+1)
	}
	switch {
	case amount > MaxAmount:
		return 0, ErrTooLarge
	case beyond != 0:
		return 0, ErrTooPrecise
	case negative:
		return -amount, nil
	}
	return amount, nil
}

// appendDigits stops growing above MaxAmount, so that it never overflows.
func appendDigits(amount Amount, digits string) (Amount, error) {
	for i := range len(digits) {
		digit := digits[i] - '0'
		if digit > 9 {
			return 0, ErrNotDecimal
		}
		amount = min(amount*10+Amount(digit), MaxAmount+1)
	}
	return amount, nil
}

// RoundAmount returns a decimal rounded to the currency's minor unit, half away from zero. It returns ErrTooLarge.
func RoundAmount(decimal *apd.Decimal, c Currency) (Amount, error) {
	var rounded apd.Decimal
	if _, err := arithmetic.Quantize(&rounded, decimal, -int32(c.exponent)); err != nil {
		return 0, ErrTooLarge
	}
	rounded.Exponent = 0 // a count of minor units
	minor, err := rounded.Int64()
	if err != nil || magnitude(Amount(minor)) > MaxAmount {
		return 0, ErrTooLarge
	}
	return Amount(minor), nil
}

// arithmetic is exact for sums of decimals of at most maxDecimalLength digits, and rounds half away from zero.
var arithmetic = apd.Context{
	Precision: 2 * maxDecimalLength, MaxExponent: maxDecimalLength, MinExponent: -2 * maxDecimalLength,
	Rounding: apd.RoundHalfUp, Traps: apd.DefaultTraps,
}

// maxDecimalLength bounds the text of an amount that is to be rounded.
const maxDecimalLength = 100

var errTooLong = fmt.Errorf("longer than %d characters", maxDecimalLength)

func magnitude(a Amount) Amount { return max(a, -a) }

// Decimal writes the amount with all of the currency's decimals: "-12.50".
func (a Amount) Decimal(c Currency) string {
	return string(a.AppendDecimal(make([]byte, 0, 24), c, '.'))
}

// AppendDecimal appends the amount with all of the currency's decimals behind the given mark.
func (a Amount) AppendDecimal(to []byte, c Currency, mark byte) []byte {
	minor := uint64(a)
	if a < 0 {
		to = append(to, '-')
		minor = -minor
	}
	var digits [20]byte
	text := strconv.AppendUint(digits[:0], minor, 10)
	whole := len(text) - int(c.exponent)
	if whole <= 0 {
		to = append(to, '0')
	} else {
		to = append(to, text[:whole]...)
	}
	if c.exponent == 0 {
		return to
	}
	to = append(to, mark)
	for ; whole < 0; whole++ {
		to = append(to, '0')
	}
	return append(to, text[max(0, len(text)-int(c.exponent)):]...)
}
