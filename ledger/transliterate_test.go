package ledger_test

import (
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestDescriptionsAreTransliteratedWhereTheChartSaysSo(t *testing.T) {
	t.Parallel()
	for description, want := range map[string]string{
		"Обед": "Obed", "Lunch 🍜 with 東京": "Lunch with Dong Jing", "Middag på Ærø – 5 €": "Middag på Ærø – 5 €", "Καφές": "Kaphes", "Zażółć": "Zażółć", "🍜": "Claim c-1", "a\ufffdb": "ab",
	} {
		chart, claim := books(), expense()
		claim.Description = description
		if v := voucherOf(t, chart, ledger.VoucherPolicy{Series: "E"}, claim); description != "🍜" && v.Text != description {
			t.Errorf("%q becomes %q in a chart that has no such policy", description, v.Text)
		}
		chart.Texts = v1alpha1.TextsTransliterate
		if v := voucherOf(t, chart, ledger.VoucherPolicy{Series: "E"}, claim); v.Text != want {
			t.Errorf("%q becomes %q, want %q", description, v.Text, want)
		}
	}
}

// TestOnlyDescriptionsAreTransliterated: another code is another thing.
func TestOnlyDescriptionsAreTransliterated(t *testing.T) {
	t.Parallel()
	chart, claim := books(), expense()
	chart.Texts = v1alpha1.TextsTransliterate
	claim.ClaimantName, claim.ClaimantID, claim.ID = "Ян", "Я", "ж"
	claim.Lines[0].Description, claim.Lines[0].Unit, claim.Lines[0].ReceiptURI = "Я 🍜", "км", "s3://я"
	v := voucherOf(t, chart, ledger.VoucherPolicy{Series: "E"}, claim)
	if p := v.Postings[0]; v.ClaimantName != "Ян" || v.ClaimantID != "Я" || v.ClaimID != "ж" || p.Unit != "км" || p.ReceiptURI != "s3://я" || p.Text != "Ia" {
		t.Errorf("the voucher is %+v", v)
	}
}
