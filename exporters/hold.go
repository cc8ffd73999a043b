package exporters

import (
	"fmt"
	"strconv"

	"github.com/ledgerport/ledgerport/ledger"
)

// Unsupported is the hold of a voucher that a format cannot represent. The message says which field, and what to do.
func Unsupported(voucher *ledger.Voucher, format string, args ...any) error {
	return &ledger.Hold{ClaimID: voucher.ClaimID, Reason: ledger.HoldUnsupportedByFormat, Message: fmt.Sprintf(format, args...)}
}

// Unbalanced is the error of a voucher that does not sum to zero. It ends the artifact, for it can only be a mistake of ours.
func Unbalanced(voucher *ledger.Voucher) error {
	return fmt.Errorf("the voucher of claim %s does not sum to zero", voucher.ClaimID)
}

// Where names a posting in such a message: the line of the claim that it is from, or what it is.
func Where(posting *ledger.Posting) string {
	if posting.LineNumber == 0 {
		return "the " + string(posting.Kind) + " posting"
	}
	return "line " + strconv.Itoa(posting.LineNumber)
}
