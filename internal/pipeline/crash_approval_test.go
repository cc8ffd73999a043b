package pipeline_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// awaiting is an attempt of a run that needs an approval, and has the one that is given.
func awaiting(t pipeline.Task, approved string) pipeline.Task {
	t.Awaited, t.Approved = true, approved
	if approved != "" {
		t.RequestedBy, t.ApprovedBy, t.ApprovedAt = "alice", "bob", approvedUntil.Add(time.Hour)
	}
	return t
}

// asks returns what a run waits with, which has delivered nothing.
func (s *stage) asks(task pipeline.Task) (digest string) {
	s.Helper()
	outcome, err := s.attempt(task, nil)
	if err != nil || outcome.Committed || outcome.Awaits == "" || outcome.Result.Claims != claimCount || outcome.Result.Debit == "" || outcome.FileCount != 2 {
		s.Fatalf("a run that is not approved ended with %+v (%v)", outcome, err)
	}
	if files := s.files(); len(files) > 0 {
		s.Fatalf("before it is approved the destination has %d files", len(files))
	}
	if state, by := s.state(task.RunID), s.approval(task.RunID); state != "rendered" || by != "" {
		s.Fatalf("the run that waits is %s, and is recorded as approved by %q", state, by)
	}
	return outcome.Awaits
}

// approval returns who is recorded to have asked for a run and to have approved it.
func (s *stage) approval(run string) string {
	s.Helper()
	return s.text(`select concat_ws(' ', requested_by, approved_by, to_char(approved_at at time zone 'utc', 'YYYY-MM-DD HH24:MI')) from ledgerport.runs where id = $1`, run)
}

// TestNothingIsDeliveredBeforeItIsApprovedWhereverAttemptsDie lets attempts die before and after the approval: each that is not approved waits
// with the same, and what is approved is delivered once, as it was seen.
func TestNothingIsDeliveredBeforeItIsApprovedWhereverAttemptsDie(t *testing.T) {
	t.Parallel()
	want, wantReserved := undisturbed(t)
	points := failpoint.ExportPoints()
	points = slices.Insert(points, slices.Index(points, failpoint.Put.Before()), failpoint.ApprovalPoints()...)
	for _, point := range points {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			number := int32(1)
			waits := slices.Index(points, point) < slices.Index(points, failpoint.RecordApproval.Before())
			if waits { // the attempt dies on its way to waiting
				s.crash(awaiting(task(number), ""), point)
				number++
			}
			digest := s.asks(awaiting(task(number), ""))
			if again := s.asks(awaiting(task(number+1), "of something else")); again != digest {
				t.Errorf("the run waits with %s and then with %s", digest, again)
			}
			number += 2
			if !waits || point == failpoint.Attempt.Before() || point == failpoint.Attempt.After() { // and on its way to the end
				s.crash(awaiting(task(number), digest), point)
				number++
			}
			outcome, err := s.attempt(awaiting(task(number), digest), nil)
			if err != nil || !outcome.Committed || outcome.Awaits != "" {
				t.Fatalf("the approved run ended with %+v (%v)", outcome, err)
			}
			if by := s.approval(task(1).RunID); by != "alice bob 2026-11-01 01:00" {
				t.Errorf("recorded is %q", by)
			}
			sameContent(t, s.files(), want)
			if reserved := s.reserved(); reserved != wantReserved {
				t.Errorf("claims and numbers are %s, want %s", reserved, wantReserved)
			}
		})
	}
}

func TestARunThatWaitsForItsApproval(t *testing.T) {
	t.Parallel()
	t.Run("gives its claims back, and the next run takes them", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		first := s.asks(awaiting(run(1), ""))
		next := run(1)
		next.Number = 2
		if outcome, err := s.attempt(released(next), nil); err != nil || outcome.Committed {
			t.Fatalf("the release ended with %+v (%v)", outcome, err)
		}
		if n := s.voided(); n != "20" {
			t.Errorf("%s numbers are void, want 20", n)
		}
		if second := s.asks(awaiting(run(2), first)); second == first {
			t.Error("the approval of one run counts for another")
		}
	})
	t.Run("needs it for a reversal", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		digest := s.asks(awaiting(run(1), ""))
		approved := awaiting(run(1), digest)
		approved.Number = 2
		if outcome, err := s.attempt(approved, nil); err != nil || !outcome.Committed {
			t.Fatalf("the approved run ended with %+v (%v)", outcome, err)
		}
		delivered := s.files()
		reversal := awaiting(run(2), "")
		reversal.Type, reversal.Reverses = v1alpha1.RunReversal, run(1).Name
		outcome, err := s.attempt(reversal, nil)
		if err != nil || outcome.Awaits == "" || outcome.Committed {
			t.Fatalf("the reversal ended with %+v (%v)", outcome, err)
		}
		sameContent(t, s.files(), delivered)
		reversal.Number, reversal.Approved = 2, outcome.Awaits
		if outcome, err := s.attempt(reversal, nil); err != nil || !outcome.Committed {
			t.Fatalf("the approved reversal ended with %+v (%v)", outcome, err)
		}
	})
	t.Run("is told to another process that learns of its attempt", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		digest := s.asks(awaiting(task(1), ""))
		learned, err := newPipeline(s.database, s.exports, "learning", nil).Learn(t.Context(), awaiting(task(1), ""))
		if err != nil || learned.Awaits != digest || learned.Result.Claims != claimCount {
			t.Errorf("learned %+v (%v)", learned, err)
		}
	})
	t.Run("waits for nothing if there is nothing to export", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		empty := awaiting(task(1), "")
		empty.Cutoff = approvedUntil.AddDate(-1, 0, 0)
		if outcome, err := s.attempt(empty, nil); err != nil || !outcome.Committed || outcome.Result.Claims != 0 {
			t.Errorf("an empty run ended with %+v (%v)", outcome, err)
		}
	})
}
