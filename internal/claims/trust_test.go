package claims_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/testdb"
)

func TestInspect_RefusesASchemaThatOthersMayChange(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		attack  string // %r is the other role
		says    string
		remedy  string // empty where the message has the statement
		nothing bool   // it is no attack
	}{
		"nobody else":                      {attack: `SELECT 1`, nothing: true},
		"somebody who reads":               {attack: `GRANT USAGE ON SCHEMA ledgerport TO %r; GRANT SELECT ON ALL TABLES IN SCHEMA ledgerport TO %r`, nothing: true},
		"somebody who may create":          {attack: `GRANT CREATE ON SCHEMA ledgerport TO %r`, says: "may CREATE on SCHEMA ledgerport"},
		"somebody who may insert":          {attack: `GRANT INSERT ON ledgerport.exported_claims TO %r`, says: "may INSERT on ledgerport.exported_claims"},
		"somebody who may delete":          {attack: `GRANT DELETE ON ledgerport.runs TO %r`, says: "may DELETE on ledgerport.runs"},
		"somebody who may empty":           {attack: `GRANT TRUNCATE ON ledgerport.runs TO %r`, says: "may TRUNCATE"},
		"somebody who may add a trigger":   {attack: `GRANT TRIGGER ON ledgerport.runs TO %r`, says: "may TRIGGER"},
		"somebody who may refer":           {attack: `GRANT REFERENCES ON ledgerport.runs TO %r`, says: "may REFERENCES"},
		"somebody who may change a column": {attack: `GRANT UPDATE (next) ON ledgerport.voucher_numbers TO %r`, says: "may UPDATE (next) on ledgerport.voucher_numbers"},
		"everybody":                        {attack: `GRANT UPDATE ON ledgerport.voucher_numbers TO PUBLIC`, says: "PUBLIC may UPDATE"},
		"somebody who owns a table":        {attack: `ALTER TABLE ledgerport.held_claims OWNER TO %r`, says: "owns ledgerport.held_claims"},
		"somebody who owns the schema":     {attack: `ALTER SCHEMA ledgerport OWNER TO %r`, says: "owns the schema"},
		"a trigger that is left":           {attack: `CREATE TRIGGER leftover BEFORE UPDATE ON ledgerport.runs FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`, says: "the trigger"},
		"a rule that is left":              {attack: `CREATE RULE leftover AS ON DELETE TO ledgerport.runs DO INSTEAD NOTHING`, says: "the rule"},
		"a policy that is left":            {attack: `CREATE POLICY leftover ON ledgerport.runs USING (true)`, says: "the policy"},
		"a default that somebody owns": {
			attack: `CREATE FUNCTION public.theirs() RETURNS text LANGUAGE sql AS 'SELECT ''x'''; ALTER FUNCTION public.theirs OWNER TO %r; ALTER TABLE ledgerport.held_claims ALTER message SET DEFAULT public.theirs()`,
			says:   "a default with the function", remedy: `ALTER TABLE ledgerport.held_claims ALTER message DROP DEFAULT`,
		},
		"an index that somebody owns": {
			attack: `CREATE FUNCTION public.theirs(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'; ALTER FUNCTION public.theirs OWNER TO %r; CREATE INDEX theirs ON ledgerport.held_claims (public.theirs(message))`,
			says:   "an index with the function", remedy: `DROP INDEX ledgerport.theirs`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			url := testdb.Operator(t, f.url, "role.sql", "migrated.sql")
			f.sql(`ALTER SCHEMA ledgerport OWNER TO ` + testdb.RoleOf(url))
			other := f.role()
			for statement := range strings.SplitSeq(strings.ReplaceAll(test.attack, "%r", other), "; ") {
				f.sql(statement)
			}
			database := f.openAs(url)
			_, err := database.Inspect(t.Context())
			if test.nothing {
				f.must(err)
				return
			}
			failed := failureWith(t, err, v1alpha1.ReasonSchemaNotTrusted)
			if !strings.Contains(failed.Message, test.says) {
				t.Errorf("%q does not say %q", failed.Message, test.says)
			}
			remedy := test.remedy
			if remedy == "" {
				_, remedy, _ = strings.Cut(failed.Message, "Run ")
			}
			for statement := range strings.SplitSeq(strings.TrimSuffix(remedy, ";"), ";") {
				f.sql(statement) // what the message says works, and helps
			}
			_, err = database.Inspect(t.Context())
			f.must(err)
		})
	}
}

// TestMigrate_PutsNothingIntoASchemaOfSomebodyElse has a role that may create schemas, and was there first, with a table that claims to be the schema's.
func TestMigrate_PutsNothingIntoASchemaOfSomebodyElse(t *testing.T) {
	t.Parallel()
	for name, statements := range map[string]string{
		"an empty schema": `CREATE SCHEMA ledgerport`,
		"a schema that says it is new": `CREATE SCHEMA ledgerport; CREATE TABLE ledgerport.schema_version (version_id bigint, is_applied boolean);
			INSERT INTO ledgerport.schema_version SELECT i, true FROM generate_series(0, 100) i; GRANT ALL ON SCHEMA ledgerport TO PUBLIC; GRANT SELECT ON ledgerport.schema_version TO PUBLIC`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			f.sql(`DROP SCHEMA ledgerport CASCADE`)
			url := testdb.Operator(t, f.url, "role.sql")
			other := f.role()
			f.sql(`DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO ` + other + `', current_database()); END $$`)
			asOther, err := pgx.Connect(t.Context(), f.as(other, "right"))
			f.must(err)
			defer func() { _ = asOther.Close(context.Background()) }()
			_, err = asOther.Exec(t.Context(), statements)
			f.must(err)
			database, err := claims.Open(t.Context(), claims.Options{URL: url, Allowed: insecure})
			f.must(err)
			defer database.Close()
			_, err = database.CheckSchema(t.Context())
			mustFail(t, err, v1alpha1.ReasonSchemaNotTrusted)
			mustFail(t, database.Migrate(t.Context()), v1alpha1.ReasonSchemaNotTrusted)
		})
	}
}
