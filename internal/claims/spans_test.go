package claims

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/test/testdb"
)

func TestAStatementIsNamedByWhatItDoesAndByTablesOfTheLedger(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"SELECT attempt, state FROM ledgerport.runs WHERE id = $1":                         "sql SELECT runs",
		"\n\t\tupdate ledgerport.runs SET state = 'x'; DELETE FROM ledgerport.held_claims": "sql UPDATE runs held_claims",
		"BEGIN ISOLATION LEVEL read committed; SET LOCAL search_path = pg_catalog":         "sql BEGIN",
		"commit;": "sql COMMIT",
		`SELECT * FROM "Journey of Erika" c WHERE c.secret = 'ledgerport.erika' AND 1 = 4711`: "sql SELECT",
		"SELECT set_config('ledgerport.organization_id', $1, true)":                           "sql SELECT",
		"hunter2": "sql statement",
		"":        "sql statement",
		"SELECT ledgerport.runs.id, ledgerport.runs.name FROM ledgerport.ledger, ledgerport.claim_tables, ledgerport.vouchers": "sql SELECT runs ledger claim_tables",
	} {
		if have := nameOf(sql); have != want {
			t.Errorf("%q is called %q, want %q", sql, have, want)
		}
	}
}

func TestTheTablesOfTheLedgerHaveNames(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	database, err := Open(t.Context(), Options{URL: url, Allowed: Allowances{Insecure: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	if err := database.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := database.conn.Query(t.Context(), `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'ledgerport'`)
	if err != nil {
		t.Fatal(err)
	}
	present, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(present) < 10 {
		t.Fatalf("there are %d tables (%v)", len(present), err)
	}
	for _, table := range present {
		if want := "sql SELECT " + table; nameOf("SELECT FROM ledgerport."+table) != want {
			t.Errorf("the table %s is not among those that spans name", table)
		}
	}
}
