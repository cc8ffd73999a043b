package claims_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
)

// in names the table of claims.
func in(table string) v1alpha1.PostgresSource {
	return v1alpha1.PostgresSource{Claims: v1alpha1.ClaimsTable{Table: table}}
}

// TestAClaimIsARowOfATable exports claim 1, changes what does not make another claim of it, and exports again.
func TestAClaimIsARowOfATable(t *testing.T) {
	t.Parallel()
	const integers = `ALTER TABLE claims ALTER id TYPE int USING id::int; ALTER TABLE claim_lines ALTER claim_id TYPE int USING claim_id::int`
	const uuids = `ALTER TABLE claims ALTER id TYPE uuid USING id::uuid; ALTER TABLE claim_lines ALTER claim_id TYPE uuid USING claim_id::uuid`
	for name, test := range map[string]struct {
		id           string
		change       string
		source       string
		layout       v1alpha1.PostgresSource
		organization string
	}{
		"and nothing else":               {},
		"whose organisation is renamed":  {change: `UPDATE claims SET organization_id = 'renamed'`, organization: "renamed"},
		"whose ClaimSource is renamed":   {source: "acme/renamed"},
		"which is renamed":               {change: `ALTER TABLE claims RENAME TO expenses`, layout: in("expenses")},
		"which is in another schema":     {change: `CREATE SCHEMA elsewhere; ALTER TABLE claims SET SCHEMA elsewhere`, layout: in("elsewhere.claims")},
		"which was restored from a dump": {change: `ALTER TABLE claims RENAME TO old; CREATE TABLE claims (LIKE old INCLUDING ALL); INSERT INTO claims SELECT * FROM old; DROP TABLE old`},
		"which was restored elsewhere, where its oid is that of another": {
			change: `UPDATE ledgerport.claim_tables SET server = '4711/5', relation = 'claim_lines'::regclass`,
		},
		"that is seen through a view": {change: `CREATE VIEW approved_claims AS SELECT * FROM claims WHERE status = 'approved'`, layout: in("approved_claims")},
		"that is seen through a view of a view": {
			change: `CREATE VIEW one AS SELECT * FROM claims; CREATE VIEW two AS SELECT * FROM one`, layout: in("two"),
		},
		"whose id column is renamed": {
			change: `ALTER TABLE claims RENAME id TO number`,
			layout: v1alpha1.PostgresSource{Claims: v1alpha1.ClaimsTable{Columns: map[string]v1alpha1.ColumnName{"id": "number"}}},
		},
		"whose uuids become of type uuid":                              {id: "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", change: uuids},
		"whose uuids in braces do":                                     {id: "{a0eebc999c0b4ef8bb6d6bb9bd380a11}", change: uuids},
		"whose numbers become of type integer and the other way round": {id: "0042", change: integers},
		"whose uuids are written in another way":                       {id: "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", change: `UPDATE claims SET id = lower(id)`},
		"whose ids become of type varchar":                             {change: `ALTER TABLE claims ALTER id TYPE varchar(40)`},
		"whose ids become of type char":                                {change: `ALTER TABLE claims ALTER id TYPE char(40); ALTER TABLE claim_lines ALTER claim_id TYPE char(40)`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, textIDs)
			claim, organization, source := "one", "acme", "acme/claims"
			if test.id != "" {
				claim = test.id
			}
			f.row("claims", claim, organization)
			f.mustTake(f.openSource(source, v1alpha1.PostgresSource{}), "1", organization, claim)
			f.sql(test.change)
			if test.organization != "" {
				organization = test.organization
			}
			if test.source != "" {
				source = test.source
			}
			after := f.openSource(source, test.layout)
			_, err := after.Inspect(t.Context())
			f.must(err)
			f.mustTake(after, "2", organization)
			f.mustTake(f.openSource(source, test.layout), "3", organization)
			if n := f.count(`SELECT count(*) FROM ledgerport.claim_tables`); n != 1 {
				t.Errorf("%d tables are recorded", n)
			}
		})
	}
}

func TestAClaimOfAnotherTableIsAnotherClaim(t *testing.T) {
	t.Parallel()
	f := newFixture(t, textIDs+`CREATE TABLE travels (LIKE claims INCLUDING ALL);
		CREATE TABLE parts (LIKE claims) PARTITION BY LIST (organization_id); CREATE TABLE part_acme PARTITION OF parts FOR VALUES IN ('acme')`)
	for _, table := range []string{"claims", "travels", "parts"} {
		f.sql(`INSERT INTO ` + table + ` VALUES ('1', 'acme', 'E1', 'approved', '2026-10-01', 'NOK'), ('2', 'acme', 'E1', 'approved', '2026-10-01', 'NOK')`)
	}
	f.sql(`INSERT INTO claim_lines VALUES ('1', 1, '2026-10-20', 'travel', 125, 25), ('2', 1, '2026-10-20', 'travel', 125, 25)`)
	f.mustTake(f.openSource("acme/one", in("claims")), "1", "acme", "1", "2")
	f.mustTake(f.openSource("acme/two", in("travels")), "2", "acme", "1", "2")
	f.mustTake(f.openSource("acme/three", in("part_acme")), "3", "acme", "1", "2")
	f.mustTake(f.openSource("acme/four", in("parts")), "4", "acme") // what its part has is its own
}

func TestAClaimThatMovesIsNotExportedAgain(t *testing.T) {
	t.Parallel()
	t.Run("and the others of its new organisation are", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, textIDs)
		for _, id := range []string{"a", "b", "c"} {
			f.row("claims", id, "acme")
		}
		database := f.openSource("acme/claims", v1alpha1.PostgresSource{})
		f.mustTake(database, "1", "acme", "a", "b", "c")
		f.row("claims", "d", "globex")
		f.sql(`UPDATE claims SET organization_id = 'globex' WHERE id = 'b'`)
		if held := f.mustTake(f.openSource("acme/claims", v1alpha1.PostgresSource{}), "2", "globex", "d"); len(held) > 0 {
			t.Errorf("held %v: the primary key says that it is the same claim", held)
		}
	})
	t.Run("and is held where it may be another one", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, strings.ReplaceAll(textIDs, " PRIMARY KEY", ""))
		f.row("claims", "a", "acme")
		f.mustTake(f.openSource("acme/claims", v1alpha1.PostgresSource{}), "1", "acme", "a")
		f.sql(`INSERT INTO claims VALUES ('a', 'globex', 'E1', 'approved', '2026-10-02', 'NOK')`)
		if held := f.mustTake(f.openSource("acme/claims", v1alpha1.PostgresSource{}), "2", "globex"); held["a"] != "DuplicateClaim" {
			t.Errorf("held %v, want a", held)
		}
	})
}

// TestOrganizationsAreComparedByteByByte has columns that take other spellings for the same.
func TestOrganizationsAreComparedByteByByte(t *testing.T) {
	t.Parallel()
	for name, column := range map[string]string{
		"under a case-insensitive collation": `CREATE COLLATION careless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
			ALTER TABLE claims ALTER organization_id TYPE text COLLATE careless`,
		"of type citext": `CREATE EXTENSION citext; ALTER TABLE claims ALTER organization_id TYPE citext`,
		"of type char":   `ALTER TABLE claims ALTER organization_id TYPE char(10)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, textIDs)
			f.sql(column)
			f.row("claims", "a", "acme")
			f.row("claims", "b", "ACME")
			database := f.openSource("acme/claims", v1alpha1.PostgresSource{})
			f.mustTake(database, "1", "acme", "a")
			f.mustTake(database, "2", "ACME", "b")
			f.mustTake(database, "3", "Acme")
		})
	}
}

func TestNothingBeginsWhereItIsNotKnownWhatWasExported(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change string
		layout v1alpha1.PostgresSource
		reason v1alpha1.Reason
		remedy string // what makes of it the same table, so that nothing is exported
	}{
		"because another table has its name now": {
			change: `ALTER TABLE claims RENAME TO old; CREATE TABLE claims (LIKE old INCLUDING ALL); INSERT INTO claims SELECT * FROM old`,
			reason: v1alpha1.ReasonClaimTableAmbiguous, remedy: "relation = ",
		},
		"because the ids are read from another column": {
			change: `ALTER TABLE claims ADD number text; UPDATE claims SET number = 'two'; UPDATE claim_lines SET claim_id = 'two'`,
			layout: v1alpha1.PostgresSource{Claims: v1alpha1.ClaimsTable{Columns: map[string]v1alpha1.ColumnName{"id": "number"}}},
			reason: v1alpha1.ReasonClaimTableAmbiguous,
		},
		"because the ids cannot be those that were exported": {
			change: `ALTER TABLE claims ALTER id TYPE int USING 1; ALTER TABLE claim_lines ALTER claim_id TYPE int USING 1`,
			reason: v1alpha1.ReasonClaimIDsChanged,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, textIDs)
			f.row("claims", "one", "acme")
			f.mustTake(f.openSource("acme/claims", v1alpha1.PostgresSource{}), "1", "acme", "one")
			f.sql(test.change)
			database := f.openSource("acme/claims", test.layout)
			attempt := attemptOf("2")
			attempt.OrganizationID = "acme"
			run := f.start(database, attempt)
			_, err := database.Reserve(t.Context(), run.Fence(), claims.Selection{})
			failed := failureWith(t, err, test.reason)
			if failed.Stalled || !strings.Contains(failed.Message, "UPDATE ledgerport.claim_tables SET") {
				t.Errorf("the message does not say what to do: %+v", failed)
			}
			if test.remedy == "" {
				return
			}
			statements := strings.Split(failed.Message, "run UPDATE ")
			at := slices.IndexFunc(statements, func(s string) bool { return strings.Contains(s, test.remedy) })
			statement, _, _ := strings.Cut(statements[at], ";")
			f.sql("UPDATE " + statement)
			f.must(database.Release(t.Context(), run.Fence(), "test"))
			f.mustTake(f.openSource("acme/claims", test.layout), "3", "acme")
		})
	}
}
