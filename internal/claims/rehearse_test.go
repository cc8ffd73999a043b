package claims_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/testdb"
)

func TestCheck_FailsWhereARunWould(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		obstacle string // %r is the role
		reason   v1alpha1.Reason
		says     []string
	}{
		"nothing in the way":           {},
		"one session at once":          {`ALTER ROLE %r CONNECTION LIMIT 1`, v1alpha1.ReasonUnsuitableSessions, []string{"two sessions at once", "1 of the 1", "CONNECTION LIMIT 4"}},
		"a role that only reads":       {`ALTER ROLE %r SET default_transaction_read_only = on`, v1alpha1.ReasonReadOnlyDatabase, []string{"default_transaction_read_only"}},
		"no right to begin a run":      {`REVOKE INSERT ON ledgerport.runs FROM %r`, v1alpha1.ReasonPermissionDenied, []string{"runs"}},
		"no right to go on with a run": {`REVOKE UPDATE ON ledgerport.runs FROM %r`, v1alpha1.ReasonPermissionDenied, []string{"runs"}},
		"no right to further vouchers": {`REVOKE INSERT ON ledgerport.reversal_vouchers FROM %r`, v1alpha1.ReasonPermissionDenied, []string{"reversal_vouchers"}},
		"no right to take claims":      {`REVOKE INSERT ON ledgerport.exported_claims FROM %r`, v1alpha1.ReasonPermissionDenied, []string{"exported_claims"}},
		"no right to keep vouchers":    {`REVOKE INSERT ON ledgerport.run_vouchers FROM %r`, v1alpha1.ReasonPermissionDenied, []string{"run_vouchers"}},
		"no right to hold claims":      {`REVOKE INSERT ON ledgerport.held_claims FROM %r`, v1alpha1.ReasonPermissionDenied, []string{"held_claims"}},
		"no right to settle holds":     {`REVOKE DELETE ON ledgerport.held_claims FROM %r`, v1alpha1.ReasonPermissionDenied, []string{"held_claims"}},
		"no right to number vouchers":  {`REVOKE INSERT ON ledgerport.voucher_numbers FROM %r`, v1alpha1.ReasonPermissionDenied, []string{"voucher_numbers"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			url := testdb.Operator(t, f.url, "role.sql", "migrated.sql")
			if test.obstacle != "" {
				f.sql(strings.ReplaceAll(test.obstacle, "%r", testdb.RoleOf(url)))
			}
			database := f.openAs(url)
			_, err := database.Check(t.Context())
			if test.reason == "" {
				f.must(err)
			} else {
				failed := failureWith(t, err, test.reason)
				for _, says := range test.says {
					if !strings.Contains(failed.Message, says) {
						t.Errorf("%q does not say %q", failed.Message, says)
					}
				}
			}
			for _, table := range []string{"runs", "exported_claims", "reversal_vouchers", "run_vouchers", "held_claims", "voucher_numbers", "voided_vouchers"} {
				if n := f.count(`SELECT count(*) FROM ledgerport.` + table); n != 0 {
					t.Errorf("%d rows are left in %s", n, table)
				}
			}
		})
	}
}

// TestCheck_AndRunsKeepOutOfEachOthersWay holds what a run holds until it commits, or what a person locks, while a database is checked.
func TestCheck_AndRunsKeepOutOfEachOthersWay(t *testing.T) {
	t.Parallel()
	for name, held := range map[string]string{
		"a run that records the first table of claims": `INSERT INTO ledgerport.claim_tables (id) VALUES (1)`,
		"a run that takes a claim of any id": `INSERT INTO ledgerport.exported_claims (claim_table, organization_id, claim_id, run_id, position, fiscal_year, voucher_number)
			VALUES (1, '-', '-', 'r', 1, 1, 1)`,
		"a run that raises the ledger":    `UPDATE ledgerport.ledger SET sequence = sequence + 1`,
		"a migration of the ledger":       `LOCK TABLE ledgerport.exported_claims`,
		"a migration of the application":  `LOCK TABLE claims`,
		"a rehearsal of another operator": `INSERT INTO ledgerport.held_claims (organization_id, claim_table, claim_id, run_id, reason, message) VALUES ('-', 1, '-', 'r', '-', '-')`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			tx, err := f.conn.Begin(f.ctx)
			f.must(err)
			_, err = tx.Exec(f.ctx, held)
			f.must(err)
			_, err = f.open(v1alpha1.PostgresSource{}).Check(f.ctx)
			f.must(err)
			f.must(tx.Rollback(f.ctx))
		})
	}
	t.Run("the first run, and many checks", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.claimRange(3)
		var checks sync.WaitGroup
		for range 6 {
			database := f.open(v1alpha1.PostgresSource{})
			checks.Go(func() {
				for range 5 {
					if _, err := database.Check(f.ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
		_, taken := f.reserveAll(f.open(v1alpha1.PostgresSource{}), attemptOf("first"), func(*ledger.Claim) int { return 2026 })
		if len(taken) != 3 {
			t.Errorf("the run took %d claims, want 3", len(taken))
		}
		checks.Wait()
	})
}

// TestCheck_FailsOnAStandby restarts a server as one.
func TestCheck_FailsOnAStandby(t *testing.T) {
	t.Parallel()
	directory, err := os.MkdirTemp("", "ledgerport-standby-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	server, err := environment.StartPostgres(context.Background(), filepath.Join(directory, "postgres"), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	f := &fixture{TB: t, ctx: t.Context(), url: server.URL}
	f.conn, err = pgx.Connect(f.ctx, f.url)
	f.must(err)
	f.sql(applicationTables)
	database := f.open(v1alpha1.PostgresSource{})
	f.must(database.Migrate(f.ctx))
	var data string
	f.must(f.conn.QueryRow(f.ctx, `SHOW data_directory`).Scan(&data))
	owner, err := os.Stat(data)
	f.must(err)
	f.must(f.conn.Close(f.ctx))
	signal := filepath.Join(data, "standby.signal")
	f.must(os.WriteFile(signal, nil, 0o600))
	of := owner.Sys().(*syscall.Stat_t)
	f.must(os.Chown(signal, int(of.Uid), int(of.Gid)))
	f.must(server.Restart(f.ctx))

	_, err = f.open(v1alpha1.PostgresSource{}).Check(t.Context())
	mustFail(t, err, v1alpha1.ReasonReadOnlyDatabase)
	// Of several hosts the one that can be written is taken: here none.
	at, _, _ := strings.Cut(f.url[strings.Index(f.url, "@")+1:], "/")
	_, err = claims.Open(t.Context(), claims.Options{URL: strings.Replace(f.url, at, at+","+at, 1), Allowed: insecure})
	mustFail(t, err, v1alpha1.ReasonReadOnlyDatabase)
}
