package exporters_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

var mayYear = ledger.FiscalYearStart{Month: time.May, Day: 1}

func newYears() *exporters.Years[string] {
	// The fiscal year that began in May 2026.
	return exporters.NewYears[string](&exporters.Batch{Cutoff: time.Date(2027, 1, 31, 23, 0, 0, 0, time.UTC)}, mayYear)
}

func TestAVoucherFarFromTheYearOfTheRunIsHeld(t *testing.T) {
	t.Parallel()
	years := newYears()
	for year, want := range map[int]bool{2016: true, 2017: false, 2026: false, 2027: false, 2028: true} {
		var hold *ledger.Hold
		err := years.Check(&ledger.Voucher{ClaimID: "a", FiscalYear: year, PostingDate: time.Date(year, 12, 1, 0, 0, 0, 0, time.UTC)})
		if held := errors.As(err, &hold); held != want || held && (hold.ClaimID != "a" || hold.Reason != ledger.HoldUnsupportedByFormat) {
			t.Errorf("%d: %v", year, err)
		}
	}
}

func TestTheFirstFileHasThePlainNameAndOthersTheirYear(t *testing.T) {
	t.Parallel()
	years := newYears()
	var opened []string
	for _, want := range []struct {
		year, part int
		name       string
	}{{2026, 1, "gl.v2.csv"}, {2025, 1, "gl.v2-2025.csv"}, {2026, 2, "gl.v2-2026-2.csv"}, {2025, 2, "gl.v2-2025-2.csv"}, {2026, 3, "gl.v2-2026-3.csv"}} {
		if name := years.FileName("gl.v2.csv", want.year, want.part); name != want.name {
			t.Errorf("part %d of %d is %s, want %s", want.part, want.year, name, want.name)
		}
		if _, err := years.Get(want.year, func() (string, error) { opened = append(opened, want.name); return want.name, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"gl.v2.csv", "gl.v2-2025.csv"}; !slices.Equal(opened, want) || !slices.Equal(years.Opened(), want) {
		t.Errorf("opened were %q, and are said to be %q, want %q", opened, years.Opened(), want)
	}
	if _, err := years.Get(2024, func() (string, error) { return "", errors.New("no room") }); err == nil || len(years.Opened()) != 2 {
		t.Errorf("what could not be opened counts: %v, %q", err, years.Opened())
	}
}
