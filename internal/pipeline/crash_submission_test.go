package pipeline_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
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

// TestARunThatSendsAndWakesUpLateSendsNothing stops an attempt that has recorded what it is about to send until another has
// sent it, had it posted, and committed the run; or has given its claims back to a run that sent them.
func TestARunThatSendsAndWakesUpLateSendsNothing(t *testing.T) {
	t.Parallel()
	for _, release := range []bool{false, true} {
		for _, point := range []failpoint.Point{failpoint.MarkSent.After(), failpoint.Send.Before(), failpoint.Finish.Before()} {
			if release && point == failpoint.Finish.Before() {
				continue // all was accepted, and is exported
			}
			t.Run(fmt.Sprintf("%s, released %t", point, release), func(t *testing.T) {
				t.Parallel()
				o := newOffice(t, bc.Settings{}, map[string]any{"post": true})
				o.claims(sentClaims)
				stopped, woken, late := make(chan struct{}), make(chan struct{}), make(chan error, 1)
				first := *o.books
				once := false
				first.Failpoints = func(reached failpoint.Point) {
					if reached == point && !once {
						once = true
						close(stopped)
						<-woken
					}
				}
				go func() {
					_, err := first.Run(context.Background(), run(1), &pipeline.Progress{})
					late <- err
				}()
				select {
				case <-stopped:
				case err := <-late:
					t.Fatalf("the attempt ended before it came to the point: %v", err)
				}
				other := run(1)
				if release {
					o.sql(func(ctx context.Context, conn *pgx.Conn) error { // as if it were stopped for so long
						_, err := conn.Exec(ctx, `UPDATE ledgerport.submitted_vouchers SET sent_at = sent_at - interval '11 minutes'`)
						return err
					})
					if _, err, _ := o.attempt(released(run(1))); err != nil || o.state(run(1).RunID) != "released" {
						t.Fatalf("the release ended with %v", err)
					}
					other = run(2)
				}
				if outcome, err, _ := o.attempt(other); err != nil || outcome.Result.Claims != sentClaims {
					t.Fatalf("the other attempt ended with %+v (%v)", outcome, err)
				}
				close(woken)
				if err := <-late; failure.From(err).Reason != v1alpha1.ReasonFenced {
					t.Errorf("the attempt that woke up ended with %v", err)
				}
				o.hasOnce(sentClaims)
				if left := o.server.Waiting(); len(left) != 0 {
					t.Errorf("%d lines wait in a journal", len(left))
				}
			})
		}
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
