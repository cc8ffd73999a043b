package pipeline_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// redelivery is an attempt to deliver the artifact of the run of task again, at another destination.
func redelivery(number int32) pipeline.Task {
	t := task(number)
	t.RunID, t.Name, t.Type, t.Redelivers = "55555555-0000-4000-8000-000000000001", "again", v1alpha1.RunRedeliver, task(1).Name
	t.Destination = v1alpha1.NamespacedReference{Name: "elsewhere"}
	return t
}

// ledger is all that the database has of claims and numbers.
func (s *stage) ledger() string {
	s.Helper()
	numbers := s.text(`select coalesce(string_agg(concat(series, fiscal_year, next), ','), '') from ledgerport.voucher_numbers`)
	return strings.Join([]string{s.reserved(), s.reversing(), s.voided(), numbers}, ";")
}

// twice insists that all files of the first run are there once more, and the first as they were.
func (s *stage) twice(first map[string]file, to string) {
	s.Helper()
	want := maps.Clone(first)
	for name, content := range first {
		want[strings.Replace(name, "acme/books/acme/monthly/monthly-1/", to, 1)] = content
	}
	sameContent(s.T, s.files(), want)
	s.untouched(first)
}

func TestARedeliveryPutsTheSameBytesAgainAndChangesNothing(t *testing.T) {
	t.Parallel()
	const elsewhere, here = "acme/elsewhere/acme/monthly/again/", "acme/books/acme/monthly/again/"
	atHome := redelivery(1)
	atHome.Destination = v1alpha1.NamespacedReference{}
	for name, test := range map[string]struct {
		task   pipeline.Task
		to     string
		before func(*stage)
	}{
		"at another destination":  {task: redelivery(1), to: elsewhere},
		"at the same destination": {task: atHome, to: here},
		"while a run of the series is under way": {task: redelivery(1), to: elsewhere, before: func(s *stage) {
			s.crash(run(2), failpoint.Attempt.After())
		}},
		"whatever the claims have become": {task: redelivery(1), to: elsewhere, before: func(s *stage) {
			s.sql(func(ctx context.Context, conn *pgx.Conn) error {
				_, err := conn.Exec(ctx, `update claim_lines set gross_amount = gross_amount * 2; update claims set status = 'withdrawn'`)
				return err
			})
		}},
		"of a run that was reversed": {task: redelivery(1), to: elsewhere, before: func(s *stage) {
			_, err := s.attempt(reversal(1), nil)
			s.must(err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newExportedStage(t)
			if test.before != nil {
				test.before(s)
			}
			files, ledger := s.files(), s.ledger()
			outcome, err := s.attempt(test.task, nil)
			if err != nil || !outcome.Committed || outcome.Result.Claims != claimCount || outcome.Result.Held != 0 || !strings.HasSuffix(outcome.Result.Location, test.to+"monthly-1.csv") {
				t.Fatalf("it ended with %+v (%v)", outcome, err)
			}
			s.twice(files, test.to)
			if after := s.ledger(); after != ledger {
				t.Errorf("the ledger went from %s to %s", ledger, after)
			}
			if of := s.text(`select type || ' ' || state || ' ' || redelivers || ' ' || location from ledgerport.runs where name = 'again'`); of != "redelivery committed "+task(1).RunID+" "+outcome.Result.Location {
				t.Errorf("it is recorded as %s", of)
			}
		})
	}
}

func TestARedeliveryThatDiesAnywhereIsResumed(t *testing.T) {
	t.Parallel()
	for _, point := range failpoint.RedeliveryPoints() {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newExportedStage(t)
			files, ledger := s.files(), s.ledger()
			s.crash(redelivery(1), point)
			left := s.files()
			if outcome, err := s.attempt(redelivery(2), nil); err != nil || !outcome.Committed {
				t.Fatalf("the resumed redelivery ended with %+v (%v)", outcome, err)
			}
			s.twice(files, "acme/elsewhere/acme/monthly/again/")
			s.untouched(left)
			if after := s.ledger(); after != ledger {
				t.Errorf("the ledger went from %s to %s", ledger, after)
			}
		})
	}
}

func TestARedeliveryThatIsCancelledTakesBackItsOwnFilesAlone(t *testing.T) {
	t.Parallel()
	s := newExportedStage(t)
	files, ledger := s.files(), s.ledger()
	s.crash(redelivery(1), failpoint.Put.After())
	if len(s.files()) == len(files) {
		t.Fatal("it has delivered nothing")
	}
	if outcome, err := s.attempt(released(redelivery(2)), nil); err != nil || outcome.Committed || s.state(redelivery(1).RunID) != "released" {
		t.Fatalf("the release ended with %+v (%v)", outcome, err)
	}
	sameContent(t, s.files(), files)
	s.untouched(files)
	if after := s.ledger(); after != ledger {
		t.Errorf("the ledger went from %s to %s", ledger, after)
	}
}

func TestARedeliveryThatCannotBeSaysWhy(t *testing.T) {
	t.Parallel()
	of := func(name string) pipeline.Task {
		t := redelivery(1)
		t.Redelivers = name
		return t
	}
	exec := func(statement string) func(*stage) {
		return func(s *stage) {
			s.sql(func(ctx context.Context, conn *pgx.Conn) error {
				_, err := conn.Exec(ctx, statement)
				return err
			})
		}
	}
	for name, test := range map[string]struct {
		task   pipeline.Task
		before func(*stage)
		reason v1alpha1.Reason
		words  string
	}{
		"of a run that never was":      {task: of("nobody"), reason: v1alpha1.ReasonRunNotFound, words: "no run acme/nobody"},
		"of a run that is not through": {task: of("monthly-2"), before: func(s *stage) { s.crash(run(2), failpoint.Attempt.After()) }, reason: v1alpha1.ReasonRunNotCommitted, words: "is started"},
		"of a redelivery": {task: of("first-again"), before: func(s *stage) {
			t := redelivery(1)
			t.RunID, t.Name = "55555555-0000-4000-8000-000000000002", "first-again"
			_, err := s.attempt(t, nil)
			s.must(err)
		}, reason: v1alpha1.ReasonNotRedeliverable, words: "name that one"},
		"of what delivered nothing": {task: of("monthly-2"), before: func(s *stage) {
			_, err := s.attempt(run(2), nil)
			s.must(err)
		}, reason: v1alpha1.ReasonNotRedeliverable, words: "delivered nothing"},
		"of vouchers that were erased": {task: redelivery(1), before: exec(`delete from ledgerport.run_vouchers`), reason: v1alpha1.ReasonNotRedeliverable, words: "its vouchers are not recorded any more"},
		"of what is written in other bytes by now": {
			task: redelivery(1), before: exec(fmt.Sprintf(`update ledgerport.runs set files = jsonb_set(files, '{0,sha256}', '"%064d"')`, 0)),
			reason: v1alpha1.ReasonNotRedeliverable, words: "copy the files from where that run delivered them",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newExportedStage(t)
			if test.before != nil {
				test.before(s)
			}
			files := s.files()
			_, err := s.attempt(test.task, nil)
			if failed := failure.From(err); failed.Reason != test.reason || !failed.Stalled || !strings.Contains(failed.Message, test.words) {
				t.Errorf("it ended with %s (%v), want %s and %q", failed.Reason, err, test.reason, test.words)
			}
			sameContent(t, s.files(), files)
		})
	}
}
