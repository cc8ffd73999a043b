package pipeline_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerport/ledgerport/command"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// statements returns the SQL in docs/operations.md that has some words in it.
func statements(t *testing.T, words string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllSubmatch(page, -1) {
		if sql := string(found[1]); strings.Contains(sql, words) {
			return sql
		}
	}
	t.Fatalf("docs/operations.md has no SQL with %q", words)
	return ""
}

// byHand executes statements as a person would, and returns the rows of each.
func (s *stage) byHand(sql string) (results []*pgconn.Result) {
	s.Helper()
	s.sql(func(ctx context.Context, conn *pgx.Conn) (err error) {
		results, err = conn.PgConn().Exec(ctx, sql).ReadAll()
		return err
	})
	return results
}

// ledgerport does what "ledgerport ledger" does, and returns what it says.
func (s *stage) ledgerport(arguments ...string) string {
	s.Helper()
	var said strings.Builder
	program := command.New(builtin.Registry())
	program.SetOut(&said)
	program.SetArgs(append([]string{"ledger", "--allow-insecure-databases", "--database-url=" + s.database}, arguments...))
	s.must(program.ExecuteContext(s.Context()))
	return said.String()
}

func TestARunIsEndedByHandAsThePageAboutOperationsSays(t *testing.T) {
	t.Parallel()
	release, commit := []string{"release", "--not-delivered"}, []string{"commit", "--location=file:///exports/found.csv"}
	for name, test := range map[string]struct {
		task     pipeline.Task
		point    failpoint.Point
		command  []string
		state    string
		claims   int64 // of the next run
		reversed bool  // its claims are free
	}{
		"an export whose files are not there":    {task(1), failpoint.Record.After(), release, "released", claimCount, false},
		"an export whose files are there":        {task(1), failpoint.MarkDelivered.Before(), commit, "committed", 0, false},
		"a reversal whose files are not there":   {reversal(1), failpoint.Record.After(), release, "released", 0, false},
		"a reversal whose files are there":       {reversal(1), failpoint.MarkDelivered.Before(), commit, "committed", claimCount, true},
		"a run that has reserved nothing so far": {task(1), failpoint.Attempt.After(), release, "released", claimCount, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			if test.task.Reverses != "" {
				s = newExportedStage(t)
			}
			s.crash(test.task, test.point)
			if left := s.ledgerport("show"); !strings.Contains(left, `"`+test.task.RunID+`"`) {
				t.Errorf("what is left is not found: %s", left)
			}
			s.ledgerport(append(test.command, "--run="+test.task.RunID)...)
			if state := s.state(test.task.RunID); state != test.state {
				t.Errorf("the run is %s", state)
			}
			if outcome, err := s.attempt(run(2), nil); err != nil || outcome.Result.Claims != test.claims {
				t.Errorf("the next run ended with %+v (%v)", outcome, err)
			}
			s.withoutGaps()
		})
	}
}

// withoutGaps asks as the page does whether a series has gaps.
func (s *stage) withoutGaps() {
	s.Helper()
	answers := s.byHand(audit(s.T, ""))
	found := answers[len(answers)-1].Rows[0]
	if first, last, count := string(found[0]), string(found[1]), string(found[2]); first != "1" || last != count {
		s.Errorf("numbers from %s to %s, and %s of them", first, last, count)
	}
}

// audit are the queries about vouchers and claims, for the organisation and a claim.
func audit(t *testing.T, claim string) string {
	t.Helper()
	sql := strings.ReplaceAll(statements(t, "the whole history of a claim"), "claim_id = '…'", "claim_id = '"+claim+"'")
	return strings.ReplaceAll(sql, "…", organization)
}

func TestAVoucherIsAuditedAsThePageAboutOperationsSays(t *testing.T) {
	t.Parallel()
	s := newExportedStage(t)
	for _, task := range []pipeline.Task{reversal(1), run(2)} {
		if _, err := s.attempt(task, nil); err != nil {
			t.Fatal(err)
		}
	}
	claim := string(s.byHand(audit(t, ""))[0].Rows[0][0])
	answers := s.byHand(audit(t, claim))
	if first := answers[0].Rows; len(first) != 1 || string(first[0][3]) != "back" || string(first[0][6]) != "monthly-1" || !strings.HasSuffix(string(first[0][7]), "/monthly-1/monthly-1.csv") {
		t.Errorf("voucher E/2026/17 is %s", first)
	}
	var history []string
	for _, row := range answers[1].Rows {
		history = append(history, fmt.Sprintf("%s %s %s %s", row[0], row[3], row[5], row[7]))
	}
	if got, want := strings.Join(history, ", "), "main 17 export monthly-1, main 37 reversal back, main 57 export monthly-2"; got != want {
		t.Errorf("the history of claim %s is %s, want %s", claim, got, want)
	}
	s.withoutGaps()
}
