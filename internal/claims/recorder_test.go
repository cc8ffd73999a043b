package claims

import (
	"errors"
	"testing"

	"github.com/ledgerport/ledgerport/internal/panics"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestFaultInTheRecorderEndsItsRunAlone(t *testing.T) {
	t.Parallel()
	r := newRecorder(t.Context(), nil, Run{}, "exported_claims", 1) // without a connection it panics as soon as it writes
	if err := r.hold(t.Context(), "c1", &ledger.Hold{Reason: ledger.HoldUnmapped}); err != nil {
		t.Fatal(err)
	}
	var fault *panics.Error
	if err := r.finish(); !errors.As(err, &fault) {
		t.Errorf("%v, want the panic", err)
	}
}
