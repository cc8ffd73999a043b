package share_test

import (
	"testing"

	"github.com/ledgerport/ledgerport/internal/share"
)

// TestGreedyCallersLeaveRoom has callers take all that they may, one after the other, and then give back what they have and take it again.
func TestGreedyCallersLeaveRoom(t *testing.T) {
	t.Parallel()
	const all, callers, each = 2000, 4, 1000
	var own [callers]int64
	var taken int64
	take := func(caller int) {
		for own[caller] < each && share.Fits(all, taken, own[caller], 1) {
			own[caller]++
			taken++
		}
	}
	for caller := range callers {
		take(caller)
	}
	if left := all - taken; left < all/32 {
		t.Errorf("%d of %d are left by %v", left, all, own)
	}
	for range 3 * all { // each place is given back some time, and somebody takes it
		for caller := range callers {
			if own[caller] > 0 {
				own[caller]--
				taken--
			}
		}
		for caller := range callers {
			take((caller + int(taken)) % callers)
		}
	}
	if left := all - taken; left < all/(callers+1)-callers {
		t.Errorf("%d of %d are left by %v in the end", left, all, own)
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		all, taken, own, more int64
		want                  bool
	}{
		"the first one": {4, 0, 0, 1, true},
		"the last one, for somebody who has none":          {4, 3, 0, 1, true},
		"the last one, for somebody who has one":           {4, 3, 1, 1, false},
		"one more of somebody who leaves as many":          {4, 2, 1, 1, true},
		"everything, for somebody beside whom nobody is":   {4, 3, 3, 1, true},
		"more than there is, for somebody alone":           {4, 4, 4, 1, false},
		"more than there is, for somebody who has nothing": {4, 3, 0, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if is := share.Fits(test.all, test.taken, test.own, test.more); is != test.want {
				t.Errorf("it fits: %t, want %t", is, test.want)
			}
		})
	}
}
