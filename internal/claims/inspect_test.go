package claims_test

import (
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
)

func TestInspect_SaysOfEveryColumnWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change string // of the application's tables
		layout v1alpha1.PostgresSource
		reason v1alpha1.Reason // none: all is well
		says   []string
	}{
		"the tables of the contract": {change: ``},
		"no claims table":            {change: `ALTER TABLE claims RENAME TO receipts`, reason: v1alpha1.ReasonTableNotFound, says: []string{"no table public.claims; correct spec.postgres.claims.table, or create it"}},
		"no lines table":             {change: `DROP TABLE claim_lines`, reason: v1alpha1.ReasonTableNotFound, says: []string{"no table public.claim_lines; correct spec.postgres.lines.table, or create it"}},
		"no such schema": {
			layout: v1alpha1.PostgresSource{Lines: v1alpha1.LinesTable{Table: "nowhere.claim_lines"}},
			reason: v1alpha1.ReasonTableNotFound, says: []string{"nowhere.claim_lines"},
		},
		"a table name that is SQL": {
			layout: v1alpha1.PostgresSource{Claims: v1alpha1.ClaimsTable{Table: `claims"; DROP TABLE claim_lines; --`}},
			reason: v1alpha1.ReasonTableNotFound,
		},
		"a required column is missing, and two have the wrong type": {
			change: `ALTER TABLE claims DROP approved_at; ALTER TABLE claim_lines ALTER gross_amount TYPE float8; ALTER TABLE claim_lines ALTER expense_date TYPE timestamptz`,
			reason: v1alpha1.ReasonColumnMismatch,
			says: []string{
				"spec.postgres.claims.columns.approvedAt is not set, and the table public.claims has no column approved_at; did you mean \"approved_by\"?",
				"spec.postgres.lines.columns.grossAmount: column public.claim_lines.gross_amount is double precision and must be numeric or an integer type",
				"spec.postgres.lines.columns.expenseDate: column public.claim_lines.expense_date is timestamp with time zone and must be date",
			},
		},
		"a timestamp without time zone": {
			change: `ALTER TABLE claims ALTER approved_at TYPE timestamp`,
			reason: v1alpha1.ReasonColumnMismatch, says: []string{"claims.approved_at is timestamp without time zone"},
		},
		"an id of bytes": {
			change: `ALTER TABLE claims ADD number bytea`, layout: v1alpha1.PostgresSource{Claims: v1alpha1.ClaimsTable{Columns: map[string]v1alpha1.ColumnName{"id": "number"}}},
			reason: v1alpha1.ReasonColumnMismatch, says: []string{"claims.number is bytea and must be uuid, text"},
		},
		"dimensions as text": {
			change: `ALTER TABLE claim_lines ALTER dimensions TYPE text`,
			reason: v1alpha1.ReasonColumnMismatch, says: []string{"claim_lines.dimensions is text and must be jsonb or json"},
		},
		"an optional column is missing": {change: `ALTER TABLE claims DROP claimant_name; ALTER TABLE claim_lines DROP dimensions`},
		"an optional column is missing that the resource names": {
			layout: v1alpha1.PostgresSource{Lines: v1alpha1.LinesTable{Columns: map[string]v1alpha1.ColumnName{"unit": "measure"}}},
			reason: v1alpha1.ReasonColumnMismatch, says: []string{"spec.postgres.lines.columns.unit names public.claim_lines.measure, which the table lacks; name a column that is text, varchar, char, citext, uuid, an enum or an integer type"},
		},
		"a column that is misspelt": {
			change: `ALTER TABLE claims RENAME description TO "formaal"`, layout: v1alpha1.PostgresSource{Claims: v1alpha1.ClaimsTable{Columns: map[string]v1alpha1.ColumnName{"description": "formal"}}},
			reason: v1alpha1.ReasonColumnMismatch, says: []string{`spec.postgres.claims.columns.description names public.claims.formal, which the table lacks; did you mean "formaal"?`},
		},
		"a status column that is misspelt": {
			layout: v1alpha1.PostgresSource{Claims: v1alpha1.ClaimsTable{Approved: v1alpha1.ApprovedFilter{Column: "Stat_us"}}},
			reason: v1alpha1.ReasonColumnMismatch, says: []string{`spec.postgres.claims.approved.column names public.claims.Stat_us, which the table lacks; did you mean "status"?`},
		},
		"an enum without the value that means approved": {
			change: `CREATE TYPE claim_state AS ENUM ('open', 'paid'); ALTER TABLE claims ALTER status TYPE claim_state USING 'open'`,
			reason: v1alpha1.ReasonColumnMismatch, says: []string{`claims.status is the enum public.claim_state, which has no value "approved"; correct spec.postgres.claims.approved`},
		},
		"a status that is a number": {
			change: `ALTER TABLE claims ALTER status TYPE int USING 1`,
			reason: v1alpha1.ReasonColumnMismatch, says: []string{`claims.status is integer, which has no value "approved"`},
		},
		"a status that is a number, by its number": {
			change: `ALTER TABLE claims ALTER status TYPE int USING 1`,
			layout: v1alpha1.PostgresSource{Claims: v1alpha1.ClaimsTable{Approved: v1alpha1.ApprovedFilter{Values: []string{"1"}}}},
		},
		"a status that is an array": {
			change: `ALTER TABLE claims ALTER status TYPE text[] USING ARRAY[status]`,
			reason: v1alpha1.ReasonColumnMismatch, says: []string{"claims.status is text[] and must be text, varchar, char"},
		},
		"a domain over a domain over an array": {
			change: `CREATE DOMAIN many AS text[]; CREATE DOMAIN more AS many; ALTER TABLE claims ALTER claimant_id TYPE more USING ARRAY[claimant_id]`,
			reason: v1alpha1.ReasonColumnMismatch, says: []string{"claims.claimant_id is public.more and must be text"},
		},
		"lines that name their claim in another way": {
			change: `ALTER TABLE claim_lines DROP CONSTRAINT claim_lines_claim_id_fkey; ALTER TABLE claim_lines ALTER claim_id TYPE text`,
			reason: v1alpha1.ReasonColumnMismatch, says: []string{"claim_lines.claim_id is text and must be as public.claims.id, which is uuid"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			f.sql(test.change)
			_, err := f.open(test.layout).Inspect(t.Context())
			if test.reason == "" {
				f.must(err)
				return
			}
			failed := failureWith(t, err, test.reason)
			for _, says := range test.says {
				if !strings.Contains(failed.Message, says) {
					t.Errorf("the message lacks %q: %s", says, failed.Message)
				}
			}
			if failed.Stalled {
				t.Error("a table may be altered at any time: to look again must be worth while")
			}
		})
	}
}

func TestInspect_GivesTheIndexThatIsMissing(t *testing.T) {
	t.Parallel()
	const (
		onClaims = `CREATE INDEX CONCURRENTLY ON "public"."claims" ("organization_id", "status", "approved_at");`
		onLines  = `CREATE INDEX CONCURRENTLY ON "public"."claim_lines" ("claim_id");`
	)
	for name, test := range map[string]struct{ index, missing string }{
		"none":                                 {``, onClaims},
		"organisation, status and approval":    {`CREATE INDEX ON claims (organization_id, status, approved_at)`, ""},
		"status first":                         {`CREATE INDEX ON claims (status, organization_id, approved_at, id)`, ""},
		"the approval is missing":              {`CREATE INDEX ON claims (organization_id, status)`, onClaims},
		"the approval is not third":            {`CREATE INDEX ON claims (organization_id, approved_at, status)`, onClaims},
		"partial, of the approved ones":        {`CREATE INDEX ON claims (organization_id, approved_at) WHERE status = 'approved'`, ""},
		"partial, of other ones":               {`CREATE INDEX ON claims (organization_id, approved_at) WHERE status = 'draft'`, onClaims},
		"partial, on something else":           {`CREATE INDEX ON claims (organization_id, status, approved_at) WHERE claimant_iban IS NULL`, onClaims},
		"partial, on more":                     {`CREATE INDEX ON claims (organization_id, approved_at) WHERE status = 'approved' AND currency = 'NOK'`, onClaims},
		"partial, on several values":           {`CREATE INDEX ON claims (organization_id, approved_at) WHERE status IN ('approved', 'paid')`, ""},
		"an expression":                        {`CREATE INDEX ON claims (organization_id, lower(status), approved_at)`, onClaims},
		"another access method":                {`CREATE INDEX ON claims USING brin (organization_id, status, approved_at)`, onClaims},
		"lines cannot be looked up":            {`ALTER TABLE claim_lines DROP CONSTRAINT claim_lines_pkey; CREATE INDEX ON claims (organization_id, status, approved_at)`, onLines},
		"neither claims nor lines":             {`ALTER TABLE claim_lines DROP CONSTRAINT claim_lines_pkey`, onClaims + " " + onLines},
		"a view says nothing of its indexes":   {`ALTER TABLE claims RENAME TO all_claims; CREATE VIEW claims AS SELECT * FROM all_claims`, ""},
		"an index that could not be completed": {`CREATE INDEX broken ON claims (organization_id, status, approved_at); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass`, onClaims},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, strings.ReplaceAll(applicationTables, "CREATE INDEX ON claims (organization_id, status, approved_at);", ""))
			f.sql(test.index)
			got, err := f.open(v1alpha1.PostgresSource{}).Inspect(t.Context())
			f.must(err)
			if got.MissingIndex != test.missing {
				t.Errorf("got  %s\nwant %s", got.MissingIndex, test.missing)
			}
			if test.missing != "" {
				for statement := range strings.SplitSeq(strings.TrimSuffix(test.missing, ";"), ";") {
					f.sql(statement) // the statement that is given works, and helps
				}
				if got, err = f.open(v1alpha1.PostgresSource{}).Inspect(t.Context()); err != nil || got.MissingIndex != "" {
					t.Errorf("after the statement was run %q is missing, %v", got.MissingIndex, err)
				}
			}
		})
	}
}

func TestInspect_SaysWhichRightIsMissing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	role := f.role()
	f.sql(`GRANT SELECT ON claims TO ` + role)
	f.sql(`GRANT SELECT (claim_id, line_no, expense_date, category, gross_amount) ON claim_lines TO ` + role)
	database, err := claims.Open(t.Context(), claims.Options{URL: f.as(role, "right"), Allowed: insecure})
	f.must(err)
	defer database.Close()
	_, err = database.Inspect(t.Context())
	_, statement, found := strings.Cut(failureWith(t, err, v1alpha1.ReasonPermissionDenied).Message, "; run ")
	if !found || !strings.Contains(statement, `"tax_amount"`) || strings.Contains(statement, `"gross_amount"`) {
		t.Fatalf("the message is %s", err)
	}
	f.sql(statement)
	_, err = database.Inspect(t.Context())
	if failed := failureWith(t, err, v1alpha1.ReasonPermissionDenied); !strings.Contains(failed.Message, "schema ledgerport") || !strings.Contains(failed.Message, "ledgerport grants") {
		t.Errorf("the message is %s", failed.Message)
	}
}

func TestSchema_IsOutdatedThenCurrentThenTooNew(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	database := f.open(v1alpha1.PostgresSource{})
	f.sql(`DROP SCHEMA ledgerport CASCADE`)
	_, err := database.CheckSchema(t.Context())
	mustFail(t, err, v1alpha1.ReasonSchemaOutdated)
	f.must(database.Migrate(t.Context()))
	f.must(database.Migrate(t.Context()))
	if version, err := database.CheckSchema(t.Context()); err != nil || version != claims.SchemaVersion {
		t.Errorf("the version is %d, %v", version, err)
	}
	f.sql(`INSERT INTO ledgerport.schema_version (version_id, is_applied) VALUES ($1, true)`, claims.SchemaVersion+1)
	_, err = database.CheckSchema(t.Context())
	mustFail(t, err, v1alpha1.ReasonSchemaTooNew)
	_, err = database.Inspect(t.Context())
	mustFail(t, err, v1alpha1.ReasonSchemaTooNew)
}

func TestSchema_SeveralMigrateAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.sql(`DROP SCHEMA ledgerport CASCADE`)
	done := make(chan error)
	for range 3 {
		database := f.open(v1alpha1.PostgresSource{})
		go func() { done <- database.Migrate(t.Context()) }()
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestSchema_EveryTableAndColumnThatNeedsOneHasAComment(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	if n := f.count(`SELECT count(*) FROM pg_class WHERE relnamespace = 'ledgerport'::regnamespace AND relkind = 'r'
		AND relname <> 'schema_version' AND obj_description(oid) IS NULL`); n != 0 {
		t.Errorf("%d tables have no comment", n)
	}
}
