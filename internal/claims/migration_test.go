package claims_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
)

// migrateTo brings the schema of a fixture, which is made anew, to an older version.
func (f *fixture) migrateTo(version int64) {
	f.Helper()
	f.sql(`DROP SCHEMA ledgerport CASCADE; CREATE SCHEMA ledgerport`)
	database := stdlib.OpenDB(*f.conn.Config())
	defer func() { _ = database.Close() }() // only the schema matters
	provider, err := goose.NewProvider(goose.DialectPostgres, database, os.DirFS("migrations"), goose.WithTableName("ledgerport.schema_version"))
	f.must(err)
	_, err = provider.UpTo(f.ctx, version)
	f.must(err)
}

// exportedBefore records a committed run of a ClaimSource as the schema before claim tables did.
func (f *fixture) exportedBefore(run, organization, source string, ids ...string) {
	f.Helper()
	f.sql(`INSERT INTO ledgerport.runs (id, namespace, export, name, organization_id, series, state, attempt, holder, deadline, cutoff, inputs, committed_at)
		VALUES ($1, 'acme', 'monthly', $1, $2, 'E', 'committed', 1, 'pod', now(), now(), $3, now())`, run, organization, `{"source": "`+source+`"}`)
	for i, id := range ids {
		f.sql(`INSERT INTO ledgerport.exported_claims (organization_id, claim_id, run_id, position, fiscal_year, voucher_number) VALUES ($1, $2, $3, $4::int, 2026, $4::int)`,
			organization, id, run, i+1)
	}
}

// openSource opens the database as a ClaimSource of a name.
func (f *fixture) openSource(name string, layout v1alpha1.PostgresSource) *claims.Database {
	f.Helper()
	database, err := claims.Open(f.ctx, claims.Options{URL: f.url, Source: name, Layout: layout})
	f.must(err)
	f.Cleanup(database.Close)
	return database
}

const (
	beforeClaimTables = 5
	textIDs           = `
		CREATE TABLE claims (id text PRIMARY KEY, organization_id text, claimant_id text, status text, approved_at timestamptz, currency text);
		CREATE TABLE claim_lines (claim_id text, line_no int, expense_date date, category text, gross_amount numeric, tax_amount numeric);`
)

// row adds an approved claim with a line to a table of text ids.
func (f *fixture) row(table, id, organization string) {
	f.Helper()
	f.sql(`INSERT INTO `+table+` VALUES ($1, $2, 'E1', 'approved', $3, 'NOK')`, id, organization, before)
	f.sql(`INSERT INTO claim_lines VALUES ($1, 1, '2026-10-20', 'travel', 125, 25)`, id)
}

// mustTake insists on what a run of an organisation takes, and commits it; claims that are held are told by takeOrHold.
func (f *fixture) mustTake(database *claims.Database, run, organization string, want ...string) (held map[string]string) {
	f.Helper()
	attempt := attemptOf(run)
	attempt.OrganizationID, attempt.Series = organization, run
	started := f.start(database, attempt)
	taken, held := f.takeSound(database, started)
	if len(taken)+len(want) > 0 && !sameTexts(taken, want) {
		f.Errorf("run %s of %s took %q and held %v, want %q", run, organization, taken, held, want)
	}
	f.must(database.MarkDelivered(f.ctx, started.Fence(), ""))
	f.must(database.Commit(f.ctx, started.Fence()))
	return held
}

func TestMigration_EveryExportedClaimStaysExported(t *testing.T) {
	t.Parallel()
	upper := "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"
	t.Run("of a single source, whatever its name is now", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, textIDs)
		f.migrateTo(beforeClaimTables)
		f.exportedBefore("1", "acme", "acme/old-name", "a", upper, "007")
		f.exportedBefore("2", "globex", "acme/old-name", "a", "b")
		for _, id := range []string{"a", upper, "007", "new"} {
			f.row("claims", id, "acme")
		}
		f.row("claims", "b", "globex")
		database := f.openSource("acme/claims", v1alpha1.PostgresSource{})
		f.must(database.Migrate(t.Context()))
		f.mustTake(database, "3", "acme", "new")
		f.mustTake(database, "4", "globex")
		if n := f.count(`SELECT count(*) FROM ledgerport.exported_claims`); n != 6 {
			t.Errorf("%d claims are exported, want the five of before and a new one", n)
		}
	})
	t.Run("of two sources with a table each", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, textIDs+`CREATE TABLE others (LIKE claims INCLUDING ALL);`)
		f.migrateTo(beforeClaimTables)
		f.exportedBefore("1", "acme", "acme/one", "1", "2")
		f.exportedBefore("2", "acme", "acme/two", "7")
		for _, id := range []string{"1", "2", "7"} {
			f.row("claims", id, "acme")
			f.sql(`INSERT INTO others SELECT * FROM claims WHERE id = $1`, id)
		}
		one := f.openSource("acme/one", v1alpha1.PostgresSource{})
		two := f.openSource("acme/two", v1alpha1.PostgresSource{Claims: v1alpha1.ClaimsTable{Table: "others"}})
		f.must(one.Migrate(t.Context()))
		if held := f.mustTake(one, "3", "acme"); held["7"] != "ExportedBefore" {
			t.Errorf("held %v: claim 7 was exported by a source of which it is not known yet that its table is another", held)
		}
		f.mustTake(two, "4", "acme", "1", "2") // 1 and 2 are other claims than those of the first table
		f.mustTake(one, "5", "acme", "7")
		f.mustTake(two, "6", "acme")
		if n := f.count(`SELECT count(*) FROM ledgerport.held_claims`); n != 0 {
			t.Errorf("%d claims are still held", n)
		}
	})
	t.Run("of two sources of one table", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, textIDs)
		f.migrateTo(beforeClaimTables)
		f.exportedBefore("1", "acme", "acme/one", "a")
		f.exportedBefore("2", "acme", "acme/two", "b")
		for _, id := range []string{"a", "b", "c"} {
			f.row("claims", id, "acme")
		}
		one, two := f.openSource("acme/one", v1alpha1.PostgresSource{}), f.openSource("acme/two", v1alpha1.PostgresSource{})
		f.must(one.Migrate(t.Context()))
		if held := f.mustTake(one, "3", "acme", "c"); held["b"] != "ExportedBefore" {
			t.Errorf("held %v, want b", held)
		}
		f.mustTake(two, "4", "acme")
		if held := f.mustTake(one, "5", "acme"); len(held) > 0 {
			t.Errorf("held %v: the second source has said that its claims are of this table", held)
		}
		f.sql(`UPDATE claims SET organization_id = 'moved' WHERE id = 'b'`)
		f.mustTake(one, "6", "moved")
	})
	t.Run("with holds, reversals and vouchers that are sent", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, textIDs)
		f.migrateTo(beforeClaimTables)
		f.exportedBefore("1", "acme", "acme/one", "A", "07", "7")
		f.sql(`INSERT INTO ledgerport.held_claims (organization_id, claim_id, run_id, reason, message) VALUES ('acme', 'h', '1', 'Unmapped', 'x'), ('acme', 'i', 'gone', 'Unmapped', 'x')`)
		f.sql(`INSERT INTO ledgerport.reversal_vouchers VALUES ('acme', '07', '0', 1, 2026, 90), ('acme', '7', '0', 2, 2026, 91)`)
		f.sql(`INSERT INTO ledgerport.posted_vouchers (run_id, position, organization_id, claim_id, fiscal_year, voucher_number, lines, currency, debit, payable, base_debit, base_payable)
			VALUES ('1', 1, 'acme', 'A', 2026, 1, 1, 'NOK', 1, 1, 1, 1)`)
		f.must(f.openSource("acme/one", v1alpha1.PostgresSource{}).Migrate(t.Context()))
		for query, want := range map[string]int{
			`SELECT count(*) FROM ledgerport.exported_claims WHERE claim_id IN ('A', '7')`:                                       3,
			`SELECT count(DISTINCT claim_table) FROM ledgerport.exported_claims`:                                                 2,
			`SELECT count(*) FROM ledgerport.held_claims`:                                                                        2,
			`SELECT count(*) FROM ledgerport.reversal_vouchers WHERE claim_id = '7'`:                                             2,
			`SELECT count(*) FROM ledgerport.posted_vouchers p JOIN ledgerport.exported_claims e USING (run_id, claim_table)`:    2,
			`SELECT count(*) FROM ledgerport.vouchers WHERE organization_id = 'acme' AND run = '1' AND voucher_number IN (1, 2)`: 2,
		} {
			if n := f.count(query); n != want {
				t.Errorf("%s: %d, want %d", query, n, want)
			}
		}
	})
}
