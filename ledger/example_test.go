package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// A chart turns a claim into a voucher that sums to zero, or holds the claim with the reason.
func ExampleMapper_Map() {
	chart := &v1alpha1.ChartOfAccountsSpec{
		Currency: "EUR",
		Accounts: []v1alpha1.Account{{Number: "4650", Name: "Meals"}, {Number: "1576", Name: "Input tax"}, {Number: "1740", Name: "Owed to employees"}},
		TaxCodes: []v1alpha1.TaxCode{{Code: "19", Rate: "19", Account: "1576"}},
		Rules:    []v1alpha1.MappingRule{{Match: v1alpha1.RuleMatch{Categories: []string{"meals"}}, Account: "4650", TaxCode: "19"}},
		Offset:   v1alpha1.OffsetPosting{Account: "1740"},
		Unmapped: v1alpha1.UnmappedHold,
	}
	mapper, err := ledger.NewMapper(chart, ledger.VoucherPolicy{Series: "E"})
	if err != nil {
		fmt.Println(err)
		return
	}
	claim := &ledger.Claim{
		ID: "c-1", ClaimantID: "17", Currency: "EUR", Description: "Visit to a customer",
		ApprovedAt: time.Date(2026, 10, 31, 12, 0, 0, 0, time.UTC),
		Lines: []ledger.Line{{Number: 1, ExpenseDate: time.Date(2026, 10, 12, 0, 0, 0, 0, time.UTC), Category: "meals", Description: "Lunch",
			Gross: "119.00", Tax: "19.00"}},
	}
	vouchers, err := mapper.Map(context.Background(), claim)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, posting := range vouchers[0].Postings {
		fmt.Println(posting.Account, posting.Amount.Decimal(vouchers[0].Currency), posting.Text)
	}

	claim.Lines[0].Category = "gifts"
	_, err = mapper.Map(context.Background(), claim)
	var hold *ledger.Hold
	if errors.As(err, &hold) {
		fmt.Println(hold.Reason)
	}
	// Output:
	// 4650 100.00 Lunch
	// 1576 19.00 Lunch
	// 1740 -119.00 Visit to a customer
	// Unmapped
}
