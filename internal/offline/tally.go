package offline

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/ledger"
)

// HeldFor is a reason for which claims are held.
type HeldFor struct {
	Reason ledger.HoldReason
	// Claims counts them, and First are the first few.
	Claims int64
	First  []ledger.Hold
}

// mostExamples is how many claims of a reason are named.
const mostExamples = 5

// tally counts held claims by their reasons. It implements pipeline.Witness, and passes everything on.
type tally struct {
	next pipeline.Witness // nil where nobody asks
	held []HeldFor
}

// Voucher implements pipeline.Witness.
func (t *tally) Voucher(voucher *ledger.Voucher) {
	if t.next != nil {
		t.next.Voucher(voucher)
	}
}

// Held implements pipeline.Witness.
func (t *tally) Held(hold *ledger.Hold) {
	if t.next != nil {
		t.next.Held(hold)
	}
	at := slices.IndexFunc(t.held, func(of HeldFor) bool { return of.Reason == hold.Reason })
	if at < 0 {
		at, t.held = len(t.held), append(t.held, HeldFor{Reason: hold.Reason})
	}
	of := &t.held[at]
	of.Claims++
	if len(of.First) < mostExamples {
		of.First = append(of.First, ledger.Hold{ClaimID: strings.Clone(hold.ClaimID), Reason: hold.Reason, Message: strings.Clone(hold.Message)})
	}
}

// reasons returns what was counted.
func (t *tally) reasons() []HeldFor {
	slices.SortStableFunc(t.held, func(a, b HeldFor) int { return cmp.Compare(b.Claims, a.Claims) })
	return t.held
}
