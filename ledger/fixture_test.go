package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// books is a chart with every kind of rule.
func books() *v1alpha1.ChartOfAccountsSpec {
	return &v1alpha1.ChartOfAccountsSpec{
		Currency: "NOK",
		Accounts: []v1alpha1.Account{
			{Number: "7140", Name: "Travel"}, {Number: "7160", Name: "Meals"}, {Number: "6800", Name: "Office"}, {Number: "7770", Name: "Rounding"},
			{Number: "2710", Name: "Input VAT"}, {Number: "2910", Name: "Owed to employees"}, {Number: "0999", Name: "Suspense"},
		},
		TaxCodes: []v1alpha1.TaxCode{{Code: "1", Rate: "25", Account: "2710"}, {Code: "11", Rate: "15", Account: "2710"}, {Code: "0", Rate: "0"}},
		Rules: []v1alpha1.MappingRule{
			{Match: v1alpha1.RuleMatch{Categories: []string{"travel"}, Expression: "line.dimensions['project'] == 'P1'"}, Account: "6800"},
			{
				Match: v1alpha1.RuleMatch{Categories: []string{"travel", "hotel"}}, Account: "7140", TaxCode: "1",
				Dimensions: map[string]string{"project": "line.dimensions['project']", "costCenter": "line.dimensions['cost_center']"},
			},
			{Match: v1alpha1.RuleMatch{Categories: []string{"meals"}}, Account: "7160"},
			{Match: v1alpha1.RuleMatch{Expression: "line.category.startsWith('office/') && line.gross_minor < 100000"}, Account: "6800"},
		},
		Offset:   v1alpha1.OffsetPosting{Account: "2910", Subledger: v1alpha1.SubledgerClaimant},
		Rounding: &v1alpha1.RoundingPosting{Account: "7770", Limit: "1.00"},
		Unmapped: v1alpha1.UnmappedHold,
	}
}

// expense is a claim of one line that maps; tests change what they are about.
func expense() *ledger.Claim {
	return &ledger.Claim{
		ID: "c-1", ClaimantID: "17", ClaimantName: "Kari Nordmann", ClaimantIBAN: "NO9386011117947", Currency: "NOK",
		ClaimantBIC: "DNBANOKK", ClaimantAddress: ledger.Address{Street: "Storgata", Building: "7", PostCode: "0155", Town: "Oslo", Country: "NO"},
		ApprovedAt: time.Date(2026, 10, 31, 23, 30, 0, 0, time.UTC), ApprovedBy: "3", Description: "Visit to a customer",
		Lines: []ledger.Line{{Number: 1, ExpenseDate: day("2026-10-12"), Category: "meals", Description: "Lunch", Gross: "125.00", Tax: "0.00"}},
	}
}

// abroad is a claim in a foreign currency, one line for each base gross amount.
func abroad(baseGross ...string) *ledger.Claim {
	claim := expense()
	claim.Currency, claim.Lines = "EUR", nil
	for i, base := range baseGross {
		claim.Lines = append(claim.Lines, ledger.Line{Number: i + 1, ExpenseDate: day("2026-10-12"), Category: "meals", Gross: "10.00", BaseGross: base})
	}
	return claim
}

func day(text string) time.Time {
	date, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return date
}

func mapper(t interface {
	Helper()
	Fatal(args ...any)
}, chart *v1alpha1.ChartOfAccountsSpec, policy ledger.VoucherPolicy) *ledger.Mapper {
	t.Helper()
	m, err := ledger.NewMapper(chart, policy)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// mapInto maps a claim that becomes one voucher.
func mapInto(ctx context.Context, m *ledger.Mapper, claim *ledger.Claim, voucher *ledger.Voucher) error {
	vouchers, err := m.Map(ctx, claim)
	if err != nil {
		return err
	}
	if len(vouchers) != 1 {
		return fmt.Errorf("%d vouchers", len(vouchers))
	}
	*voucher = vouchers[0]
	return nil
}

// voucherOf maps a claim that must map.
func voucherOf(t testing.TB, chart *v1alpha1.ChartOfAccountsSpec, policy ledger.VoucherPolicy, claim *ledger.Claim) *ledger.Voucher {
	t.Helper()
	var voucher ledger.Voucher
	if err := mapInto(t.Context(), mapper(t, chart, policy), claim, &voucher); err != nil {
		t.Fatal(err)
	}
	if !voucher.Balanced() {
		t.Fatalf("the voucher does not balance: %+v", voucher.Postings)
	}
	return &voucher
}

// wantHold insists that a claim is held for a reason, with a message that has the words and nothing private.
func wantHold(t *testing.T, chart *v1alpha1.ChartOfAccountsSpec, claim *ledger.Claim, reason ledger.HoldReason, words string) {
	t.Helper()
	var hold *ledger.Hold
	err := mapInto(t.Context(), mapper(t, chart, ledger.VoucherPolicy{}), claim, &ledger.Voucher{})
	if !errors.As(err, &hold) {
		t.Fatalf("got %v, want a hold for %s", err, reason)
	}
	if hold.ClaimID != claim.ID || hold.Reason != reason || !strings.Contains(hold.Message, words) {
		t.Errorf("got %q, want %s with %q", hold, reason, words)
	}
	for _, private := range []string{claim.ClaimantName, claim.ClaimantIBAN, claim.Description} {
		if private != "" && strings.Contains(hold.Message, private) {
			t.Errorf("the message %q quotes the claim", hold.Message)
		}
	}
	if len(hold.Message) > 500 {
		t.Errorf("the message has %d bytes", len(hold.Message))
	}
}
