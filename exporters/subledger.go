package exporters

import "github.com/ledgerport/ledgerport/ledger"

// What a posting has as subledger is a dimension of ours in formats that have no subledgers.
const (
	// EmployeeDimension is the claimant's.
	EmployeeDimension = "employee"
	// PaymentDimension is that of the card or account that has paid.
	PaymentDimension = "paymentReference"
)

// SubledgerDimension returns what a posting has as subledger as a dimension; its value may be empty.
func SubledgerDimension(voucher *ledger.Voucher, posting *ledger.Posting) ledger.Dimension {
	if IsPaymentReference(voucher, posting) {
		return ledger.Dimension{Name: PaymentDimension, Value: posting.Subledger}
	}
	return ledger.Dimension{Name: EmployeeDimension, Value: posting.Subledger}
}

// IsPaymentReference reports whether the subledger of a posting is a card or account, and not the claimant.
func IsPaymentReference(voucher *ledger.Voucher, posting *ledger.Posting) bool {
	return posting.Kind == ledger.PaidPosting && posting.Subledger != voucher.ClaimantID
}
