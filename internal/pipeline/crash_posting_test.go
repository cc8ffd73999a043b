package pipeline_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/internal/failpoint"
	bc "github.com/ledgerport/ledgerport/test/businesscentral"
)

// Twelve claims are sent in two requests: ten vouchers fit into one.
const (
	sentClaims   = 12
	firstRequest = 10
)

func TestARunThatSendsAndDiesAnywhereIsResumedAndTheSystemHasEachVoucherOnce(t *testing.T) {
	t.Parallel()
	for _, point := range slices.Concat(failpoint.ExportPoints(), failpoint.PostingPoints()) {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, bc.Settings{}, map[string]any{"post": true})
			o.claims(sentClaims)
			o.crash(run(1), point)
			left := o.files()
			outcome, err, _ := o.attempt(run(1))
			if err != nil || !outcome.Committed || outcome.Result.Claims != sentClaims {
				t.Fatalf("the resumed run ended with %+v (%v)", outcome, err)
			}
			o.hasOnce(sentClaims)
			if len(o.server.Waiting()) != 0 || len(o.server.Journals()) != 1 || o.voided() != "0" || len(o.exported(run(1).RunID)) != sentClaims {
				t.Errorf("%d lines are not posted, %d journals, %s numbers voided, exported are %q",
					len(o.server.Waiting()), len(o.server.Journals()), o.voided(), o.exported(run(1).RunID))
			}
			o.untouched(left)
			if _, receipt := o.manifestAndReceipt("monthly-1"); len(receipt) != sentClaims || strings.Count(strings.Join(receipt, ""), `"outcome":"accepted"`) != sentClaims {
				t.Errorf("the receipt is %s", strings.Join(receipt, "\n"))
			}
		})
	}
}

// TestAReleaseOfWhatWasSentThatDiesAnywhereEndsWithWhatTheSystemHas: the first attempt dies when the system has taken the
// first request, and nobody knows.
func TestAReleaseOfWhatWasSentThatDiesAnywhereEndsWithWhatTheSystemHas(t *testing.T) {
	t.Parallel()
	for _, point := range []failpoint.Point{
		failpoint.Attempt.Before(), failpoint.Attempt.After(), failpoint.Answer.Before(), failpoint.Answer.After(),
		failpoint.Settle.Before(), failpoint.Settle.After(), failpoint.Put.Before(), failpoint.Put.During(), failpoint.Put.After(),
		failpoint.MarkDelivered.Before(), failpoint.MarkDelivered.After(), failpoint.Commit.Before(), failpoint.Commit.After(),
	} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, bc.Settings{}, map[string]any{})
			o.claims(sentClaims)
			o.crash(run(1), failpoint.Send.After())
			o.crash(released(run(1)), point)
			outcome, err, _ := o.attempt(released(run(1)))
			if err != nil || !outcome.Committed || outcome.Result.Claims != firstRequest || o.voided() != "2" {
				t.Fatalf("the release ended with %+v (%v), %s numbers are voided", outcome, err, o.voided())
			}
			o.hasOnce(firstRequest)
			if outcome, err, _ := o.attempt(run(2)); err != nil || outcome.Result.Claims != sentClaims-firstRequest {
				t.Errorf("the next run ended with %+v (%v)", outcome, err)
			}
			o.hasOnce(sentClaims)
		})
	}
}

// hasOnce insists that the system has so many vouchers, each once and balanced.
func (o *office) hasOnce(vouchers int) {
	o.Helper()
	documents := o.documents()
	for voucher, found := range documents {
		if found != [2]string{"1", "0.00"} {
			o.Errorf("the system has %s %s times, and its lines come to %s", voucher, found[0], found[1])
		}
	}
	if len(documents) != vouchers {
		o.Errorf("the system has %d vouchers, want %d", len(documents), vouchers)
	}
}
