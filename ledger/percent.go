package ledger

import (
	"math/bits"
	"strings"
)

// wholePercent is 100 per cent, in ten-thousandths.
const wholePercent = 100 * 10_000

// ParsePercent reads a percentage such as 19 or 5.5 exactly, in ten-thousandths: at most three digits before the point and four behind
// it.
func ParsePercent(text string) (tenThousandths uint64, ok bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	if whole == "" || len(whole) > 3 || len(fraction) > 4 {
		return 0, false
	}
	var value uint64
	for _, digits := range [...]string{whole, fraction} {
		for i := range len(digits) {
			if digits[i] < '0' || digits[i] > '9' {
				return 0, false
			}
			value = value*10 + uint64(digits[i]-'0')
		}
	}
	for range 4 - len(fraction) {
		value *= 10
	}
	return value, true
}

// share returns amount × part / whole, rounded half away from zero. The whole is not 0. Either the part is less than 2²⁴ and the whole at
// least a half of it, or both are amounts and the part is not more than the whole.
func share(amount Amount, part, whole uint64) Amount {
	// ⌊(2 × amount × part + whole) / (2 × whole)⌋ needs more than 64 bits.
	high, low := bits.Mul64(uint64(magnitude(amount)), 2*part)
	low, carry := bits.Add64(low, whole, 0)
	quotient, _ := bits.Div64(high+carry, low, 2*whole)
	if amount < 0 {
		return -Amount(quotient)
	}
	return Amount(quotient)
}
