package pipeline_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	bc "github.com/ledgerport/ledgerport/test/businesscentral"
)

// attachedClaims have nine lines each, and a receipt of each line.
const attachedClaims = 3

// newAttaching is an office that attaches receipts to vouchers.
func newAttaching(t *testing.T, settings bc.Settings, options map[string]any, policy v1alpha1.ReceiptPolicy) *office {
	t.Helper()
	all := map[string]any{"attachments": true}
	maps.Copy(all, options)
	o := newOffice(t, settings, all)
	o.claims(attachedClaims)
	o.listReceipts(policy)
	o.must(askForReceipts(t.Context(), o.objects, policy))
	return o
}

// wanted are the attachments of vouchers, as the list and the store have them.
func (o *office) wanted() map[string][]bc.Attached {
	o.Helper()
	rows, _ := o.list()
	want := map[string][]bc.Attached{}
	for _, row := range rows {
		if row[0] == "" {
			continue
		}
		key := row[2] + "/" + row[3]
		if row[3] == "0" {
			key = "whole"
		}
		content, err := os.ReadFile(o.store(key))
		o.must(err)
		voucher := strings.ReplaceAll(row[1], "-", "/")
		want[voucher] = append(want[voucher], bc.Attached{Name: row[0], Content: string(content)})
	}
	for voucher := range want {
		slices.SortFunc(want[voucher], func(a, b bc.Attached) int { return cmp.Compare(a.Name, b.Name) })
	}
	return want
}

// hasAttached insists that the system has each receipt that is listed once, with its voucher, and no other.
func (o *office) hasAttached(receipts int) {
	o.Helper()
	want, count := o.wanted(), 0
	for _, files := range want {
		count += len(files)
	}
	if got := o.server.Attachments(); count != receipts || !reflect.DeepEqual(got, want) {
		o.Errorf("attached are %v, want these %d: %v", got, receipts, want)
	}
	if n := o.server.Unlinked(); n > 0 {
		o.Errorf("%d attachments belong to nothing", n)
	}
}

func TestReceiptsAreAttachedToTheVouchersThatTheSystemAccepted(t *testing.T) {
	t.Parallel()
	for _, post := range []bool{false, true} {
		t.Run(fmt.Sprintf("post %t", post), func(t *testing.T) {
			t.Parallel()
			o := newAttaching(t, withoutHotels, map[string]any{"post": post}, v1alpha1.IncludeReceipts)
			o.hotel(2)
			missing := o.text(`SELECT id || '/4' FROM claims ORDER BY approved_at, id LIMIT 1`)
			o.must(os.Remove(o.store(missing)))
			outcome, err, _ := o.attempt(run(1))
			if err != nil || outcome.Result.Claims != 2 || outcome.Result.Receipts != 18 || outcome.Result.ReceiptsMissing != 1 {
				t.Fatalf("the run ended with %+v (%v)", outcome, err)
			}
			o.hasAttached(18)
			rows, manifest := o.list()
			if len(rows) != 19 || manifest.Receipts.Delivered != 18 || manifest.Receipts.Missing != 1 || len(o.files()) != 3 {
				t.Errorf("%d receipts are listed, the manifest says %+v, and there are %d files", len(rows), manifest.Receipts, len(o.files()))
			}
			if first := rows[0]; first[0] != "E-2026-1-1.png" || first[1] != "E-2026-1" {
				t.Errorf("the first receipt is %q", first)
			}
			if got, want := len(o.server.Waiting()) == 0, post; got != want {
				t.Errorf("posted: %t", got)
			}
			removal := run(1)
			removal.RemoveArtifact = true
			if _, err, _ := o.attempt(removal); err != nil || len(o.files()) != 0 || len(o.server.Attachments()) != 2 {
				t.Errorf("after the removal of the artifact (%v) there are %d files, and attachments of %d vouchers", err, len(o.files()), len(o.server.Attachments()))
			}
		})
	}
}

const allAttached = 9*attachedClaims + 1

func TestARunThatAttachesAndDiesAnywhereIsResumedAndTheSystemHasEachReceiptOnce(t *testing.T) {
	t.Parallel()
	points := []failpoint.Point{
		failpoint.CopyReceipts.Before(), failpoint.CopyReceipts.After(), failpoint.RecordReceipts.Before(), failpoint.RecordReceipts.After(),
		failpoint.Answer.After(), failpoint.Finish.Before(), failpoint.Finish.After(), failpoint.Settle.Before(), failpoint.Settle.After(), failpoint.Put.After(),
	}
	for _, point := range points {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			o := newAttaching(t, bc.Settings{}, map[string]any{"post": true}, v1alpha1.RequireReceipts)
			o.crash(run(1), point)
			outcome, err, _ := o.attempt(run(1))
			if err != nil || outcome.Result.Claims != attachedClaims || outcome.Result.Receipts != allAttached {
				t.Fatalf("the resumed run ended with %+v (%v)", outcome, err)
			}
			o.hasAttached(allAttached)
		})
	}
}

func TestARunKilledAtAnyRequestAttachesEachReceiptOnce(t *testing.T) {
	t.Parallel()
	undisturbed := newAttaching(t, bc.Settings{}, map[string]any{"post": true}, v1alpha1.IncludeReceipts)
	_, err, _ := undisturbed.attempt(run(1))
	undisturbed.must(err)
	requests := undisturbed.server.Requests()
	for at := 4; at <= requests; at += 7 {
		for _, how := range []manner{before, after} {
			t.Run(fmt.Sprintf("request %d, %d", at, how), func(t *testing.T) {
				t.Parallel()
				o := newAttaching(t, bc.Settings{}, map[string]any{"post": true}, v1alpha1.IncludeReceipts)
				o.kill(run(1), at, how)
				outcome, err, _ := o.attempt(run(1))
				if err != nil || outcome.Result.Receipts != allAttached {
					t.Fatalf("the resumed run ended with %+v (%v)", outcome, err)
				}
				o.hasAttached(allAttached)
			})
		}
	}
}

func TestAnUnsteadySystemHasEachReceiptOnce(t *testing.T) {
	t.Parallel()
	faults := []bc.Fault{bc.Throttle, bc.CutBefore, bc.CutAfter, bc.FailAfter, bc.ExpireToken}
	o := newAttaching(t, bc.Settings{Faults: func(request int, path string) bc.Fault {
		if strings.Contains(path, "attachments") && request%7 == 0 {
			return faults[request/7%len(faults)]
		}
		return bc.None
	}}, nil, v1alpha1.IncludeReceipts)
	outcome, err, _ := o.attempt(run(1))
	if err != nil || outcome.Result.Receipts != allAttached {
		t.Fatalf("the run ended with %+v (%v)", outcome, err)
	}
	o.hasAttached(allAttached)
}

// TestAJournalThatSomebodyPostsMeanwhileGetsItsReceipts posts it before an attachment is made, when its line has been found.
func TestAJournalThatSomebodyPostsMeanwhileGetsItsReceipts(t *testing.T) {
	t.Parallel()
	for _, nth := range []int{1, 5, allAttached} {
		t.Run(fmt.Sprintf("before attachment %d", nth), func(t *testing.T) {
			t.Parallel()
			o := newAttaching(t, bc.Settings{}, nil, v1alpha1.IncludeReceipts)
			made := 0
			o.line = func(next http.RoundTripper) http.RoundTripper {
				return roundTripper(func(request *http.Request) (*http.Response, error) {
					if request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/attachments") {
						made++
						if made == nth {
							o.server.PostAll()
						}
					}
					return next.RoundTrip(request)
				})
			}
			outcome, err, _ := o.attempt(run(1))
			if err != nil || outcome.Result.Receipts != allAttached || len(o.server.Posted()) == 0 {
				t.Fatalf("the run ended with %+v (%v)", outcome, err)
			}
			o.hasAttached(allAttached)
		})
	}
}

func TestAReceiptThatTheSystemRefusesIsNamedAndTheRunCanBeEnded(t *testing.T) {
	t.Parallel()
	o := newAttaching(t, bc.Settings{NoAttachments: true}, map[string]any{"post": true}, v1alpha1.IncludeReceipts)
	claim := o.text(`SELECT id::text FROM claims ORDER BY approved_at, id LIMIT 1`)
	_, err, _ := o.attempt(run(1))
	failed := failure.From(err)
	if failed.Reason != v1alpha1.ReasonSystemRefused || !strings.Contains(failed.Message, "receipt E-2026-1-1.png of voucher E/2026/1 of claim "+claim) ||
		!strings.Contains(failed.Message, "Incoming Document Setup does not exist.") || len(o.server.Posted()) != 0 {
		t.Fatalf("the attempt ended with %v, %d entries posted", err, len(o.server.Posted()))
	}
	outcome, err, _ := o.attempt(released(run(1)))
	if err != nil || !outcome.Committed || outcome.Result.Claims != attachedClaims || outcome.Result.Receipts != 0 || outcome.Result.ReceiptsMissing != allAttached {
		t.Fatalf("the release ended with %+v (%v)", outcome, err)
	}
	rows, manifest := o.list()
	if len(rows) != allAttached || rows[3][7] != "not attached" || manifest.Submission.Unfinished != "Cancelled" {
		t.Errorf("%d receipts are listed, one of them %q, and the submission is %+v", len(rows), rows[3], manifest.Submission)
	}
}

func TestARequiredReceiptHoldsItsClaimOrWaits(t *testing.T) {
	t.Parallel()
	o := newAttaching(t, bc.Settings{}, nil, v1alpha1.RequireReceipts)
	held := o.text(`SELECT id || '/4' FROM claims ORDER BY approved_at, id LIMIT 1`)
	late := o.text(`SELECT id || '/4' FROM claims ORDER BY approved_at DESC, id LIMIT 1`)
	o.must(os.Remove(o.store(held)))
	o.books.Failpoints = func(point failpoint.Point) {
		if point == failpoint.Record.After() {
			o.must(os.Remove(o.store(late)))
		}
	}
	_, err, _ := o.attempt(run(1))
	if failed := failure.From(err); failed.Reason != v1alpha1.ReasonReceiptMissing || o.state(run(1).RunID) != "rendered" {
		t.Fatalf("the attempt ended with %v", err)
	}
	o.receipt(late, "it is back")
	outcome, err, _ := o.attempt(run(1))
	if err != nil || outcome.Result.Claims != attachedClaims-1 || outcome.Result.Held != 1 || outcome.Result.Receipts != 18 {
		t.Fatalf("the resumed run ended with %+v (%v)", outcome, err)
	}
	o.hasAttached(18)
}

func TestARedeliveryOfARunThatAttachedListsItsReceiptsAgain(t *testing.T) {
	t.Parallel()
	o := newAttaching(t, bc.Settings{}, nil, v1alpha1.IncludeReceipts)
	_, err, _ := o.attempt(run(1))
	o.must(err)
	files, requests := o.files(), o.server.Requests()
	again := run(2)
	again.Type, again.Name, again.Redelivers = v1alpha1.RunRedeliver, "again", "monthly-1"
	again.Destination = redelivery(1).Destination
	outcome, err, _ := o.attempt(again)
	if err != nil || outcome.Result.Receipts != allAttached || o.server.Requests() != requests || len(o.files()) != 2*len(files) {
		t.Fatalf("it ended with %+v (%v), after %d requests, and %d files", outcome, err, o.server.Requests()-requests, len(o.files()))
	}
	o.twice(files, "acme/elsewhere/acme/monthly/again/")
}
