package offline_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/offline"
	"github.com/ledgerport/ledgerport/ledger"
)

// TestTheSamplesPostAsTheLawOfTheirCountrySays maps receipts by the charts that people copy.
func TestTheSamplesPostAsTheLawOfTheirCountrySays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, sample, category, gross, tax, code, want string }{
		// merverdiavgiftsloven § 8-3 (1): no input VAT of meals and representation.
		{"a dinner with a customer in Norway has no deduction", "50_fjelltopp_gbat10", "meals", "125.00", "25.00", "25", "7350 125.00"},
		{"nor has one that is posted to Xledger", "60_havbris_xledger", "meals", "125.00", "25.00", "25", "7350 125.00"},
		{"nor one in an audit file", "90_kystlinje_saft", "meals", "125.00", "25.00", "25", "7350 125.00"},
		{"nor one that is sent to Business Central", "95_fjord_businesscentral", "meals", "125.00", "25.00", "25", "7350 125.00"},
		// §§ 5-5 and 8-1: 12 % of a night.
		{"a night in Norway has input VAT of 12 %", "50_fjelltopp_gbat10", "hotel", "112.00", "12.00", "12", "7145 100.00, 2710 12.00"},
		// naeringsspesifikasjon.csv of the tax authority: 7155 has allowances that are reported, 7165 what is not.
		{"mileage has an account of its own, which is grouped as 7155", "90_kystlinje_saft", "mileage", "100.00", "0", "", "7100 100.00"},
		// § 12 UStG: a taxi has 7 or 19 %, and the receipt says which.
		{"a taxi in Germany of 19 % is not taxed as one of 7 %", "40_elbtal_datev", "travel", "119.00", "19.00", "19", "4660 100.00, 1576 19.00"},
		{"nor one of 7 % as one of 19 %", "40_elbtal_datev", "travel", "107.00", "7.00", "7", "4660 100.00, 1571 7.00"},
		// § 4 (5) No. 2 EStG: 70 % is expense. § 15 (1a) UStG: input VAT of entertainment is deducted in full.
		{"a dinner with a customer in Germany has all of its input VAT", "40_elbtal_datev", "meals", "119.00", "19.00", "19", "4650 70.00, 1576 13.30, 4654 30.00, 1576 5.70"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chart := chartOf(t, test.sample)
			mapper, err := ledger.NewMapper(&chart.Spec, ledger.VoucherPolicy{Series: "E"})
			must(t, err)
			claim := &ledger.Claim{ID: "1", ClaimantID: "1044", Currency: chart.Spec.Currency, ApprovedAt: approved, Lines: []ledger.Line{
				{Number: 1, ExpenseDate: approved, Category: test.category, Gross: test.gross, Tax: test.tax, TaxCode: test.code},
			}}
			vouchers, err := mapper.Map(t.Context(), claim)
			must(t, err)
			voucher := &vouchers[0]
			var got []string
			for _, posting := range voucher.Postings[:len(voucher.Postings)-1] {
				got = append(got, fmt.Sprint(posting.Account, " ", posting.BaseAmount.Decimal(voucher.BaseCurrency)))
			}
			if strings.Join(got, ", ") != test.want {
				t.Errorf("it is posted on %s, want %s", strings.Join(got, ", "), test.want)
			}
		})
	}
}

func chartOf(t *testing.T, sample string) (chart v1alpha1.ChartOfAccounts) {
	t.Helper()
	directory := filepath.Join("..", "..", "config", "samples")
	valid, err := offline.Validate(t.Context(), builtin.Registry(), destinationtypes.Registry(destinationtypes.Settings{}), []string{filepath.Join(directory, sample+".yaml"), filepath.Join(directory, "10_claims.yaml")}, nil, false)
	must(t, err)
	if len(valid.Findings) > 0 {
		t.Fatalf("the sample is refused: %v", valid.Findings)
	}
	reference := valid.Exports[0]
	must(t, valid.Objects.Get(t.Context(), types.NamespacedName{Namespace: reference.Namespace, Name: reference.Spec.ChartOfAccountsRef.Name}, &chart))
	return chart
}
