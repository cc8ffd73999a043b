package pipeline_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/command"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

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
	if said := s.ledgerport("numbers", "--organization="+organization); !strings.Contains(said, "2026") {
		s.Errorf("no number is counted: %s", said)
	}
}

// find asks for what is recorded of a voucher or a claim, as the page does.
func (s *stage) find(of string) []claims.RecordedVoucher {
	s.Helper()
	var found struct{ Items []claims.RecordedVoucher }
	s.must(json.Unmarshal([]byte(s.ledgerport("find", "--organization="+organization, "--output=json", of)), &found))
	return found.Items
}

func TestAVoucherIsAuditedAsThePageAboutOperationsSays(t *testing.T) {
	t.Parallel()
	s := newExportedStage(t)
	for _, task := range []pipeline.Task{reversal(1), run(2)} {
		if _, err := s.attempt(task, nil); err != nil {
			t.Fatal(err)
		}
	}
	first := s.find("E/2026/17")
	if len(first) != 1 || first[0].ReversedBy != "back" || first[0].Run != "monthly-1" || len(first[0].Locations) != 1 || !strings.HasSuffix(first[0].Locations[0], "/monthly-1/monthly-1.csv") {
		t.Fatalf("voucher E/2026/17 is %+v", first)
	}
	var history []string
	for _, voucher := range s.find(first[0].Claim) {
		history = append(history, strings.Join([]string{voucher.Book, voucher.Voucher, voucher.Type, voucher.Run}, " "))
	}
	if got, want := strings.Join(history, ", "), "main E/2026/17 export monthly-1, main E/2026/37 reversal back, main E/2026/57 export monthly-2"; got != want {
		t.Errorf("the history of claim %s is %s, want %s", first[0].Claim, got, want)
	}
	s.withoutGaps()
}
