package pipeline_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// claimsOf are the claims of the run of task at places of it.
func (s *stage) claimsOf(places string) []string {
	s.Helper()
	return strings.Split(s.text(`select string_agg(claim_id, ',' order by position) from ledgerport.vouchers where run = 'monthly-1' and position in (`+places+`)`), ",")
}

// partly is an attempt of the nth run to reverse claims of the run of task.
func partly(n int, ids ...string) pipeline.Task {
	t := reversal(1)
	t.RunID, t.Name, t.Claims = fmt.Sprintf("33333333-0000-4000-8000-0000000000%02d", n), fmt.Sprintf("back-%d", n), ids
	return t
}

func TestAReversalOfNamedClaimsReversesThemAloneAndALaterOneTheRest(t *testing.T) {
	t.Parallel()
	s := newExportedStage(t)
	named := s.claimsOf("2, 3, 17")
	some, err := s.attempt(partly(1, named...), nil)
	s.must(err)
	if some.Result.Claims != 3 || some.Result.Lines == 0 || some.FirstVoucher != "E/2026/21" || some.LastVoucher != "E/2026/23" {
		t.Errorf("it ended with %+v", some)
	}
	for place, want := range map[string]string{"2": "back-1", "4": ""} {
		if by := s.text(`select coalesce(reversed_by, '') from ledgerport.vouchers where run = 'monthly-1' and position = ` + place); by != want {
			t.Errorf("voucher %s is reversed by %q, want %q", place, by, want)
		}
	}
	for want, task := range map[v1alpha1.Reason]pipeline.Task{
		v1alpha1.ReasonAlreadyReversed:  partly(2, s.claimsOf("1, 2")...),
		v1alpha1.ReasonClaimNotExported: partly(3, append(s.claimsOf("1"), "nobody's")...),
	} {
		_, err := s.attempt(task, nil)
		if failed := failure.From(err); failed.Reason != want || !failed.Stalled || s.state(task.RunID) != "unknown" {
			t.Errorf("%v, and the run is %s; want %s", err, s.state(task.RunID), want)
		}
	}
	again, err := s.attempt(run(2), nil)
	s.must(err)
	if again.Result.Claims != 3 || s.text(`select string_agg(claim_id, ',' order by claim_id) from ledgerport.vouchers where run = 'monthly-2'`) !=
		s.text(`select string_agg(claim_id, ',' order by claim_id) from ledgerport.vouchers where run = 'back-1'`) {
		t.Errorf("the next run ended with %+v, want the three claims", again)
	}
	rest, err := s.attempt(partly(4), nil)
	s.must(err)
	if rest.Result.Claims != claimCount-3 || s.text(`select count(*)::text from ledgerport.exported_claims`) != "3" {
		t.Errorf("the reversal of the rest ended with %+v", rest)
	}
	if _, err := s.attempt(partly(5), nil); failure.From(err).Reason != v1alpha1.ReasonAlreadyReversed || !strings.Contains(err.Error(), "back-1, back-4") {
		t.Errorf("another reversal ended with %v", err)
	}
	s.sumToZero("monthly-1", "back-1", "back-4")
}

// sumToZero insists that the manifests of a run and of its reversals come to as much debit as credit, and nothing payable, and to as
// many lines.
func (s *stage) sumToZero(run string, reversals ...string) {
	s.Helper()
	type figures struct {
		Lines int64
		Base  struct{ Debit, Credit, Payable json.Number }
	}
	read := func(run string) (f figures) {
		s.must(json.Unmarshal([]byte(s.files()["acme/books/acme/monthly/"+run+"/manifest.json"].content), &f))
		return f
	}
	whole, sum := read(run), [4]float64{}
	for _, reversal := range reversals {
		of := read(reversal)
		for i, number := range []json.Number{of.Base.Debit, of.Base.Credit, of.Base.Payable, json.Number(fmt.Sprint(of.Lines))} {
			amount, err := number.Float64()
			s.must(err)
			sum[i] += amount
		}
	}
	want := fmt.Sprintf("%s %s -%s %d", whole.Base.Credit, whole.Base.Debit, whole.Base.Payable, whole.Lines)
	if got := fmt.Sprintf("%.2f %.2f %.2f %.0f", sum[0], sum[1], sum[2], sum[3]); got != want {
		s.Errorf("the reversals come to %s, want %s", got, want)
	}
}

func TestAReversalOfNamedClaimsThatDiesIsResumedWithThem(t *testing.T) {
	t.Parallel()
	undisturbed := newExportedStage(t)
	named := undisturbed.claimsOf("2, 3, 17")
	_, err := undisturbed.attempt(partly(1, named...), nil)
	undisturbed.must(err)
	want, wantReversing, wantReserved := undisturbed.files(), undisturbed.reversing(), undisturbed.reserved()
	for _, point := range []failpoint.Point{failpoint.Attempt.After(), failpoint.Render.During(), failpoint.Record.After(), failpoint.Commit.Before(), failpoint.Commit.After()} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newExportedStage(t)
			s.crash(partly(1, named...), point)
			again := partly(1, named...)
			again.Number = 2
			if outcome, err := s.attempt(again, nil); err != nil || !outcome.Committed || outcome.Result.Claims != 3 {
				t.Fatalf("the resumed reversal ended with %+v (%v)", outcome, err)
			}
			if s.reversing() != wantReversing || s.reserved() != wantReserved {
				t.Errorf("vouchers are %s, want %s; exported are %s, want %s", s.reversing(), wantReversing, s.reserved(), wantReserved)
			}
			sameContent(t, s.files(), want)
		})
	}
}
