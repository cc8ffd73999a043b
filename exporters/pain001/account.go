package pain001

import (
	"fmt"
	"regexp"
	"strings"
)

// account is where money goes to or comes from.
type account struct {
	number string
	iban   bool
}

var (
	// ibanForm is that of ISO 13616: country, check digits, and the account within the country.
	ibanForm = regexp.MustCompile(`^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$`)
	digits   = regexp.MustCompile(`^\d{4,34}$`)
)

// parseAccount reads an account as people write it, with spaces, or returns what is wrong with it: in words that do not have
// the account in them.
func parseAccount(text, domestic string) (a account, problem string) {
	compact := strings.ToUpper(strings.ReplaceAll(text, " ", ""))
	switch {
	case compact == "":
		return a, "is missing"
	case ibanForm.MatchString(compact):
		switch length, known := ibanLengths[compact[:2]]; {
		case !known:
			return a, "is an IBAN of a country that has none (ISO 13616)"
		case len(compact) != length:
			return a, fmt.Sprintf("is an IBAN of %d characters, and those of %s have %d", len(compact), compact[:2], length)
		case !hasIBANCheckDigits(compact):
			return a, "is an IBAN whose check digits are wrong"
		}
		return account{compact, true}, ""
	}
	number := strings.ReplaceAll(compact, ".", "")
	switch {
	case domestic == anyDomestic && digits.MatchString(number):
		return account{number: number}, ""
	case domestic == norwegianDomestic && len(number) == norwegianLength && digits.MatchString(number):
		if !hasNorwegianCheckDigit(number) {
			return a, "is a Norwegian account number whose check digit is wrong"
		}
		return account{number: number}, ""
	case domestic == norwegianDomestic:
		return a, "is neither an IBAN nor a Norwegian account number"
	case domestic == anyDomestic:
		return a, "is neither an IBAN nor a number of 4 to 34 digits"
	}
	return a, "is not an IBAN"
}

// hasIBANCheckDigits reports whether the number that an IBAN stands for leaves 1 when divided by 97 (ISO 7064): the first four
// characters go to the end, and letters are 10 to 35.
func hasIBANCheckDigits(iban string) bool {
	remainder := 0
	for _, c := range []byte(iban[4:] + iban[:4]) {
		if c >= 'A' {
			remainder = (remainder*100 + int(c-'A') + 10) % 97
		} else {
			remainder = (remainder*10 + int(c-'0')) % 97
		}
	}
	return remainder == 1
}

const norwegianLength = 11

// hasNorwegianCheckDigit reports whether the digits of a Norwegian account number, weighted 5 4 3 2 7 6 5 4 3 2 1, sum to a
// multiple of 11.
func hasNorwegianCheckDigit(number string) bool {
	sum := 0
	for i, weight := range [norwegianLength]int{5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1} {
		sum += weight * int(number[i]-'0')
	}
	return sum%11 == 0
}
