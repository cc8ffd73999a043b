package claims_test

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// TestGrants_OfTheDefaultClaimSourceAreShipped compares config/postgres; with UPDATE it writes the files.
func TestGrants_OfTheDefaultClaimSourceAreShipped(t *testing.T) {
	t.Parallel()
	scripts, err := claims.GrantsFor(v1alpha1.ClaimSourceSpec{}, claims.OperatorRole)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"role.sql": scripts.Role, "managed.sql": scripts.Managed} {
		file := filepath.Join("..", "..", "config", "postgres", name)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("config/postgres/%s is not what ledgerport grants prints (%v): UPDATE=1 go test ./internal/claims -run Shipped", name, err)
		}
	}
}

// layouts are tables of applications, of which each has a claim of acme between claims of another organisation.
var layouts = map[string]struct {
	tables string // owner is the current role
	layout v1alpha1.PostgresSource
	claims string // the tables as SQL, if they are not the contract's
	bound  bool
}{
	"those of the contract": {tables: applicationTables, bound: true},
	"one name for the key of both tables": {
		tables: strings.ReplaceAll(applicationTables, "claim_id", "id"), bound: true,
		layout: v1alpha1.PostgresSource{Lines: v1alpha1.LinesTable{Columns: map[string]v1alpha1.ColumnName{"claimID": "id"}}},
	},
	"one name for both tables, in two schemas": {
		tables: `CREATE SCHEMA a; CREATE SCHEMA b;` + strings.NewReplacer("TABLE claims", "TABLE a.c", "ON claims", "ON a.c", "REFERENCES claims", "REFERENCES a.c", "claim_lines", "b.c").Replace(applicationTables),
		layout: v1alpha1.PostgresSource{Claims: v1alpha1.ClaimsTable{Table: "a.c"}, Lines: v1alpha1.LinesTable{Table: "b.c"}}, bound: true,
	},
	"names that are hard to quote": {
		tables: `CREATE SCHEMA "o'Brien ""&"" %s";` + strings.NewReplacer("TABLE claims", `TABLE "o'Brien ""&"" %s"."cla$do$ims %I"`, "ON claims", `ON "o'Brien ""&"" %s"."cla$do$ims %I"`,
			"REFERENCES claims", `REFERENCES "o'Brien ""&"" %s"."cla$do$ims %I"`, "claim_lines", `"o'Brien ""&"" %s"."l'ines"`, "organization_id", `"org""'%s"`, "(\n\t\tclaim_id uuid", "(\n\t\t\"cl'aim\" uuid", "(claim_id,", "(\"cl'aim\",").Replace(applicationTables),
		layout: v1alpha1.PostgresSource{
			Claims: v1alpha1.ClaimsTable{Table: `o'Brien "&" %s.cla$do$ims %I`, Columns: map[string]v1alpha1.ColumnName{"organizationID": `org"'%s`}},
			Lines:  v1alpha1.LinesTable{Table: `o'Brien "&" %s.l'ines`, Columns: map[string]v1alpha1.ColumnName{"claimID": "cl'aim"}},
		}, bound: true,
	},
	"organisations that are texts":    {tables: strings.ReplaceAll(applicationTables, "organization_id uuid", "organization_id varchar(40)"), bound: true},
	"organisations that are a domain": {tables: `CREATE DOMAIN organization AS uuid;` + strings.ReplaceAll(applicationTables, "organization_id uuid", "organization_id organization"), bound: true},
	"partitions": {
		tables: strings.NewReplacer("id uuid PRIMARY KEY,", "id uuid NOT NULL,", "description text);\n\tCREATE INDEX", "description text) PARTITION BY HASH (id);\nCREATE TABLE claims_0 PARTITION OF claims FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE claims_1 PARTITION OF claims FOR VALUES WITH (MODULUS 2, REMAINDER 1);\n\tCREATE INDEX",
			"REFERENCES claims", "").Replace(applicationTables), bound: true,
	},
	"a view":                  {tables: strings.NewReplacer("TABLE claims", "TABLE kept", "ON claims", "ON kept", "REFERENCES claims", "REFERENCES kept").Replace(applicationTables) + `; CREATE VIEW claims AS SELECT * FROM kept`},
	"fewer columns, and more": {tables: strings.NewReplacer("claimant_iban text,", "salary numeric,", "receipt_uri text,", "").Replace(applicationTables), bound: true},
}

// TestGrants_WorkForTheOwnerOfTheTables runs the scripts as a role that is no superuser, twice, and then looks at what the role that they
// made can do.
func TestGrants_WorkForTheOwnerOfTheTables(t *testing.T) {
	t.Parallel()
	for name, test := range layouts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, `SELECT 1`)
			f.sql(`DROP SCHEMA ledgerport CASCADE`)
			owner := f.role()
			f.sql(`ALTER ROLE ` + owner + ` CREATEROLE; GRANT CREATE ON SCHEMA public TO ` + owner)
			f.sql(`DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO ` + owner + `', current_database()); END $$`)
			asOwner, err := pgx.Connect(t.Context(), f.as(owner, "right"))
			f.must(err)
			defer func() { _ = asOwner.Close(context.Background()) }()
			_, err = asOwner.Exec(t.Context(), test.tables)
			f.must(err)

			role := "op'erator \"%I\" " + strings.ToLower(rand.Text())
			quoted := pgx.Identifier{role}.Sanitize()
			scripts, err := claims.GrantsFor(v1alpha1.ClaimSourceSpec{Postgres: test.layout}, role)
			f.must(err)
			for _, script := range []string{scripts.Role, scripts.Managed, scripts.Role, scripts.Managed} {
				if _, err := asOwner.Exec(t.Context(), script); err != nil {
					t.Fatalf("%s\n%s", err, script)
				}
			}
			t.Cleanup(func() {
				_, err := f.conn.Exec(context.Background(), `DROP OWNED BY `+quoted+` CASCADE; DROP ROLE `+quoted)
				f.must(err)
			})
			_, err = asOwner.Exec(t.Context(), `ALTER ROLE `+quoted+` PASSWORD 'right'`)
			f.must(err)

			database, err := claims.Open(t.Context(), claims.Options{URL: f.as(role, "right"), Layout: test.layout, Allowed: insecure})
			f.must(err)
			defer database.Close()
			f.must(database.Migrate(t.Context()))
			found, err := database.Check(t.Context())
			f.must(err)
			if bound := len(found.Unprotected) == 0; bound != test.bound || found.ForeignRows != "" {
				t.Errorf("unprotected are %v, and it saw %q", found.Unprotected, found.ForeignRows)
			}
			fillLayout(f, test.layout)
			if found, err = database.Check(t.Context()); err != nil || found.ForeignRows != "" {
				t.Errorf("with claims it saw %q, %v", found.ForeignRows, err)
			}
			if test.bound {
				database.ForgetOrganizations()
			}
			if _, taken := f.reserveAll(database, attemptOf("1"), year2026); !slices.Equal(taken, []string{id(2)}) {
				t.Errorf("took %v, want the one of acme", taken)
			}
			if found, err = database.Check(t.Context()); err != nil || found.ForeignRows != "" {
				t.Errorf("after an export it saw %q, %v", found.ForeignRows, err)
			}
			asRole, err := pgx.Connect(t.Context(), f.as(role, "right"))
			f.must(err)
			defer func() { _ = asRole.Close(context.Background()) }()
			if _, err := asRole.Exec(t.Context(), `SELECT salary FROM claims`); err == nil {
				t.Error("the role reads a column that is not the contract's")
			}
		})
	}
}

// fillLayout adds a claim of acme between claims of another organisation.
func fillLayout(f *fixture, layout v1alpha1.PostgresSource) {
	f.Helper()
	table := func(declared, otherwise string) string {
		if declared == "" {
			return otherwise
		}
		schema, name, _ := strings.Cut(declared, ".")
		return pgx.Identifier{schema, name}.Sanitize()
	}
	organization, claimID := "organization_id", "claim_id"
	if renamed, ok := layout.Claims.Columns["organizationID"]; ok {
		organization = string(renamed)
	}
	if renamed, ok := layout.Lines.Columns["claimID"]; ok {
		claimID = string(renamed)
	}
	for n, of := range []string{stranger, acme, stranger} {
		f.sql(`INSERT INTO `+table(layout.Claims.Table, "claims")+` (id, `+pgx.Identifier{organization}.Sanitize()+`, claimant_id, status, approved_at, currency)
			VALUES ($1, $2, 'E1', 'approved', $3, 'NOK')`, id(n+1), of, before)
		f.sql(`INSERT INTO `+table(layout.Lines.Table, "claim_lines")+` (`+pgx.Identifier{claimID}.Sanitize()+`, line_no, expense_date, category, gross_amount, tax_amount)
			VALUES ($1, 1, '2026-10-20', 'travel', 125, 25)`, id(n+1))
	}
}

// TestIsolated_DoesNotBelieveTheCatalog has policies that look sound there, and are not.
func TestIsolated_DoesNotBelieveTheCatalog(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ policy, says string }{
		"those that are shipped": {},
		"a column that is compared with itself": {
			`DROP POLICY ledgerport ON claim_lines; CREATE POLICY ledgerport ON claim_lines AS RESTRICTIVE TO %r USING (EXISTS (SELECT FROM claims c WHERE claim_id = claim_lines.claim_id) OR claim_id = claim_id)`,
			"bound to no organisation sees lines in public.claim_lines",
		},
		"all claims":                {`DROP POLICY ledgerport ON claims`, "bound to no organisation sees claims in public.claims"},
		"those of any organisation": {`DROP POLICY ledgerport ON claims; CREATE POLICY ledgerport ON claims AS RESTRICTIVE TO %r USING (current_setting('ledgerport.organization_id', true) <> '')`, "bound to an organisation that does not exist sees claims"},
		"organisations that exist": {
			`DROP POLICY ledgerport ON claims; CREATE POLICY ledgerport ON claims AS RESTRICTIVE TO %r USING (current_setting('ledgerport.organization_id', true) = '` + acme + `')`,
			"bound to one organisation sees claims of another",
		},
		"lines of all, of those that exist": {
			`DROP POLICY ledgerport ON claim_lines; CREATE POLICY ledgerport ON claim_lines AS RESTRICTIVE TO %r USING (current_setting('ledgerport.organization_id', true) = '` + acme + `')`,
			"sees lines of claims that it does not see",
		},
		"a policy that insists by an error": {`DROP POLICY ledgerport ON claims; CREATE POLICY ledgerport ON claims AS RESTRICTIVE TO %r USING (organization_id = current_setting('ledgerport.organization_id')::uuid)`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := twoOrganisations(t)
			url := testdb.Operator(t, f.url, "role.sql", "migrated.sql")
			database := f.openAs(url)
			f.reserveAll(database, attemptOf("1"), year2026)
			if test.policy != "" {
				f.sql(strings.ReplaceAll(test.policy, "%r", testdb.RoleOf(url)))
			}
			found, err := database.Check(t.Context())
			f.must(err)
			if len(found.Unprotected) != 0 {
				t.Errorf("the catalog says that %v are not protected", found.Unprotected)
			}
			if (found.ForeignRows == "") != (test.says == "") || !strings.Contains(found.ForeignRows, test.says) {
				t.Errorf("it saw %q, want %q", found.ForeignRows, test.says)
			}
		})
	}
}
