package texts_test

import (
	"testing"

	"github.com/ledgerport/ledgerport/texts"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 claims are held", 1: "1 claim is held", 2: "2 claims are held", -1: "-1 claims are held"} {
		if got := texts.Count(n, "claim is held", "claims are held"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
