package exporters_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestAVoucherOfWhichMoreIsMadeThanMayBeIsHeld(t *testing.T) {
	t.Parallel()
	voucher := &ledger.Voucher{ClaimID: "c"}
	if err := exporters.CheckRendered(t.Context(), voucher, exporters.MaxRendered); err != nil {
		t.Errorf("at the bound: %v", err)
	}
	var hold *ledger.Hold
	if err := exporters.CheckRendered(t.Context(), voucher, exporters.MaxRendered+1); !errors.As(err, &hold) || hold.Reason != ledger.HoldUnsupportedByFormat {
		t.Errorf("beyond the bound: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := exporters.CheckRendered(ended, voucher, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestKeptForgetsWhatAHeldVoucherAdded(t *testing.T) {
	t.Parallel()
	var kept exporters.Kept[string, int]
	kept.Add("a", 1, 1)
	kept.Settle(true)
	kept.Add("b", 2, exporters.MaxKept/2)
	kept.Settle(false)
	if !kept.Has("a") || kept.Has("b") {
		t.Error("it has not what the written voucher added, or what the held one did")
	}
	if !kept.Add("c", 3, exporters.MaxKept/2) {
		t.Error("what was forgotten takes room")
	}
	if kept.Add("d", 4, exporters.MaxKept/2) {
		t.Error("there is room for more than may be")
	}
	var found []string
	for key := range kept.Sorted(strings.Compare) {
		found = append(found, key)
	}
	if !slices.Equal(found, []string{"a", "c"}) {
		t.Errorf("it has %v", found)
	}
}
