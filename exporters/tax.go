package exporters

import (
	"math/bits"

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
