package claims_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
)

// TestOnlyTheMovesOfATableAreMade tries every step of a run that has come to each state.
func TestOnlyTheMovesOfATableAreMade(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(20)
	database := f.open(v1alpha1.PostgresSource{})
	comeTo := map[claims.RunState]func(claims.Run){
		claims.StateStarted:   func(claims.Run) {},
		claims.StateRendered:  func(claims.Run) {},
		claims.StateDelivered: func(run claims.Run) { f.must(database.MarkDelivered(f.ctx, run.Fence(), "")) },
		claims.StateCommitted: func(run claims.Run) {
			f.must(database.MarkDelivered(f.ctx, run.Fence(), ""))
			f.must(database.Commit(f.ctx, run.Fence()))
		},
		claims.StateReleased: func(run claims.Run) { f.must(database.Release(f.ctx, run.Fence(), "test")) },
		claims.StateSubmitted: func(run claims.Run) { // as if an accounting system had answered
			f.sql(`UPDATE ledgerport.runs SET state = 'submitted' WHERE id = $1`, run.ID)
		},
	}
	steps := map[claims.RunState]func(claims.Run) error{
		claims.StateDelivered: func(run claims.Run) error { return database.MarkDelivered(f.ctx, run.Fence(), "") },
		claims.StateCommitted: func(run claims.Run) error { return database.Commit(f.ctx, run.Fence()) },
		claims.StateReleased:  func(run claims.Run) error { return database.Release(f.ctx, run.Fence(), "test") },
	}
	for _, from := range claims.RunStates {
		for to, step := range steps {
			t.Run(fmt.Sprintf("from %s to %s", from, to), func(t *testing.T) { // one after another: the runs share a series
				attempt := attemptOf(string(from) + "-" + string(to))
				var run claims.Run
				if from == claims.StateStarted {
					run = f.start(database, attempt)
				} else {
					run, _ = f.reserveAll(database, attempt, year2026)
				}
				comeTo[from](run)
				err := step(run)
				record, _, readErr := database.Run(f.ctx, run.ID)
				f.must(readErr)
				switch {
				case to.Follows(from) && (err != nil || record.State != to):
					t.Errorf("it is %s: %v", record.State, err)
				case !to.Follows(from):
					mustFail(t, err, v1alpha1.ReasonFenced)
					if record.State != from {
						t.Errorf("it is %s", record.State)
					}
				}
				f.sql(`UPDATE ledgerport.runs SET state = 'released', released_at = now(), committed_at = NULL WHERE id = $1`, run.ID)
				f.sql(`DELETE FROM ledgerport.exported_claims`)
			})
		}
	}
}

func TestTheDatabaseKnowsTheSameStates(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	var check string
	f.must(f.conn.QueryRow(f.ctx, `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'runs_state_check' AND conrelid = 'ledgerport.runs'::regclass`).Scan(&check))
	var known []claims.RunState
	for _, state := range regexp.MustCompile(`'([a-z]+)'`).FindAllStringSubmatch(check, -1) {
		known = append(known, claims.RunState(state[1]))
	}
	slices.Sort(known)
	want := slices.Clone(claims.RunStates)
	slices.Sort(want)
	if !slices.Equal(known, want) {
		t.Errorf("the table has %v, the program %v", known, want)
	}
}
