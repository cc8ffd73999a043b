package ledger_test

import (
	"errors"
	"math"
	"testing"

	"github.com/ledgerport/ledgerport/ledger"
)

func TestTotalsCountByCurrencyInAnyOrder(t *testing.T) {
	t.Parallel()
	var a, b ledger.Totals
	for _, err := range []error{
		a.Add("SEK", 3, 100), a.Add("EUR", 1, -50), a.Add("SEK", 2, 11),
		b.Add("SEK", 2, 11), b.Add("SEK", 3, 100), b.Add("EUR", 1, -50),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !a.Equal(b) || a.Claims != 3 || a.Lines != 6 || len(a.Currencies) != 2 || a.Currencies[0].Currency != "EUR" || a.Currencies[1].Gross != 111 {
		t.Errorf("got %+v and %+v", a, b)
	}
	if err := b.Add("EUR", 0, 1); err != nil || a.Equal(b) {
		t.Errorf("one minor unit makes no difference (%v)", err)
	}
}

func TestATotalThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	var totals ledger.Totals
	if err := errors.Join(totals.Add("EUR", 1, math.MaxInt64), totals.Add("EUR", 1, 1)); !errors.Is(err, ledger.ErrTotalTooLarge) {
		t.Errorf("got %v, want ErrTotalTooLarge", err)
	}
	if _, err := ledger.AddAmounts(math.MinInt64, -1); !errors.Is(err, ledger.ErrTotalTooLarge) {
		t.Errorf("got %v, want ErrTotalTooLarge", err)
	}
}

func TestAVoucherIsKnownBySeriesYearAndNumber(t *testing.T) {
	t.Parallel()
	if got := (&ledger.Voucher{Series: "E", FiscalYear: 2026, Number: 17}).ID(); got != "E/2026/17" {
		t.Errorf("got %s", got)
	}
}
