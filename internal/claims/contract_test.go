package claims_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
)

// trusting are tables that keep to nothing by themselves.
const trusting = `
	CREATE TABLE claims (id text, organization_id text, claimant_id text, status text, approved_at timestamptz, currency text);
	CREATE TABLE claim_lines (claim_id text, line_no bigint, expense_date date, category text, gross_amount numeric, tax_amount numeric, quantity numeric);
	CREATE INDEX ON claims (organization_id, status, approved_at);`

// TestWhatBreaksTheContractIsHeld has one sound claim beside each that is not.
func TestWhatBreaksTheContractIsHeld(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3000)
	claim := func(id, approved string) string {
		return fmt.Sprintf(`INSERT INTO claims VALUES ('%s', 'acme', 'E1', 'approved', %s, 'NOK');`, id, approved)
	}
	line := func(values string) string {
		return claim("c", "'2026-10-02'") + `INSERT INTO claim_lines VALUES ('c', ` + values + `);`
	}
	const sound = `1, '2026-10-01', 'travel', 100, 0, 1`
	for name, test := range map[string]struct {
		sql, reason string
		held        []string
	}{
		"a line number twice":          {line(sound) + `INSERT INTO claim_lines VALUES ('c', ` + sound + `);`, "DuplicateLine", []string{"c"}},
		"a negative line number twice": {line(strings.Replace(sound, "1", "-5", 1)) + `INSERT INTO claim_lines VALUES ('c', -5, '2026-10-01', 'travel', 1, 0, 1);`, "DuplicateLine", []string{"c"}},
		"a line without a number":      {line(strings.Replace(sound, "1", "NULL", 1)), "UnnumberedLine", []string{"c"}},
		"a claim twice":                {line(sound) + claim("c", "'2026-10-02'"), "DuplicateClaim", []string{"c"}},
		"a claim twice, at other times": {
			line(sound) + claim("c", "'2026-10-03'"), "DuplicateClaim", []string{"c"},
		},
		"a claim twice, once at no time": {line(sound) + claim("c", "NULL"), "DuplicateClaim", []string{"c"}},
		"a uuid in two spellings": {
			claim("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "'2026-10-02'") + claim("a0eebc999c0b4ef8bb6d6bb9bd380a11", "'2026-10-03'"), "DuplicateClaim",
			[]string{"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc999c0b4ef8bb6d6bb9bd380a11"},
		},
		"an integer in two spellings":    {claim("7", "'2026-10-02'") + claim("007", "'2026-10-03'"), "DuplicateClaim", []string{"7", "007"}},
		"a claim approved at no time":    {claim("c", "NULL"), "NoLines", nil},
		"a claim approved for ever":      {claim("c", "'infinity'"), "NoLines", nil},
		"a claim approved since ever":    {claim("c", "'-infinity'"), "NoLines", nil},
		"a claim approved too late":      {claim("c", "'12026-10-02'"), "NoLines", nil},
		"a claim approved at the end":    {claim("c", "'294276-12-31 23:59:59.999999Z'"), "NoLines", nil},
		"a claim approved before Christ": {claim("c", "'0044-03-15 BC'"), "NoLines", nil},
		"an id that no index takes":      {claim(long, "'2026-10-02'"), "InvalidID", []string{claims.PrintableID(long)}},
		"no id":                          {claim("", "'2026-10-02'"), "InvalidID", []string{""}},
		"an id that is NULL":             {strings.Replace(claim("c", "'2026-10-02'"), "'c'", "NULL", 1), "InvalidID", []string{""}},
		"an id with an escape sequence":  {claim("c\x1b[2J", "'2026-10-02'"), "InvalidID", []string{claims.PrintableID("c\x1b[2J")}},
		"an id with a line break":        {claim("c\nd", "'2026-10-02'"), "InvalidID", []string{claims.PrintableID("c\nd")}},
		"an id that is written backward": {claim("c\u202ed", "'2026-10-02'"), "InvalidID", []string{claims.PrintableID("c\u202ed")}},
		"an amount that is none":         {line(strings.Replace(sound, "100", "'NaN'", 1)), "InvalidAmount", []string{"c"}},
		"an endless amount":              {line(strings.Replace(sound, "100", "'Infinity'", 1)), "InvalidAmount", []string{"c"}},
		"an endless tax":                 {line(strings.Replace(sound, "100, 0", "100, '-Infinity'", 1)), "InvalidAmount", []string{"c"}},
		"a quantity that is none":        {line(strings.TrimSuffix(sound, "1") + "'NaN'"), "InvalidQuantity", []string{"c"}},
		"an endless quantity":            {line(strings.TrimSuffix(sound, "1") + "'Infinity'"), "InvalidQuantity", []string{"c"}},
		"an expense before Christ":       {line(strings.Replace(sound, "2026-10-01", "0001-01-01 BC", 1)), "InvalidDate", []string{"c"}},
		"an expense in the year 12026":   {line(strings.Replace(sound, "2026-10-01", "12026-10-01", 1)), "InvalidDate", []string{"c"}},
		"an expense for ever":            {line(strings.Replace(sound, "2026-10-01", "infinity", 1)), "InvalidDate", []string{"c"}},
		"an expense in the last year":    {line(strings.Replace(sound, "2026-10-01", "5874897-12-31", 1)), "InvalidDate", []string{"c"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, trusting)
			f.sql(`INSERT INTO claims VALUES ('sound', 'acme', 'E1', 'approved', '2026-10-05', 'NOK');
				INSERT INTO claim_lines VALUES ('sound', 1, '2026-10-01', 'travel', 100, 0, 1), ('sound', 9007199254740993, '2026-10-01', 'travel', 100, 0, 1), ('sound', -1, '2026-10-01', 'travel', 1, 0, 1);` + test.sql)
			want := map[string]string{}
			if test.held == nil { // not dated, whatever else is wrong with it
				test.held, test.reason = []string{"c"}, "NotDated"
				f.sql(`INSERT INTO claim_lines VALUES ('c', 1, '2026-10-01', 'travel', 100, 0, 1)`)
			}
			for _, id := range test.held {
				want[id] = test.reason
			}
			database := f.openSource("acme/claims", v1alpha1.PostgresSource{})
			if held := f.mustTake(database, "1", "acme", "sound"); !maps.Equal(held, want) {
				t.Errorf("held %v, want %v", held, want)
			}
			if n := f.count(`SELECT count(*) FROM ledgerport.held_claims WHERE reason = $1`, test.reason); n != len(want) {
				t.Errorf("%d holds are recorded, want %d", n, len(want))
			}
			f.sql(`UPDATE claims SET status = 'paid' WHERE id IS DISTINCT FROM 'sound'`)
			f.mustTake(database, "2", "acme")
			if n := f.count(`SELECT count(*) FROM ledgerport.held_claims`); n != 0 {
				t.Errorf("%d claims are still held", n)
			}
		})
	}
}

// TestAClaimThatAViewShowsTwiceIsHeld has a join that gives one claim two rows at one time.
func TestAClaimThatAViewShowsTwiceIsHeld(t *testing.T) {
	t.Parallel()
	f := newFixture(t, textIDs+`CREATE TABLE approvers (claim_id text, name text);
		CREATE VIEW approved AS SELECT c.*, a.name AS approved_by FROM claims c LEFT JOIN approvers a ON a.claim_id = c.id`)
	f.row("claims", "a", "acme")
	f.row("claims", "b", "acme")
	f.sql(`INSERT INTO approvers VALUES ('a', 'one'), ('a', 'two'), ('b', 'one')`)
	held := f.mustTake(f.openSource("acme/claims", in("approved")), "1", "acme", "b")
	if !maps.Equal(held, map[string]string{"a": "DuplicateClaim"}) {
		t.Errorf("held %v, want a", held)
	}
}

// hostileNames are names of columns that our own SQL uses for something else, or that SQL does.
var hostileNames = []string{
	"code", "claims", "lines", "gross", "taken", "e", "c", "l", "t", "x", "h", "position", "run_id", "organization_id", "claim_table",
	"claim_id", "claim_key", "claim_fault", "claim_copies", "claim_rank", "claim_times", "claim_approvedat", "claim_currency", "claim_count", "line_count", "line_sum",
	"counted", "summed", "approved", "holding", "this", "select", "user", "order", "null", "table", "Upper Case", `with "quotes"`, "dollar$1", "$1", "é", "a.b", "--", "*",
	strings.Repeat("n", 63), strings.Repeat("é", 31),
}

// TestColumnsMayHaveAnyName runs the queries over tables whose columns have hostile names, each column many of them.
func TestColumnsMayHaveAnyName(t *testing.T) {
	t.Parallel()
	claimKeys := []string{"id", "organizationID", "claimantID", "claimantName", "claimantIBAN", "claimantBIC", "claimantAddress", "currency", "approvedAt", "approvedBy", "description", "advanceAmount", "baseAdvanceAmount"}
	claimTypes := []string{"text", "text", "text", "text", "text", "text", "jsonb", "text", "timestamptz", "text", "text", "numeric", "numeric", "text"} // and the status
	lineKeys := []string{
		"claimID", "lineNo", "expenseDate", "category", "description", "grossAmount", "taxAmount", "taxCode", "currency", "baseGrossAmount", "baseTaxAmount", "dimensions",
		"quantity", "unit", "receiptURI", "paymentMethod", "paymentReference", "merchant", "country", "documentNumber",
	}
	lineTypes := []string{"text", "int", "date", "text", "text", "numeric", "numeric", "text", "text", "numeric", "numeric", "jsonb", "numeric", "text", "text", "text", "text", "text", "text", "text"}
	f := newFixture(t, "")
	quote := func(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
	create := func(table string, types []string, from int) (names []string) {
		columns := make([]string, len(types))
		for i := range types {
			names = append(names, hostileNames[(from+i)%len(hostileNames)])
			columns[i] = quote(names[i]) + " " + types[i]
		}
		f.sql(`CREATE TABLE ` + table + ` (` + strings.Join(columns, ", ") + `)`)
		return names
	}
	for from := 0; from < len(hostileNames); from += 5 {
		layout := v1alpha1.PostgresSource{
			Claims: v1alpha1.ClaimsTable{Table: fmt.Sprintf("claims_%d", from), Columns: map[string]v1alpha1.ColumnName{}},
			Lines:  v1alpha1.LinesTable{Table: fmt.Sprintf("lines_%d", from), Columns: map[string]v1alpha1.ColumnName{}},
		}
		for i, name := range create(layout.Claims.Table, claimTypes, from) {
			if i == len(claimKeys) {
				layout.Claims.Approved.Column = name
			} else {
				layout.Claims.Columns[claimKeys[i]] = v1alpha1.ColumnName(name)
			}
		}
		for i, name := range create(layout.Lines.Table, lineTypes, from) {
			layout.Lines.Columns[lineKeys[i]] = v1alpha1.ColumnName(name)
		}
		f.sql(`INSERT INTO ` + layout.Claims.Table + ` VALUES ('1', 'acme', 'E1', 'n', 'i', 'x', '{}', 'NOK', '2026-10-01', 'b', 'd', 0, NULL, 'approved'), ('2', 'acme', 'E1', 'n', 'i', 'x', '{}', 'NOK', NULL, 'b', 'd', NULL, NULL, 'approved')`) //nolint:dupword // two columns
		f.sql(`INSERT INTO ` + layout.Lines.Table + ` VALUES ('1', 1, '2026-10-01', 'travel', 'd', 100, 0, '', 'NOK', NULL, NULL, '{}', 1, 'u', 'r', 'own', '', 'm', 'NO', '1')`)                                                                     //nolint:dupword // two columns
		database := f.openSource("acme/claims", layout)
		found, err := database.Inspect(t.Context())
		f.must(err)
		for statement := range strings.SplitSeq(strings.TrimSuffix(found.MissingIndex, ";"), ";") {
			f.sql(statement)
		}
		if held := f.mustTake(database, fmt.Sprintf("run-%d", from), "acme", "1"); !maps.Equal(held, map[string]string{"2": "NoLines"}) && !maps.Equal(held, map[string]string{"2": "NotDated"}) {
			t.Errorf("held %v with names from %d", held, from)
		}
		preview, err := database.Preview(t.Context(), claims.Run{RunIdentity: claims.RunIdentity{OrganizationID: "acme"}, Book: claims.MainBook, Series: "E", Cutoff: cutoff})
		f.must(err)
		for claim, err := preview.Next(t.Context()); err == nil; claim, err = preview.Next(t.Context()) {
			if claim.ID != "2" {
				t.Errorf("the preview has claim %s with names from %d", claim.ID, from)
			}
		}
		preview.Close()
	}
}

// TestOtherTypesOfTheContract has columns of types that are, or are made of, those of the contract.
func TestOtherTypesOfTheContract(t *testing.T) {
	t.Parallel()
	approved := func(values ...string) v1alpha1.PostgresSource {
		return v1alpha1.PostgresSource{Claims: v1alpha1.ClaimsTable{Approved: v1alpha1.ApprovedFilter{Values: values}}}
	}
	for name, test := range map[string]struct {
		change string
		layout v1alpha1.PostgresSource
	}{
		"an integer status":            {`ALTER TABLE claims ALTER status TYPE smallint USING 3`, approved("3", "4")},
		"a boolean status":             {`ALTER TABLE claims ALTER status TYPE boolean USING true`, approved("true")},
		"a domain over an integer":     {`CREATE DOMAIN state AS int; CREATE DOMAIN states AS state; ALTER TABLE claims ALTER status TYPE states USING 3`, approved("3")},
		"domains over an enum":         {`CREATE TYPE state AS ENUM ('approved'); CREATE DOMAIN a AS state; CREATE DOMAIN b AS a; CREATE DOMAIN c AS b; ALTER TABLE claims ALTER status TYPE c USING 'approved'`, approved()},
		"domains over ids and amounts": {`CREATE DOMAIN a AS text; CREATE DOMAIN b AS a; ALTER TABLE claims ALTER id TYPE b; ALTER TABLE claim_lines ALTER claim_id TYPE a; CREATE DOMAIN m AS numeric; CREATE DOMAIN n AS m; ALTER TABLE claim_lines ALTER gross_amount TYPE n`, approved()},
		"domains over instants":        {`CREATE DOMAIN a AS timestamptz; CREATE DOMAIN b AS a; ALTER TABLE claims ALTER approved_at TYPE b`, approved()},
		"a status of type char":        {`ALTER TABLE claims ALTER status TYPE char(20)`, approved()},
		"ids of type char":             {`ALTER TABLE claims ALTER id TYPE char(20); ALTER TABLE claim_lines ALTER claim_id TYPE char(30)`, approved()},
		"a column of type citext":      {`CREATE EXTENSION citext; ALTER TABLE claims ALTER status TYPE citext, ALTER id TYPE citext, ALTER currency TYPE citext; ALTER TABLE claim_lines ALTER claim_id TYPE citext; UPDATE claim_lines SET claim_id = upper(claim_id::text)`, approved()},
		"small and large line numbers": {`ALTER TABLE claim_lines ALTER line_no TYPE smallint`, approved()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, textIDs)
			f.row("claims", "a", "acme")
			f.row("claims", "b", "acme")
			f.sql(test.change)
			database := f.openSource("acme/claims", test.layout)
			_, err := database.Inspect(t.Context())
			f.must(err)
			if held := f.mustTake(database, "1", "acme", "a", "b"); len(held) > 0 {
				t.Errorf("held %v", held)
			}
			f.mustTake(database, "2", "acme")
		})
	}
}

// TestEveryApprovedClaimIsExportedHeldOrLater fills tables at random with all that is not to be, and insists that each approved
// claim of each organisation is exactly one of these, and named where it is held.
func TestEveryApprovedClaimIsExportedHeldOrLater(t *testing.T) {
	t.Parallel()
	f := newFixture(t, trusting)
	for seed := range uint64(6) {
		f.sql(`TRUNCATE claims, claim_lines; TRUNCATE ledgerport.held_claims, ledgerport.exported_claims, ledgerport.run_vouchers, ledgerport.voucher_numbers, ledgerport.claim_tables CASCADE`)
		f.fillAtRandom(rand.New(rand.NewPCG(seed, 7)))
		for _, organization := range []string{"acme", "ACME", "globex"} {
			run := fmt.Sprintf("%d-%s", seed, organization)
			f.mustAccountFor(organization, run)
		}
	}
}

func (f *fixture) fillAtRandom(random *rand.Rand) {
	f.Helper()
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	ids := []string{"", "7", "007", "a", "A", "b\x1b", strings.Repeat("long", 900), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC999C0B4EF8BB6D6BB9BD380A11", "é", "it's"}
	for i := range 40 {
		ids = append(ids, fmt.Sprintf("claim-%d", i))
	}
	for range 90 {
		id := one(ids...)
		f.sql(`INSERT INTO claims VALUES (nullif($1, 'claim-0'), $2, $3, $4, $5::timestamptz, $6)`, id, one("acme", "acme", "ACME", "globex"), one("E1", "E1", ""),
			one("approved", "approved", "approved", "draft"), one("2026-10-01", "2026-10-02", "infinity", "-infinity", "2026-12-01", "0044-03-15 BC", "20000-01-01"), one("NOK", "NOK", "NOK", "XXX", ""))
		if random.IntN(8) == 0 {
			f.sql(`UPDATE claims SET approved_at = NULL WHERE id = $1`, id)
		}
	}
	for range 160 {
		f.sql(`INSERT INTO claim_lines VALUES ($1, nullif($2::text, '')::bigint, $3::date, 'travel', nullif($4::text, '')::numeric, nullif($5::text, '')::numeric, nullif($6::text, '')::numeric)`,
			one(ids...), one("1", "2", "3", "4", "5", "6", "7", "8", "9", "-1", "9007199254740993", ""), one("2026-10-01", "2026-10-01", "2026-10-01", "infinity", "20000-01-01"),
			one("100", "99.99", "-5", "0", "1.005", "NaN", "Infinity", ""), one("0", "0", "0", "", "NaN"), one("1", "2.5", "", "1", "NaN"))
	}
}

func (f *fixture) mustAccountFor(organization, run string) {
	f.Helper()
	database := f.openSource("acme/claims", v1alpha1.PostgresSource{})
	attempt := attemptOf(run)
	attempt.OrganizationID, attempt.Series = organization, run
	started := f.start(database, attempt)
	taken, held := f.takeSound(database, started)
	if !sameTexts(taken, slices.Compact(slices.Sorted(slices.Values(taken)))) {
		f.Errorf("run %s took a claim twice: %q", run, taken)
	}
	rows, err := f.conn.Query(f.ctx, `SELECT coalesce(id, ''), approved_at >= $2 AND approved_at < '10000-01-01' FROM claims WHERE organization_id = $1 AND status = 'approved'`, organization, cutoff)
	f.must(err)
	defer rows.Close()
	for rows.Next() {
		var id string
		var later *bool
		f.must(rows.Scan(&id, &later))
		_, isHeld := held[claims.PrintableID(id)]
		exported := slices.Contains(taken, id)
		if after := later != nil && *later; after && !isHeld && !exported || !after && isHeld != exported {
			continue
		} else if after { // another row of the same id is not later, and that is the one
			continue
		}
		f.Errorf("run %s: claim %q is exported %t, held %t, later %v", run, id, exported, isHeld, later)
	}
	f.must(rows.Err())
	for id := range held {
		if f.count(`SELECT count(*) FROM ledgerport.held_claims WHERE claim_id = $1 AND organization_id = $2`, id, organization) != 1 {
			f.Errorf("run %s: the hold of claim %q is not recorded", run, id)
		}
	}
	f.must(database.MarkDelivered(f.ctx, started.Fence(), ""))
	f.must(database.Commit(f.ctx, started.Fence()))
	again := attemptOf(run + "-again")
	again.OrganizationID, again.Series = organization, run
	if taken, _ := f.takeSound(database, f.start(database, again)); len(taken) > 0 {
		f.Errorf("run %s again took %q", run, taken)
	}
}
