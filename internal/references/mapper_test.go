package references_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/ledger"
)

// TestAPeriodThatOpensAfterTheCutoffIsRefused: the export is to blame, not its chart.
func TestAPeriodThatOpensAfterTheCutoffIsRefused(t *testing.T) {
	t.Parallel()
	chart := &v1alpha1.ChartOfAccountsSpec{
		Currency: "NOK", Accounts: []v1alpha1.Account{{Number: "2910", Name: "Owed to employees"}}, Offset: v1alpha1.OffsetPosting{Account: "2910"},
	}
	_, err := references.Mapper(chart, ledger.VoucherPolicy{
		Cutoff: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), Posting: v1alpha1.PostingPolicy{OpenFrom: "2027-01-01"},
	})
	if err == nil {
		t.Fatal("the mapper is made")
	}
	failed := failure.From(err)
	if failed.Reason != v1alpha1.ReasonPeriodNotOpen || !failed.Stalled || !strings.Contains(failed.Message, "spec.posting.openFrom") || strings.Contains(failed.Message, "chart") {
		t.Errorf("got %s: %s", failed.Reason, failed.Message)
	}
}
