package samples_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// TestNoSampleDeductsTheTaxOfAnotherCountry has receipts from Switzerland: tax of another country is refunded there, and is never input tax
// at home (mval §§ 1-3, 8-1; § 15 (1) No. 1 UStG).
func TestNoSampleDeductsTheTaxOfAnotherCountry(t *testing.T) {
	t.Parallel()
	for name, chart := range charts(t) {
		for _, category := range []string{"travel", "hotel", "meals", "entertainment", "office", "phone", "software"} {
			voucher := post(t, chart, ledger.Line{Category: category, Gross: "107.00", Tax: "7.00", Country: "CH"})
			for i := range voucher.Postings {
				if kind := voucher.Postings[i].Kind; kind == ledger.TaxPosting || kind == ledger.ReverseChargePosting {
					t.Errorf("%s: of the foreign receipt for %s, %s is on %s", name, category, kind, voucher.Postings[i].Account)
				}
			}
		}
	}
}

// TestServicesFromAbroadHaveACodeByTheirCountry has receipts without tax: the VAT return has a place for the EU, and another for third
// countries (§ 13b (1), (2) No. 1 UStG). Without a country nobody knows.
func TestServicesFromAbroadHaveACodeByTheirCountry(t *testing.T) {
	t.Parallel()
	chart := charts(t)["havelblick"]
	for country, want := range map[string]string{"IE": "13b-eu", "GR": "13b-eu", "US": "13b-third", "GB": "13b-third", "DE": "", "": "held", "ie": "held"} {
		voucher, got := post(t, chart, ledger.Line{Category: "software", Gross: "100.00", Country: country}), "held"
		if len(voucher.Postings) > 0 {
			got = voucher.Postings[0].TaxCode
		}
		if got != want {
			t.Errorf("software from %q has the tax code %q, want %q", country, got, want)
		}
	}
}

// charts are those of the samples, by their names.
func charts(t *testing.T) map[string]*v1alpha1.ChartOfAccounts {
	t.Helper()
	files, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*v1alpha1.ChartOfAccounts{}
	for _, file := range files {
		content, err := os.ReadFile(file) // #nosec G304 -- a sample
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(content, []byte("\n---\n")) {
			chart := &v1alpha1.ChartOfAccounts{}
			if err := yaml.Unmarshal(document, chart); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if chart.Kind == "ChartOfAccounts" {
				found[chart.Name] = chart
			}
		}
	}
	if len(found) < 10 {
		t.Fatalf("the samples have %d charts", len(found))
	}
	return found
}

// post returns the voucher of a line, which has no postings if it is held.
func post(t *testing.T, chart *v1alpha1.ChartOfAccounts, line ledger.Line) *ledger.Voucher {
	t.Helper()
	mapper, err := ledger.NewMapper(&chart.Spec, ledger.VoucherPolicy{Series: "E"})
	if err != nil {
		t.Fatalf("%s: %v", chart.Name, err)
	}
	date := time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC)
	line.Number, line.ExpenseDate = 1, date
	vouchers, err := mapper.Map(t.Context(), &ledger.Claim{
		ID: "c-1", ClaimantID: "1001", Currency: chart.Spec.Currency, ApprovedAt: date, Lines: []ledger.Line{line},
	})
	if hold := (*ledger.Hold)(nil); errors.As(err, &hold) {
		return &ledger.Voucher{}
	} else if err != nil {
		t.Fatal(err)
	}
	return &vouchers[0]
}
