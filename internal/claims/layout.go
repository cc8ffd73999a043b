package claims

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// content is what a column must be able to hold.
type content int

const (
	identifier content = iota // compared with ids: uuid, text or integer
	text
	status // compared with spec.postgres.claims.approved.values
	instant
	date
	whole
	decimal
	object
)

// needs names the types of a content for people, and accepts says which types of the catalog they are.
var contents = [...]struct {
	needs   string
	accepts []string
}{
	identifier: {"uuid, text, varchar, char, citext or an integer type", []string{"uuid", "text", "varchar", "bpchar", "citext", "int2", "int4", "int8"}},
	text:       {"text, varchar, char, citext, uuid, an enum or an integer type", []string{"text", "varchar", "bpchar", "citext", "name", "uuid", "int2", "int4", "int8", "enum"}},
	status:     {"text, varchar, char, citext, an enum, boolean or an integer type", []string{"text", "varchar", "bpchar", "citext", "name", "enum", "bool", "int2", "int4", "int8"}},
	instant:    {"timestamp with time zone", []string{"timestamptz"}},
	date:       {"date", []string{"date"}},
	whole:      {"an integer type", []string{"int2", "int4", "int8"}},
	decimal:    {"numeric or an integer type (money is exact)", []string{"numeric", "int2", "int4", "int8"}},
	object:     {"jsonb or json", []string{"jsonb", "json"}},
}

// columnRule is one column of the contract with the application.
type columnRule struct {
	key      string // in the resource
	name     string // in the table, unless the resource renames it
	content  content
	optional bool // read as NULL where the table lacks it and the resource does not name it
	named    bool // by a field of the resource that is not among its columns
}

var claimRules = []columnRule{
	{key: "id", name: "id", content: identifier},
	{key: "organizationID", name: "organization_id", content: identifier},
	{key: "claimantID", name: "claimant_id", content: text},
	{key: "claimantName", name: "claimant_name", content: text, optional: true},
	{key: "claimantIBAN", name: "claimant_iban", content: text, optional: true},
	{key: "claimantBIC", name: "claimant_bic", content: text, optional: true},
	{key: "claimantAddress", name: "claimant_address", content: object, optional: true},
	{key: "currency", name: "currency", content: text},
	{key: "approvedAt", name: "approved_at", content: instant},
	{key: "approvedBy", name: "approved_by", content: text, optional: true},
	{key: "description", name: "description", content: text, optional: true},
	{key: "advanceAmount", name: "advance_amount", content: decimal, optional: true},
	{key: "baseAdvanceAmount", name: "base_advance_amount", content: decimal, optional: true},
}

var lineRules = []columnRule{
	{key: "claimID", name: "claim_id", content: identifier},
	{key: "lineNo", name: "line_no", content: whole},
	{key: "expenseDate", name: "expense_date", content: date},
	{key: "category", name: "category", content: text},
	{key: "description", name: "description", content: text, optional: true},
	{key: "grossAmount", name: "gross_amount", content: decimal},
	{key: "taxAmount", name: "tax_amount", content: decimal},
	{key: "taxCode", name: "tax_code", content: text, optional: true},
	{key: "currency", name: "currency", content: text, optional: true},
	{key: "baseGrossAmount", name: "base_gross_amount", content: decimal, optional: true},
	{key: "baseTaxAmount", name: "base_tax_amount", content: decimal, optional: true},
	{key: "dimensions", name: "dimensions", content: object, optional: true},
	{key: "quantity", name: "quantity", content: decimal, optional: true},
	{key: "unit", name: "unit", content: text, optional: true},
	{key: "receiptURI", name: "receipt_uri", content: text, optional: true},
	{key: "paymentMethod", name: "payment_method", content: text, optional: true},
	{key: "paymentReference", name: "payment_reference", content: text, optional: true},
	{key: "merchant", name: "merchant", content: text, optional: true},
	{key: "country", name: "country", content: text, optional: true},
	{key: "documentNumber", name: "document_number", content: text, optional: true},
}

var receiptRules = []columnRule{
	{key: "claimID", name: "claim_id", content: identifier},
	{key: "lineNo", name: "line_no", content: whole, optional: true},
	{key: "key", name: "key", content: text},
	{key: "name", name: "name", content: text, optional: true},
	{key: "mediaType", name: "media_type", content: text, optional: true},
	{key: "size", name: "size", content: whole, optional: true},
	{key: "sha256", name: "sha256", content: text, optional: true},
}

// statusKey is the status column among the others; the resource does not rename it like them.
const statusKey = "status"

// layout is where the claims are, as declared by the resource and found in the catalog.
type layout struct {
	claims, lines table
	receipts      *table   // nil where no table lists them
	approved      []string // values of the status column
	linesIndexed  bool     // lines can be looked up by their claim
	lookups       bool     // so they can for sure, and claims by their key
	idUnique      bool     // no two claims of the table have the same id
	keysUnique    bool     // nor the same key
	rehearsal     bool     // the query for claims returns none
	unfiltered    bool     // queries do not ask for the organisation; in tests only
}

// table is a table of the application with the columns of the contract that it has.
type table struct {
	declared string // as in the resource
	name     string // quoted
	columns  map[string]column
}

// column of a table. Its type is that of the catalog, a domain's that of its base; an enum's is "enum".
type column struct {
	name     string // as in the catalog
	typeName string
	declared string   // the type in full, for people
	labels   []string // of an enum
	readable bool
	// lenient says that the column takes texts for the same that are not the same byte by byte.
	lenient bool
	// leads says that an index leads to the rows with a value of it, and ofView that nothing can be said of that.
	leads, ofView bool
	// unique says that an index keeps two rows from having the same. Of a view it is not known, and neither of a table that is a part of
	// another or has others as parts.
	unique bool
	// cast makes of a domain over an enum that enum, which alone is compared with a text.
	cast string
}

// columns of a table by name.
type columns map[string]column

// declaration is where the resource says which table to read, and which of its columns are which.
type declaration struct {
	field   string // such as spec.postgres.claims
	table   string
	columns map[string]v1alpha1.ColumnName
}

// columnField is the field that says which column a rule means.
func (d declaration) columnField(rule columnRule) string {
	if rule.key == statusKey {
		return d.field + ".approved.column"
	}
	return d.field + ".columns." + rule.key
}

// names is the column that the resource names for a rule, if it names one.
func (d declaration) names(rule columnRule) (name string, named bool) {
	explicit, named := d.columns[rule.key]
	return cmp.Or(string(explicit), rule.name), named || rule.named
}

// layout looks the tables up in the catalog, once per Database.
func (d *Database) layout(ctx context.Context) (*layout, error) {
	if d.tables != nil {
		return d.tables, nil
	}
	spec := d.options.Layout
	found := layout{approved: spec.Claims.Approved.Values, unfiltered: d.unfiltered}
	if len(found.approved) == 0 {
		found.approved = []string{"approved"}
	}
	statusRule := columnRule{key: statusKey, name: cmp.Or(spec.Claims.Approved.Column, "status"), content: status, named: spec.Claims.Approved.Column != ""}
	ofClaims := declaration{"spec.postgres.claims", cmp.Or(spec.Claims.Table, "public.claims"), spec.Claims.Columns}
	ofLines := declaration{"spec.postgres.lines", cmp.Or(spec.Lines.Table, "public.claim_lines"), spec.Lines.Columns}
	declared := []string{quoteTable(ofClaims.table), quoteTable(ofLines.table)}
	ofReceipts, listed := d.ofReceipts()
	if listed {
		declared = append(declared, quoteTable(ofReceipts.table))
	}
	catalog, err := d.catalog(ctx, declared)
	if err != nil {
		return nil, err
	}
	var problems, more []string
	if found.claims, problems, err = d.table(catalog, ofClaims, append(slices.Clip(claimRules), statusRule)); err != nil {
		return nil, err
	}
	if found.lines, more, err = d.table(catalog, ofLines, lineRules); err != nil {
		return nil, err
	}
	problems = append(append(append(problems, found.unknownStatuses()...), more...), found.otherIDs(found.lines)...)
	if listed {
		if more, err = d.receiptsTable(catalog, ofReceipts, &found); err != nil {
			return nil, err
		}
		problems = append(problems, more...)
	}
	if len(problems) > 0 {
		return nil, failure.OnSource.Transient(v1alpha1.ReasonColumnMismatch, nil, "%s", strings.Join(problems, "; "))
	}
	ofLine := found.lines.columns["claimID"]
	found.linesIndexed, found.lookups = ofLine.leads || ofLine.ofView, ofLine.leads
	found.idUnique = found.claims.columns["id"].unique
	found.keysUnique = found.idUnique && readByValue(found.claims.columns["id"].typeName)
	found.lookups = found.lookups && found.keysUnique
	d.tables = &found
	return d.tables, nil
}

// ofReceipts is the declaration of the table that lists receipts, if there is one.
func (d *Database) ofReceipts() (of declaration, listed bool) {
	if d.options.Receipts == nil || d.options.Receipts.Table == nil {
		return declaration{}, false
	}
	spec := d.options.Receipts.Table
	return declaration{"spec.receipts.table", cmp.Or(spec.Table, "public.receipts"), spec.Columns}, true
}

// receiptsTable finds the table that lists receipts, and lists what is wrong with it. Claims have few receipts, and other organisations have
// many: without an index all of them would be read.
func (d *Database) receiptsTable(catalog map[string]columns, of declaration, l *layout) ([]string, error) {
	found, problems, err := d.table(catalog, of, receiptRules)
	if err != nil {
		return nil, err
	}
	problems = append(problems, l.otherIDs(found)...)
	l.receipts = &found
	if of := found.columns["claimID"]; len(problems) == 0 && !of.leads && !of.ofView {
		problems = append(problems, fmt.Sprintf("%s cannot be looked up by claim: CREATE INDEX CONCURRENTLY ON %s (%s);", found.declared, found.name, found.quoted("claimID")))
	}
	return problems, nil
}

// ofClaims are the tables whose rows are of a claim.
func (l *layout) ofClaims() []table {
	if l.receipts == nil {
		return []table{l.lines}
	}
	return []table{l.lines, *l.receipts}
}

// table finds a table and lists what is wrong with its columns.
func (d *Database) table(catalog map[string]columns, of declaration, rules []columnRule) (table, []string, error) {
	t := table{declared: of.table, name: quoteTable(of.table), columns: map[string]column{}}
	existing := catalog[t.name]
	if len(existing) == 0 {
		return t, nil, failure.OnSource.Transient(v1alpha1.ReasonTableNotFound, nil, "the database %q has no table %s; correct %s.table, or create it", d.config.Database, t.declared, of.field)
	}
	var problems, unreadable []string
	for _, rule := range rules {
		name, named := of.names(rule)
		found, exists := existing[name]
		needs := contents[rule.content]
		switch {
		case exists && !slices.Contains(needs.accepts, found.typeName):
			problems = append(problems, fmt.Sprintf("%s: column %s.%s is %s and must be %s", of.columnField(rule), of.table, name, found.declared, needs.needs))
		case exists && !found.readable:
			unreadable = append(unreadable, quoteName(name))
		case exists:
			t.columns[rule.key] = found
		case named:
			problems = append(problems, fmt.Sprintf("%s names %s.%s, which the table lacks; %s", of.columnField(rule), of.table, name, instead(name, existing, needs.needs)))
		case !rule.optional:
			problems = append(problems, fmt.Sprintf("%s is not set, and the table %s has no column %s; %s", of.columnField(rule), of.table, name, instead(name, existing, needs.needs)))
		}
	}
	if len(unreadable) > 0 {
		return t, nil, failure.OnSource.Transient(v1alpha1.ReasonPermissionDenied, nil,
			"the database user %q may not read all that is needed of %s; run GRANT SELECT (%s) ON %s TO %s;",
			d.config.User, of.table, strings.Join(unreadable, ", "), t.name, quoteName(d.config.User))
	}
	return t, problems, nil
}

// instead says what to name in place of a column that a table lacks: the one whose name is most like it, or one of a type.
func instead(name string, existing columns, types string) string {
	if like := mostLike(name, slices.Sorted(maps.Keys(existing))); like != "" {
		return fmt.Sprintf("did you mean %q?", like)
	}
	return "name a column that is " + types
}

// unknownStatuses lists the values that mean approved and that the status column cannot have.
func (l *layout) unknownStatuses() (problems []string) {
	found := l.claims.columns[statusKey]
	for _, value := range l.approved {
		var err error
		switch found.typeName {
		case "enum":
			if !slices.Contains(found.labels, value) {
				problems = append(problems, fmt.Sprintf("column %s.%s is the enum %s, which has no value %q; correct spec.postgres.claims.approved", l.claims.declared, found.name, found.declared, value))
			}
		case "bool":
			_, err = strconv.ParseBool(value)
		case "int2", "int4", "int8":
			_, err = strconv.ParseInt(value, 10, integerBits[found.typeName])
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("column %s.%s is %s, which has no value %q; correct spec.postgres.claims.approved", l.claims.declared, found.name, found.declared, value))
		}
	}
	return problems
}

// otherIDs says where lines, or receipts, name their claim in another way than claims do.
func (l *layout) otherIDs(t table) []string {
	id, of := l.claims.columns["id"], t.columns["claimID"]
	if id.typeName == "" || of.typeName == "" || typeFamily(id.typeName) == typeFamily(of.typeName) {
		return nil
	}
	return []string{fmt.Sprintf("column %s.%s is %s and must be as %s.%s, which is %s", t.declared, of.name, of.declared, l.claims.declared, id.name, id.declared)}
}

var integerBits = map[string]int{"int2": 16, "int4": 32, "int8": 64}

// catalog returns the columns of tables by their quoted names. A table that does not exist has none.
func (d *Database) catalog(ctx context.Context, names []string) (map[string]columns, error) {
	const query = `
		WITH RECURSIVE named AS (
			SELECT n.name, c.oid, c.relkind NOT IN ('r', 'p', 'm') AS of_view, NOT c.relispartition AND (c.relkind = 'p' OR NOT c.relhassubclass) AS whole
			FROM pg_catalog.unnest($1::text[]) n (name) JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(n.name)),
		indexed AS (
			SELECT n.oid, i.indkey[0] AS attnum,
			       pg_catalog.bool_or(m.amname = 'btree' AND i.indpred IS NULL AND NOT n.of_view) AS leads,
			       pg_catalog.bool_or(n.whole AND i.indisunique AND i.indpred IS NULL AND i.indnkeyatts = 1) AS is_unique
			FROM (SELECT DISTINCT oid, of_view, whole FROM named) n JOIN pg_catalog.pg_index i ON i.indrelid = n.oid AND i.indisvalid
			JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = ic.relam GROUP BY n.oid, i.indkey[0]),
		declared AS (
			SELECT a.attname, a.attnum, a.attrelid, a.atttypid, a.atttypmod, a.attcollation, t.oid, t.typname, t.typtype, t.typbasetype
			FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
			WHERE a.attrelid IN (SELECT oid FROM named) AND a.attnum > 0 AND NOT a.attisdropped
			UNION ALL
			SELECT d.attname, d.attnum, d.attrelid, d.atttypid, d.atttypmod, d.attcollation, t.oid, t.typname, t.typtype, t.typbasetype
			FROM declared d JOIN pg_catalog.pg_type t ON d.typtype = 'd' AND t.oid = d.typbasetype)
		SELECT n.name, d.attname, CASE d.typtype WHEN 'e' THEN 'enum' ELSE d.typname END,
		       pg_catalog.format_type(d.atttypid, d.atttypmod), ARRAY(SELECT enumlabel::text FROM pg_catalog.pg_enum WHERE enumtypid = d.oid),
		       pg_catalog.has_column_privilege(d.attrelid, d.attnum, 'SELECT'),
		       d.typname IN ('citext', 'bpchar') OR NOT coalesce(c.collisdeterministic, true),
		       CASE WHEN d.typtype = 'e' AND d.oid <> d.atttypid THEN '::' || pg_catalog.format_type(d.oid, NULL) ELSE '' END,
		       n.of_view, coalesce(i.leads, false), coalesce(i.is_unique, false)
		FROM named n JOIN declared d ON d.attrelid = n.oid LEFT JOIN pg_catalog.pg_collation c ON c.oid = d.attcollation
		LEFT JOIN indexed i ON i.oid = n.oid AND i.attnum = d.attnum
		WHERE d.typtype <> 'd'`
	found := map[string]columns{}
	err := d.reading(ctx, "looking up the tables", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, query, names) // the error comes with the rows
		var name string
		var c column
		_, err := pgx.ForEachRow(rows, []any{&name, &c.name, &c.typeName, &c.declared, &c.labels, &c.readable, &c.lenient, &c.cast, &c.ofView, &c.leads, &c.unique}, func() error {
			if found[name] == nil {
				found[name] = columns{}
			}
			found[name][c.name] = c
			return nil
		})
		return err
	})
	return found, err
}

// quoteTable quotes schema.table. A table without a schema is looked for in public: the search path of Ledgerport's sessions is
// pg_catalog alone.
func quoteTable(declared string) string {
	if schema, name, ok := strings.Cut(declared, "."); ok {
		return pgx.Identifier{schema, name}.Sanitize()
	}
	return pgx.Identifier{"public", declared}.Sanitize()
}

// quoted is the column's quoted name.
func (t table) quoted(key string) string { return pgx.Identifier{t.columns[key].name}.Sanitize() }

// has reports whether the table has a column of the contract.
func (t table) has(key string) bool {
	_, has := t.columns[key]
	return has
}

// checkOrganization refuses an organisation id that the column cannot hold, and one in another spelling than the
// database's: the spelling is part of what keeps a claim from being exported twice.
func (l *layout) checkOrganization(id string) error {
	typeName := l.claims.columns["organizationID"].typeName
	canonical := id
	switch typeName {
	case "uuid":
		var parsed pgtype.UUID
		if parsed.Scan(id) != nil {
			return failure.OnSource.Stalled(v1alpha1.ReasonInvalidSpec, nil, "spec.organizationID: %q is not a uuid, which organisations have in %s", id, l.claims.declared)
		}
		canonical = parsed.String()
	case "int2", "int4", "int8":
		number, err := strconv.ParseInt(id, 10, integerBits[typeName])
		if err != nil {
			return failure.OnSource.Stalled(v1alpha1.ReasonInvalidSpec, nil, "spec.organizationID: %q is not an integer, which organisations have in %s", id, l.claims.declared)
		}
		canonical = strconv.FormatInt(number, 10)
	}
	if canonical != id {
		return failure.OnSource.Stalled(v1alpha1.ReasonInvalidSpec, nil, "spec.organizationID: write %q as the database does: %s", id, canonical)
	}
	return nil
}
