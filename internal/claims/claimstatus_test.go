package claims_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestTheApplicationSeesWhatBecameOfItsClaims(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(2)
	database := f.open(v1alpha1.PostgresSource{})
	holdSecond := func(claim *ledger.Claim) int {
		if claim.ID == "00000000-0000-4000-8000-000000000002" {
			return 0
		}
		return 2026
	}
	exported, _ := f.reserveAll(database, inBook("1", claims.MainBook), holdSecond)
	f.must(database.MarkDelivered(f.ctx, exported.Fence(), "s3://books/monthly-1.csv"))
	f.must(database.Commit(f.ctx, exported.Fence()))
	f.reserveAll(database, inBook("2", "payments"), holdSecond)

	application := fmt.Sprintf("application_%d", f.count(`SELECT oid::bigint FROM pg_database WHERE datname = current_database()`))
	f.sql(`CREATE ROLE ` + application + `; GRANT USAGE ON SCHEMA ledgerport TO ` + application + `; GRANT SELECT ON ledgerport.claim_status TO ` + application)
	t.Cleanup(func() { // the test's context has ended
		_, err := f.conn.Exec(context.Background(), `DROP OWNED BY `+application+`; DROP ROLE `+application)
		f.must(err)
	})
	seen := func(organization string) []string {
		t.Helper()
		tx, err := f.conn.Begin(f.ctx)
		f.must(err)
		defer func() { _ = tx.Rollback(f.ctx) }()
		_, err = tx.Exec(f.ctx, `SET LOCAL ROLE `+application)
		f.must(err)
		_, err = tx.Exec(f.ctx, `SELECT set_config('ledgerport.organization_id', $1, true)`, organization)
		f.must(err)
		rows, _ := tx.Query(f.ctx, `SELECT concat_ws(' ', book, right(claim_id, 1), state, voucher, run, location, reason, message) FROM ledgerport.claim_status ORDER BY 1`)
		status, err := pgx.CollectRows(rows, pgx.RowTo[string])
		f.must(err)
		return status
	}
	want := []string{
		"main 1 exported E/2026/1 monthly-1 s3://books/monthly-1.csv", "main 2 held monthly-1 Unmapped map it",
		"payments 1 exporting E/2026/1 monthly-2", "payments 2 held monthly-2 Unmapped map it",
	}
	if got := seen(acme); !slices.Equal(got, want) {
		t.Errorf("it sees %q, want %q", got, want)
	}
	for _, other := range []string{"", "globex"} {
		if got := seen(other); len(got) != 0 {
			t.Errorf("bound to %q it sees %q", other, got)
		}
	}
}
