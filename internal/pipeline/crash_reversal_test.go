package pipeline_test

import (
	"fmt"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// reversal is an attempt to reverse the run of task.
func reversal(number int32) pipeline.Task {
	t := task(number)
	t.RunID, t.Name = "33333333-0000-4000-8000-000000000001", "back"
	t.Type, t.Reverses = v1alpha1.RunReversal, task(1).Name
	return t
}

// newExportedStage has a run that is committed.
func newExportedStage(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	if outcome, err := s.attempt(task(1), nil); err != nil || outcome.Result.Claims != claimCount {
		t.Fatalf("the run ended with %+v (%v)", outcome, err)
	}
	return s
}

func TestAReversalThatDiesAnywhereIsResumedWithTheSameVouchersNumbersAndBytes(t *testing.T) {
	t.Parallel()
	undisturbed := newExportedStage(t)
	if outcome, err := undisturbed.attempt(reversal(1), nil); err != nil || outcome.Result.Claims != claimCount {
		t.Fatalf("the undisturbed reversal ended with %+v (%v)", outcome, err)
	}
	want, wantReversing := undisturbed.files(), undisturbed.reversing()
	for _, point := range failpoint.ExportPoints() {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newExportedStage(t)
			exported := s.reserved()
			s.crash(reversal(1), point)
			left := s.files()
			if s.state(reversal(1).RunID) != "committed" && s.reserved() != exported {
				t.Error("claims of the reversed run were freed before the reversal was committed")
			}
			if outcome, err := s.attempt(reversal(2), nil); err != nil || !outcome.Committed || outcome.Result.Claims != claimCount {
				t.Fatalf("the resumed reversal ended with %+v (%v)", outcome, err)
			}
			if s.reversing() != wantReversing || s.reserved() != "" {
				t.Errorf("vouchers are %s, want %s; claims %q are not free", s.reversing(), wantReversing, s.reserved())
			}
			sameContent(t, s.files(), want)
			s.untouched(left)
			if n := s.voided(); n != "0" {
				t.Errorf("%s numbers were voided", n)
			}
			if outcome, err := s.attempt(run(2), nil); err != nil || outcome.Result.Claims != claimCount || outcome.FirstVoucher != fmt.Sprintf("E/2026/%d", 2*claimCount+1) {
				t.Errorf("the next run ended with %+v (%v)", outcome, err)
			}
		})
	}
}

func TestAReleaseOfAReversalThatDiesAnywhereLeavesTheReversedRunAsItWas(t *testing.T) {
	t.Parallel()
	for _, point := range failpoint.ReleasePoints() {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newExportedStage(t)
			exported, files := s.reserved(), s.files()
			s.crash(reversal(1), failpoint.Put.After())
			s.crash(released(reversal(2)), point)
			if outcome, err := s.attempt(released(reversal(3)), nil); err != nil || outcome.Committed {
				t.Fatalf("the release ended with %+v (%v)", outcome, err)
			}
			if s.state(reversal(1).RunID) != "released" || s.reserved() != exported || s.reversing() != "" || s.voided() != fmt.Sprint(claimCount) {
				t.Errorf("the reversal is %s, claims are %s, reversing vouchers %q, %s numbers are voided",
					s.state(reversal(1).RunID), s.reserved(), s.reversing(), s.voided())
			}
			sameContent(t, s.files(), files)
			again := reversal(1)
			again.RunID, again.Name = "33333333-0000-4000-8000-000000000002", "back-again"
			if outcome, err := s.attempt(again, nil); err != nil || outcome.Result.Claims != claimCount || s.reserved() != "" {
				t.Errorf("the next reversal ended with %+v (%v)", outcome, err)
			}
		})
	}
}

func TestAReversalThatWakesUpLateChangesNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]pipeline.Task{"after it is committed": reversal(2), "after it is released": released(reversal(2))} {
		for _, point := range []failpoint.Point{failpoint.Render.During(), failpoint.Record.Before(), failpoint.Put.During(), failpoint.Commit.Before()} {
			t.Run(name+", "+string(point), func(t *testing.T) {
				t.Parallel()
				newExportedStage(t).wakesUpLate(reversal(1), point, end)
			})
		}
	}
}
