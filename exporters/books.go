package exporters

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// ReadBooks returns the currency of the books and when their fiscal year begins. A currency with more decimals than the format
// has in its amounts is an *OptionError.
func ReadBooks(books *v1alpha1.ChartOfAccountsSpec, format string, maxDecimals int) (ledger.Currency, ledger.FiscalYearStart, error) {
	currency, err := ledger.ParseCurrency(books.Currency)
	if err != nil {
		return ledger.Currency{}, ledger.FiscalYearStart{}, err
	}
	if currency.Exponent() > maxDecimals {
		return ledger.Currency{}, ledger.FiscalYearStart{}, &OptionError{Problem: fmt.Sprintf("the books are in %s, which has %d decimals; %s has at most %d",
			currency.Code(), currency.Exponent(), format, maxDecimals)}
	}
	start, err := ledger.ParseFiscalYearStart(books.FiscalYearStart)
	return currency, start, err
}

// CheckTaxCodes refuses, with an *OptionError, an option that says something of a tax code which the chart of accounts lacks,
// or whose tax it does not split off.
func CheckTaxCodes(option string, byCode map[string]string, books *v1alpha1.ChartOfAccountsSpec) error {
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		if !slices.ContainsFunc(books.TaxCodes, func(c v1alpha1.TaxCode) bool { return c.Code == code && IsPosted(&c) }) {
			return &OptionError{Field: option + "." + code, Problem: "is not a tax code of the chart of accounts whose tax has an account"}
		}
	}
	return nil
}

// IsPosted reports whether tax of a code has postings of its own: it is split off, or owed by reverse charge.
func IsPosted(code *v1alpha1.TaxCode) bool { return code.Account != "" || code.ReverseCharge != nil }

// IsDigits reports whether a code, such as an account, is a number of ASCII digits.
func IsDigits(code string) bool {
	for i := range len(code) {
		if code[i] < '0' || code[i] > '9' {
			return false
		}
	}
	return code != ""
}
