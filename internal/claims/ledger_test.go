package claims_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/testdb"
)

func (f *fixture) ledger(database *claims.Database) claims.Ledger {
	f.Helper()
	ledger, err := database.Ledger(f.ctx)
	f.must(err)
	return ledger
}

func TestLedger(t *testing.T) {
	t.Parallel()
	t.Run("is raised by every step that a cluster is told of, and the run has the newest", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.claimRange(1)
		database := f.open(v1alpha1.PostgresSource{})
		first := f.ledger(database)
		if first.ID == "" || first.Sequence != 0 || first.System == "" || first.Moved() {
			t.Fatalf("a new ledger is %+v", first)
		}
		run, _ := f.reserveAll(database, attemptOf("1"), year2026)
		if run.Sequence != 1 {
			t.Errorf("the attempt began at %d, want 1", run.Sequence)
		}
		for _, step := range []func() error{
			func() error { return database.MarkDelivered(t.Context(), run.Fence(), "") },
			func() error { return database.Commit(t.Context(), run.Fence()) },
		} {
			before := f.ledger(database)
			f.must(step())
			after := f.ledger(database)
			got, _, err := database.Run(t.Context(), "1")
			f.must(err)
			if after.Sequence <= before.Sequence || got.Sequence != after.Sequence || after.ID != first.ID {
				t.Errorf("a step led from %+v to %+v, and the run is at %d", before, after, got.Sequence)
			}
		}
		released, _ := f.reserveAll(database, attemptOf("2"), year2026)
		before := f.ledger(database)
		f.must(database.Release(t.Context(), released.Fence(), "test"))
		if after := f.ledger(database); after.Sequence <= before.Sequence {
			t.Errorf("a release led from %+v to %+v", before, after)
		}
		mustFail(t, database.Release(t.Context(), released.Fence(), "test"), v1alpha1.ReasonFenced)
		if after := f.ledger(database); after.Sequence != before.Sequence+1 {
			t.Errorf("a step that changed nothing raised the ledger: %+v", after)
		}
	})
	t.Run("is raised by no step that waits for its run", func(t *testing.T) {
		t.Parallel()
		for name, step := range map[string]func(*claims.Database, claims.Run) error{
			"MarkDelivered": func(d *claims.Database, run claims.Run) error { return d.MarkDelivered(t.Context(), run.Fence(), "") },
			"Commit":        func(d *claims.Database, run claims.Run) error { return d.Commit(t.Context(), run.Fence()) },
		} {
			f := newFixture(t, applicationTables)
			f.claimRange(1)
			database := f.open(v1alpha1.PostgresSource{})
			run, _ := f.reserveAll(database, attemptOf("1"), year2026)
			if name == "Commit" {
				f.must(database.MarkDelivered(t.Context(), run.Fence(), ""))
			}
			other, err := pgx.Connect(t.Context(), f.url)
			f.must(err)
			t.Cleanup(func() { _ = other.Close(context.Background()) })
			tx, err := other.Begin(t.Context())
			f.must(err)
			_, err = tx.Exec(t.Context(), `SELECT FROM ledgerport.runs FOR UPDATE`)
			f.must(err)
			ended := make(chan error, 1)
			go func() { ended <- step(database, run) }()
			f.waits()
			if _, err := tx.Exec(t.Context(), `SET LOCAL lock_timeout = '1s'; UPDATE ledgerport.ledger SET sequence = sequence + 1; UPDATE ledgerport.runs SET holder = 'changed'`); err != nil {
				t.Errorf("while %s waited for its run it had the ledger: %v", name, err)
			}
			f.must(tx.Commit(t.Context()))
			f.must(<-ended)
			got, _, err := database.Run(t.Context(), "1")
			f.must(err)
			if got.Sequence != f.ledger(database).Sequence || got.Holder != "changed" {
				t.Errorf("%s left %+v in a ledger at %d", name, got, f.ledger(database).Sequence)
			}
		}
	})
	t.Run("that has lost its row is raised by no step, which then changes nothing", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.claimRange(1)
		database := f.open(v1alpha1.PostgresSource{})
		run, _ := f.reserveAll(database, attemptOf("1"), year2026)
		f.sql(`DELETE FROM ledgerport.ledger`)
		mustFail(t, database.MarkDelivered(t.Context(), run.Fence(), ""), v1alpha1.ReasonFenced)
		if got, _, err := database.Run(t.Context(), "1"); err != nil || got.State != claims.StateRendered {
			t.Errorf("the run is %s, %v", got.State, err)
		}
	})
	t.Run("has one row, even if another is added", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		if _, err := f.conn.Exec(t.Context(), `INSERT INTO ledgerport.ledger DEFAULT VALUES`); err == nil {
			t.Error("a second row was taken")
		}
		if _, err := f.conn.Exec(t.Context(), `INSERT INTO ledgerport.ledger (only_row) VALUES (false)`); err == nil {
			t.Error("a row that is not the only one was taken")
		}
	})
	t.Run("without its row says what to do, until it is renewed", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		database := f.open(v1alpha1.PostgresSource{})
		f.sql(`DELETE FROM ledgerport.ledger`)
		_, err := database.AcceptLedger(t.Context(), false)
		if failed := failureWith(t, err, v1alpha1.ReasonLedgerChanged); !strings.Contains(failed.Message, "ledgerport ledger accept --renew") {
			t.Errorf("it says %q", failed.Message)
		}
		if renewed, err := database.AcceptLedger(t.Context(), true); err != nil || renewed.ID == "" {
			t.Errorf("renewed it is %+v, %v", renewed, err)
		}
	})
	t.Run("on another server is accepted as the same, or renewed", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		database := f.open(v1alpha1.PostgresSource{})
		f.sql(`UPDATE ledgerport.ledger SET system_identifier = '4711', sequence = 7`)
		moved := f.ledger(database)
		if !moved.Moved() {
			t.Fatalf("from a dump of another server it is %+v", moved)
		}
		accepted, err := database.AcceptLedger(t.Context(), false)
		if err != nil || accepted.Moved() || accepted.ID != moved.ID || accepted.Sequence != 7 {
			t.Errorf("accepted it is %+v, %v", accepted, err)
		}
		renewed, err := database.AcceptLedger(t.Context(), true)
		if err != nil || renewed.Moved() || renewed.ID == moved.ID || renewed.Sequence != 7 {
			t.Errorf("renewed it is %+v, %v", renewed, err)
		}
	})
	t.Run("of a server that does not identify itself is not compared", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		role := testdb.Operator(t, f.url, "role.sql", "migrated.sql")
		f.sql(`UPDATE ledgerport.ledger SET system_identifier = '4711'`)
		if ledger := f.ledger(f.openAs(role)); !ledger.Moved() {
			t.Errorf("for a role that may ask it is %+v", ledger)
		}
		f.sql(`REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC`)
		if ledger := f.ledger(f.openAs(role)); ledger.Moved() || ledger.Server != "" {
			t.Errorf("for a role that may not it is %+v", ledger)
		}
	})
	t.Run("gives its identity away to no role of the operator", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		conn, err := pgx.Connect(t.Context(), testdb.Operator(t, f.url, "role.sql", "migrated.sql"))
		f.must(err)
		defer func() { _ = conn.Close(context.Background()) }()
		for _, statement := range []string{`UPDATE ledgerport.ledger SET id = gen_random_uuid()`, `DELETE FROM ledgerport.ledger`, `INSERT INTO ledgerport.ledger DEFAULT VALUES`} {
			if _, err := conn.Exec(t.Context(), statement); err == nil {
				t.Errorf("%s was done", statement)
			}
		}
	})
}

// TestRunsThatEndAtOnceDoNotFailEachOther has two organisations commit at the same time, in a database whose transactions are
// SERIALIZABLE by default: what both raise is one row.
func TestRunsThatEndAtOnceDoNotFailEachOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.sql(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); END $$`)
	const each = 20
	var all sync.WaitGroup
	for i, organization := range []string{acme, globex} {
		database := f.open(v1alpha1.PostgresSource{})
		all.Go(func() {
			for n := range each {
				attempt := attemptOf(id(100*i + n))
				attempt.OrganizationID = organization
				run, err := database.StartAttempt(f.ctx, attempt)
				if err == nil {
					err = database.Release(f.ctx, run.Fence(), "test")
				}
				if err != nil {
					t.Errorf("run %d of %s: %s", n, organization, err)
				}
			}
		})
	}
	all.Wait()
	if ledger := f.ledger(f.open(v1alpha1.PostgresSource{})); ledger.Sequence != 2*2*each {
		t.Errorf("the ledger is at %d, want one for each step", ledger.Sequence)
	}
}

func TestRunOfAnotherCluster(t *testing.T) {
	t.Parallel()
	there := func(run string) claims.Attempt {
		attempt := attemptOf(run)
		attempt.Cluster = "there"
		return attempt
	}
	t.Run("is neither taken over nor begun again", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.claimRange(1)
		database := f.open(v1alpha1.PostgresSource{})
		run, _ := f.reserveAll(database, there("1"), year2026)
		_, err := database.TakeOver(t.Context(), "1", "pod-2", "here", time.Minute)
		failed := failureWith(t, err, v1alpha1.ReasonOtherCluster)
		for _, words := range []string{`"there"`, "rendered", "ledgerport ledger hand-over --run 1 --to here"} {
			if !strings.Contains(failed.Message, words) || !failed.Stalled {
				t.Errorf("it says %q, without %s", failed.Message, words)
			}
		}
		_, err = database.StartAttempt(t.Context(), attemptOf("1"))
		mustFail(t, err, v1alpha1.ReasonOtherCluster)
		if got, _, err := database.Run(t.Context(), "1"); err != nil || got.Attempt != run.Attempt || got.Cluster != "there" {
			t.Errorf("the run is %+v, %v", got, err)
		}
	})
	t.Run("keeps its series though it is past its deadline, and is named", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		database := f.open(v1alpha1.PostgresSource{})
		late := there("1")
		late.Deadline = -time.Minute
		f.start(database, late)
		_, err := database.StartAttempt(t.Context(), attemptOf("2"))
		failed := failureWith(t, err, v1alpha1.ReasonSeriesBusy)
		if !strings.Contains(failed.Message, `of the cluster "there"`) || !strings.Contains(failed.Message, "ledgerport ledger hand-over --run 1 --to here") {
			t.Errorf("it says %q", failed.Message)
		}
	})
	t.Run("is handed over, and its process is fenced", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.claimRange(1)
		database := f.open(v1alpha1.PostgresSource{})
		run, _ := f.reserveAll(database, there("1"), year2026)
		if n, err := database.HandOver(t.Context(), "nowhere", "", "here"); err != nil || n != 0 {
			t.Errorf("%d runs of a cluster that has none were handed over, %v", n, err)
		}
		if n, err := database.HandOver(t.Context(), "there", "", "here"); err != nil || n != 1 {
			t.Fatalf("%d runs were handed over, want 1; %v", n, err)
		}
		mustFail(t, database.MarkDelivered(t.Context(), run.Fence(), ""), v1alpha1.ReasonFenced)
		taken, err := database.TakeOver(t.Context(), "1", "pod-2", "here", time.Minute)
		f.must(err)
		f.must(database.MarkDelivered(t.Context(), taken.Fence(), ""))
	})
	t.Run("from before clusters were recorded belongs to the first that goes on with it", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		database := f.open(v1alpha1.PostgresSource{})
		f.start(database, attemptOf("1"))
		f.sql(`UPDATE ledgerport.runs SET cluster = ''`)
		_, err := database.TakeOver(t.Context(), "1", "pod-2", "here", time.Minute)
		f.must(err)
		_, err = database.TakeOver(t.Context(), "1", "pod-3", "there", time.Minute)
		mustFail(t, err, v1alpha1.ReasonOtherCluster)
	})
}
