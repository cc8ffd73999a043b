package conformance

import (
	"fmt"
	"maps"
	"testing"

	"github.com/ledgerport/ledgerport/ledger"
)

// Reader reads the files of an artifact as the accounting system would, strictly, and returns the vouchers in them. An
// artifact of no vouchers has none.
type Reader func(files []File) ([]Found, error)

// Found is what a reader finds of one voucher. A format that has amounts in both currencies may be read in either, but the
// same for all vouchers.
type Found struct {
	// Currency of the amounts: the books' (Voucher.BaseCurrency), or the claim's (Voucher.Currency).
	Currency string
	// Amounts of all lines of the voucher: positive is debit. They must sum to zero. None where the format has only what is
	// owed, such as a payment.
	Amounts []ledger.Amount
	// Owed to the claimant: the credit on the offset account; negative where the claimant owes.
	Owed ledger.Amount
}

// testTotals reads an artifact back.
func (s *suite) testTotals(t *testing.T, artifact Artifact) {
	t.Helper()
	if err := s.checkTotals(artifact); err != nil {
		t.Error(err)
	}
}

// checkTotals reads an artifact back, where there is a reader.
func (s *suite) checkTotals(artifact Artifact) error {
	if s.read == nil {
		return nil
	}
	found, err := s.read(artifact.Files)
	if err != nil {
		return fmt.Errorf("a strict reader refuses the artifact: %w", err)
	}
	got := owed{}
	for i, voucher := range found {
		var sum ledger.Amount
		for _, amount := range voucher.Amounts {
			sum += amount
		}
		if sum != 0 {
			return fmt.Errorf("voucher %d of the artifact does not balance: its amounts sum to %d minor units", i+1, sum)
		}
		got.add(voucher.Currency, voucher.Owed)
	}
	inBase, inOwn := owed{}, owed{}
	for _, voucher := range artifact.Written {
		for i := range voucher.Postings {
			if posting := &voucher.Postings[i]; posting.Kind == ledger.OffsetPosting {
				inBase.add(voucher.BaseCurrency.Code(), -posting.BaseAmount)
				inOwn.add(voucher.Currency.Code(), -posting.Amount)
			}
		}
	}
	if !maps.Equal(got, inBase) && !maps.Equal(got, inOwn) {
		return fmt.Errorf("owed by the artifact: %v; by the batch: %v, or in the claims' currencies %v", got, inBase, inOwn)
	}
	return nil
}

// owed are sums, and how many amounts that are not zero they have, by currency.
type owed map[string]struct {
	Amounts int
	Sum     ledger.Amount
}

func (o owed) add(currency string, amount ledger.Amount) {
	if amount == 0 {
		return
	}
	total := o[currency]
	total.Amounts++
	total.Sum += amount
	o[currency] = total
}
