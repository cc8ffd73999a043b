package exporters

import (
	"cmp"
	"math/bits"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// ComputesTax reports whether an accounting system that computes the tax of an expense from its gross amount and the rate of
// its tax code, in the currency of the books and rounded half away from zero, arrives at the tax on the receipt. Where it
// does, a format may leave the tax to the system; where it does not, the tax must be posted as it is on the receipt.
func ComputesTax(expense *ledger.Posting) bool {
	rate, ok := ledger.ParsePercent(expense.TaxRate)
	if !ok || expense.Kind != ledger.ExpensePosting || expense.BaseTaxAmount == 0 {
		return false
	}
	gross, tax := expense.BaseAmount+expense.BaseTaxAmount, expense.BaseTaxAmount
	if gross < 0 {
		gross, tax = -gross, -tax
	}
	// tax = gross × rate / (100 + rate), rounded: ⌊(2 × gross × rate + (100 + rate)) / (2 × (100 + rate))⌋. An amount has
	// fewer than 2⁵⁰ minor units and a rate fewer than 2²⁴ ten-thousandths, so that the product needs more than 64 bits.
	whole := 100*10_000 + rate
	high, low := bits.Mul64(uint64(gross), 2*rate)
	low, carry := bits.Add64(low, whole, 0)
	computed, _ := bits.Div64(high+carry, low, 2*whole)
	return computed == uint64(tax)
}

// SystemCodes are the codes that an accounting system computes tax by, for the tax codes of a chart of accounts.
type SystemCodes struct {
	option string
	// shared has, for each tax code whose code of the system another one has, too, though the chart treats its tax differently, that
	// other one.
	shared map[string]string
}

// NewSystemCodes compares the tax codes that have the same code of a system in an option.
func NewSystemCodes(option string, byCode map[string]string, books *v1alpha1.ChartOfAccountsSpec) SystemCodes {
	s := SystemCodes{option: option, shared: map[string]string{}}
	first := map[string]*v1alpha1.TaxCode{} // of each code of the system
	for i := range books.TaxCodes {
		code := &books.TaxCodes[i]
		system, mapped := byCode[code.Code]
		if !mapped || !isComputed(code) {
			continue
		}
		other, known := first[system]
		switch {
		case !known:
			first[system] = code
		case treatmentOf(other) != treatmentOf(code):
			s.shared[code.Code], s.shared[other.Code] = other.Code, code.Code
		}
	}
	return s
}

// Check holds a voucher with a tax code that the system cannot tell from another. One that reverses another says what that said.
func (s SystemCodes) Check(voucher *ledger.Voucher, posting *ledger.Posting) error {
	other, shared := s.shared[posting.TaxCode]
	if !shared || voucher.Reverses != "" {
		return nil
	}
	return Unsupported(voucher, "the tax code %q of %s has the same code in the option %s as the tax code %q, and the two differ in the chart of accounts in their rate, in reverse charge, "+
		"or in what is deducted; give each its own code of the accounting system", posting.TaxCode, Where(posting), s.option, other)
}

// treatment is what a system makes of a code.
type treatment struct {
	rate           uint64
	reverse, whole bool // owed by reverse charge; deducted
}

func treatmentOf(code *v1alpha1.TaxCode) treatment {
	rate, _ := ledger.ParsePercent(code.Rate) // the chart has been compiled
	return treatment{rate, code.ReverseCharge != nil, isPercent(code.Deductible, 100)}
}

// isComputed reports whether a system may be left to compute the tax of a code: all of it is deducted, or, of reverse charge, nothing.
func isComputed(code *v1alpha1.TaxCode) bool {
	return IsPosted(code) && (isPercent(code.Deductible, 100) || code.ReverseCharge != nil && isPercent(code.Deductible, 0))
}

// isPercent reports whether a percentage, which is 100 if it is empty, is a whole number.
func isPercent(text string, want uint64) bool {
	value, _ := ledger.ParsePercent(cmp.Or(text, "100"))
	return value == want*10_000
}
