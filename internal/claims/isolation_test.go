package claims_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/testdb"
)

const (
	stranger  = "7a6b5c4d-0000-4000-8000-000000000009"
	malformed = "' OR true --"
)

// twoOrganisations has a claim of acme between claims of another organisation.
func twoOrganisations(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t, applicationTables)
	f.claimRange(3)
	f.sql(`UPDATE claims SET organization_id = $1 WHERE id IN ($2, $3)`, stranger, id(1), id(3))
	return f
}

func (f *fixture) openAs(url string) *claims.Database {
	f.Helper()
	database, err := claims.Open(f.ctx, claims.Options{URL: url, Allowed: insecure})
	f.must(err)
	f.Cleanup(database.Close)
	return database
}

// TestPoliciesShowNoForeignRowThoughAQueryAsksForAll takes the organisation out of the queries. Without policies that
// shows everything, so that the test is known to mean something; with them it shows what is the organisation's.
func TestPoliciesShowNoForeignRowThoughAQueryAsksForAll(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scripts []string
		want    []string
	}{
		"without policies":             {nil, []string{id(1), id(2), id(3)}},
		"with policies, after migrate": {[]string{"role.sql", "migrated.sql"}, []string{id(2)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := twoOrganisations(t)
			url := f.url
			if test.scripts != nil {
				url = testdb.Operator(t, f.url, test.scripts...)
			}
			database := f.openAs(url)
			database.ForgetOrganizations()
			run, taken := f.reserveAll(database, attemptOf("1"), year2026)
			if !slices.Equal(taken, test.want) {
				t.Errorf("took %v, want %v", taken, test.want)
			}
			f.must(database.Release(t.Context(), run.Fence(), "test"))
		})
	}
}

// TestTheRoleSeesNothingByItself asks as the role, for everything, with no organisation, the wrong one and the right one.
func TestTheRoleSeesNothingByItself(t *testing.T) {
	t.Parallel()
	f := twoOrganisations(t)
	f.sql(`REVOKE CREATE ON SCHEMA public FROM PUBLIC`) // every role has that right where PostgreSQL 14 made the database
	url := testdb.Operator(t, f.url, "role.sql", "migrated.sql")
	database := f.openAs(url)
	run := f.start(database, attemptOf("1"))
	reservation := f.reserve(database, run)
	taken, held := f.takeAll(reservation, year2026)
	f.must(reservation.Commit(f.ctx, rendered(taken, held)))
	reservation.Rollback()

	conn, err := pgx.Connect(t.Context(), url)
	f.must(err)
	defer func() { _ = conn.Close(t.Context()) }()
	for organization, want := range map[string]int{"": 0, malformed: 0, acme: 1, stranger: 2} {
		for _, table := range []string{"public.claims", "public.claim_lines"} {
			if got := visible(f, conn, organization, table); got != want {
				t.Errorf("%q sees %d rows of %s, want %d", organization, got, table, want)
			}
		}
	}
	for organization, want := range map[string]int{"": 0, acme: 1, stranger: 0} {
		for _, table := range []string{"ledgerport.runs", "ledgerport.voucher_numbers"} {
			if got := visible(f, conn, organization, table); got != want {
				t.Errorf("%q sees %d rows of %s, want %d", organization, got, table, want)
			}
		}
	}
	for _, statement := range []string{
		`UPDATE public.claims SET status = 'paid'`, `DELETE FROM public.claim_lines`, `CREATE TABLE public.mine ()`, `CREATE SCHEMA mine`,
		`DELETE FROM ledgerport.runs`, `UPDATE ledgerport.schema_version SET version_id = 99`, `DROP TABLE ledgerport.runs`,
		`ALTER TABLE public.claims DISABLE ROW LEVEL SECURITY`,
	} {
		if _, err := conn.Exec(t.Context(), statement); err == nil {
			t.Errorf("the role may %s", statement)
		}
	}
}

func visible(f *fixture, conn *pgx.Conn, organization, table string) (n int) {
	f.Helper()
	tx, err := conn.Begin(f.ctx)
	f.must(err)
	defer func() { _ = tx.Rollback(f.ctx) }()
	_, err = tx.Exec(f.ctx, `SELECT set_config('ledgerport.organization_id', $1, true)`, organization)
	f.must(err)
	err = tx.QueryRow(f.ctx, `SELECT count(*) FROM `+table).Scan(&n)
	if organization == malformed && err != nil {
		return 0 // nothing can be compared with it
	}
	f.must(err)
	return n
}

// TestNobodyElseNoticesThePolicies asks as another role of the application, before and after.
func TestNobodyElseNoticesThePolicies(t *testing.T) {
	t.Parallel()
	f := twoOrganisations(t)
	role := f.role()
	f.sql(`GRANT SELECT, UPDATE ON claims, claim_lines TO ` + role)
	operator := testdb.Operator(t, f.url, "role.sql", "role.sql") // twice does no harm
	conn, err := pgx.Connect(t.Context(), f.as(role, "right"))
	f.must(err)
	defer func() { _ = conn.Close(t.Context()) }()
	for _, table := range []string{"public.claims", "public.claim_lines"} {
		if got := visible(f, conn, "", table); got != 3 {
			t.Errorf("the application sees %d rows of %s, want 3", got, table)
		}
	}
	done, err := conn.Exec(t.Context(), `UPDATE claims SET description = 'seen'`)
	if err != nil || done.RowsAffected() != 3 {
		t.Errorf("the application changed %d claims (%v), want 3", done.RowsAffected(), err)
	}
	if _, err := f.openAs(operator).Inspect(t.Context()); err == nil {
		t.Error("the schema is not the role's yet")
	}
}

func TestInspect_SaysWhereNoPolicyBindsTheRole(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	found, err := f.open(v1alpha1.PostgresSource{}).Inspect(t.Context())
	f.must(err)
	if want := []string{"public.claims", "public.claim_lines"}; !slices.Equal(found.Unprotected, want) {
		t.Errorf("a superuser: %v, want %v", found.Unprotected, want)
	}
	url := testdb.Operator(t, f.url, "role.sql", "migrated.sql")
	found, err = f.openAs(url).Inspect(t.Context())
	f.must(err)
	if len(found.Unprotected) != 0 {
		t.Errorf("the shipped role: %v, want none", found.Unprotected)
	}
	f.sql(`ALTER TABLE claim_lines DISABLE ROW LEVEL SECURITY`)
	testdb.RunScript(t, f.url, "role.sql", testdb.RoleOf(url))
	found, err = f.openAs(url).Inspect(t.Context())
	f.must(err)
	if len(found.Unprotected) != 0 {
		t.Errorf("the script enables it again: %v", found.Unprotected)
	}
}
