package claims

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// query is a statement of the extended protocol with its parameters as text. The server infers their types, so that an
// id or a status is compared as what its column is, and indexes are used.
type query struct {
	sql        string
	parameters [][]byte
}

// parameter adds a value and returns its placeholder.
func (q *query) parameter(value string) string {
	q.parameters = append(q.parameters, []byte(value))
	return fmt.Sprintf("$%d", len(q.parameters))
}

// instantText writes an instant as PostgreSQL reads it, to the microsecond.
func instantText(at time.Time) string {
	return at.UTC().Truncate(time.Microsecond).Format("2006-01-02T15:04:05.999999Z")
}

// field is a column of the stream: how the server sends it and where it goes.
type field struct {
	table  string // alias
	key    string
	binary bool
}

var streamFields = [...]field{
	claimFault: {"c", faultKey, false},
	claimID:    {"c", "id", false}, claimantID: {"c", "claimantID", false}, claimantName: {"c", "claimantName", false},
	claimantIBAN: {"c", "claimantIBAN", false}, claimantBIC: {"c", "claimantBIC", false}, claimantAddress: {"c", "claimantAddress", false},
	claimCurrency: {"c", "currency", false}, approvedAt: {"c", "approvedAt", true},
	approvedBy: {"c", "approvedBy", false}, claimDescription: {"c", "description", false},
	advanceAmount: {"c", "advanceAmount", false}, baseAdvanceAmount: {"c", "baseAdvanceAmount", false},
	lineExists: {"l", "claimID", false}, lineNo: {"l", "lineNo", false}, expenseDate: {"l", "expenseDate", true},
	category: {"l", "category", false}, lineDescription: {"l", "description", false}, grossAmount: {"l", "grossAmount", false},
	taxAmount: {"l", "taxAmount", false}, taxCode: {"l", "taxCode", false}, lineCurrency: {"l", "currency", false},
	baseGrossAmount: {"l", "baseGrossAmount", false}, baseTaxAmount: {"l", "baseTaxAmount", false},
	dimensions: {"l", "dimensions", false}, quantity: {"l", "quantity", false}, unit: {"l", "unit", false}, receiptURI: {"l", "receiptURI", false},
	paymentMethod: {"l", "paymentMethod", false}, paymentReference: {"l", "paymentReference", false}, merchant: {"l", "merchant", false},
	country: {"l", "country", false}, documentNumber: {"l", "documentNumber", false},
}

// selectList returns the columns of the stream; one that a table lacks is NULL.
func (l *layout) selectList() string {
	columns := make([]string, len(streamFields))
	for i, f := range &streamFields {
		columns[i] = l.expression(f)
	}
	return strings.Join(columns, ", ")
}

func (l *layout) expression(f field) string {
	switch {
	case f.key == faultKey:
		return "c.claim_fault"
	case f.table == "l" && f.key == "claimID":
		return "l." + l.lines.quoted("claimID") + " IS NOT NULL" // all that is asked of it: is there a line?
	case f.table == "l":
		return l.lines.content("l", f.key)
	case l.claims.has(f.key):
		return "c." + alias(f.key)
	}
	return "NULL"
}

// content is a column of a table; NULL where the table lacks it.
func (t table) content(of, key string) string {
	switch {
	case !t.has(key):
		return "NULL"
	case t.columns[key].typeName == "bpchar": // its padding is not content
		return of + "." + t.quoted(key) + "::text"
	}
	return of + "." + t.quoted(key)
}

// alias is the name that a column of claims has in our own subqueries, whatever it is called in the table.
func alias(key string) string { return "claim_" + strings.ToLower(key) }

// faultKey is what the query itself finds wrong with a claim.
const faultKey = "fault"

// resultFormats says which columns come in binary.
func resultFormats() []int16 {
	formats := make([]int16, len(streamFields))
	for i, f := range &streamFields {
		if f.binary {
			formats[i] = pgtype.BinaryFormatCode
		}
	}
	return formats
}

// approvedClaims is the condition on claims c: approved claims of the organisation before the cutoff, which the run is for.
func (l *layout) approvedClaims(q *query, run Run) string {
	condition := l.approvedAt(q, run, "c.%s < "+q.parameter(instantText(run.Cutoff))) + l.named(q, run)
	if from := run.Selection.ApprovedFrom; !from.IsZero() {
		condition += fmt.Sprintf(" AND c.%s >= %s", l.claims.quoted("approvedAt"), q.parameter(instantText(from)))
	}
	return condition
}

// named is the rest of a condition on claims c: that the run names them, if it names any.
func (l *layout) named(q *query, run Run) string {
	if len(run.Selection.IDs) == 0 {
		return ""
	}
	keys := claimKeys(run.Selection.IDs)
	if typeName := l.claims.columns["id"].typeName; readByValue(typeName) { // so that the index on the ids can be used
		keys = slices.DeleteFunc(keys, func(key string) bool { return !l.possibleKey(key) })
		return fmt.Sprintf(` AND c.%s = ANY(%s::%s[])`, l.claims.quoted("id"), q.parameter(arrayOf(keys)), typeName)
	}
	return fmt.Sprintf(` AND %s = ANY(%s::text[])`, l.keyOf(), q.parameter(arrayOf(keys)))
}

// arrayOf writes texts as an array of PostgreSQL.
func arrayOf(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
	}
	return "{" + strings.Join(quoted, ",") + "}"
}

// approvedLater is the condition on claims c: approved claims of the organisation that are for runs with a later cutoff.
func (l *layout) approvedLater(q *query, run Run) string {
	return l.approvedAt(q, run, "c.%s >= "+q.parameter(instantText(run.Cutoff)))
}

// approvedNever is the condition on claims c: approved claims of the organisation that no cutoff will ever be behind.
func (l *layout) approvedNever(q *query, run Run) string {
	return l.approvedAt(q, run, "(c.%[1]s IS NULL OR c.%[1]s >= '10000-01-01Z')") + l.named(q, run)
}

func (l *layout) approvedAt(q *query, run Run, when string) string {
	values := make([]string, len(l.approved))
	organization := l.ofOrganization(q, run)
	for i, value := range l.approved {
		values[i] = q.parameter(value)
	}
	// One value in an IN list is a plain =, so that an index also has the order.
	status := l.claims.quoted(statusKey) + l.claims.columns[statusKey].cast
	return fmt.Sprintf("%s AND c.%s IN (%s) AND ", organization, status, strings.Join(values, ", ")) +
		fmt.Sprintf(when, l.claims.quoted("approvedAt"))
}

// ofOrganization is the condition on claims c that they are the organisation's: byte by byte, also where the column takes other
// spellings for the same.
func (l *layout) ofOrganization(q *query, run Run) string {
	if l.unfiltered {
		return "true"
	}
	column := "c." + l.claims.quoted("organizationID")
	condition := column + " = " + q.parameter(run.OrganizationID)
	if l.claims.columns["organizationID"].lenient {
		condition += fmt.Sprintf(` AND %s::text COLLATE "C" = %s::text`, column, q.parameter(run.OrganizationID))
	}
	return condition
}

// candidates reads the claims that a run may take, in the order in which it numbers them. The lines of a claim come
// together, and the stream puts them in order: sorting all of them here would cost more.
//
// The claims exported before are set aside by a FULL JOIN, which PostgreSQL can only do by hashing or merging. It must not
// look exported_claims up claim by claim: the table grows under this very query, and where the planner believes it to be
// empty it would be scanned for each claim. OFFSET 0 keeps the planner from undoing that.
func (l *layout) candidates(run Run, known identity, elsewhere bool, h *horizon) query {
	if l.byKey(run, known, h) {
		return l.candidatesByKey(run, known, h)
	}
	var q query
	approved := l.approvedOnce(&q, run)
	// The primary key tells of a claim that is bound elsewhere when it is taken, but only of those in the table's own row.
	exported, fault, kept := l.exportedBefore(&q, run, known, elsewhere || len(known.exported) > 1)
	order := "c." + alias("approvedAt") + ", c." + alias("id")
	list, joined := l.streamed(run)
	q.sql = fmt.Sprintf(`WITH approved AS (%[1]s)
		SELECT %[2]s FROM (
			SELECT c.*, %[3]s AS claim_fault FROM approved c FULL JOIN (%[4]s) e ON e.claim_id = c.claim_key
			WHERE %[5]s ORDER BY %[6]s OFFSET 0) c
		LEFT JOIN %[7]s ORDER BY %[6]s`,
		approved, list, fault, exported, kept, order, joined)
	if l.rehearsal {
		q.sql += " LIMIT 0"
	}
	return q
}

// streamed returns the columns of the stream, and what is joined to claims c for them.
func (l *layout) streamed(run Run) (list, joined string) {
	if run.Selection.Receipts && l.receipts != nil {
		return l.withReceipts("c")
	}
	return l.selectList(), l.linesOf("c")
}

// approvedOnce selects the approved claims of a run with their keys, and those that no run would ever find. Where nothing
// else says that a key is one row's alone, it counts the rows.
func (l *layout) approvedOnce(q *query, run Run) string {
	selected := l.selectClaims()
	both := selected + l.approvedClaims(q, run) + " UNION ALL " + selected + l.approvedNever(q, run)
	if l.keysUnique {
		return both
	}
	return `SELECT c.*, count(*) OVER (PARTITION BY c.claim_key) AS claim_copies FROM (` + both + `) c`
}

// selectClaims selects claims c with their keys; a condition follows.
func (l *layout) selectClaims() string {
	columns := make([]string, 0, len(l.claims.columns)+1)
	for _, rule := range claimRules {
		if l.claims.has(rule.key) {
			columns = append(columns, l.claims.content("c", rule.key)+" AS "+alias(rule.key))
		}
	}
	return fmt.Sprintf("SELECT %s, %s AS claim_key FROM %s c WHERE ", strings.Join(columns, ", "), l.keyOf(), l.claims.name)
}

// Faults that the query for claims finds.
const (
	faultDuplicate = "duplicate" // other rows have the same key
	faultUnknown   = "unknown"   // the key was exported from a table of which it is not known whether it is this one
	faultElsewhere = "elsewhere" // the key was exported for another organisation, and nothing says that it is the same row
)

// exportedBefore selects the keys that a run leaves alone, and returns what is wrong with a claim c by what is known of its key, e,
// and the condition on the claims to be streamed.
func (l *layout) exportedBefore(q *query, run Run, known identity, elsewhere bool) (keys, fault, kept string) {
	const own = `SELECT x.claim_id, 3 AS claim_rank FROM ledgerport.exported_claims x WHERE x.claim_table = ANY(%s::integer[]) AND x.organization_id = %s`
	exported, organization := q.parameter(oneOf(known.exported)), q.parameter(run.OrganizationID)
	keys, fault, kept = fmt.Sprintf(own, exported, organization), "NULL", "e.claim_id IS NULL"
	var faults []string
	if len(known.exported) > 1 || len(known.unknown) > 0 || elsewhere {
		if len(known.unknown) > 0 {
			keys += fmt.Sprintf(` UNION ALL SELECT x.claim_id, 1 FROM ledgerport.exported_claims x
				WHERE x.claim_table = ANY(%s::integer[]) AND x.organization_id = %s`, q.parameter(oneOf(idsOf(known.unknown))), organization)
			faults = append(faults, "WHEN e.claim_rank = 1 THEN '"+faultUnknown+"'")
		}
		if elsewhere {
			// Looked up one by one, whatever others have exported: until all is looked up nothing is taken, and the table does not grow.
			keys += fmt.Sprintf(` UNION ALL SELECT x.claim_id, 2 FROM approved c CROSS JOIN LATERAL (
					SELECT x.claim_id, x.organization_id FROM ledgerport.exported_claims x
					WHERE x.claim_table = ANY(%s::integer[]) AND x.claim_id = c.claim_key OFFSET 0) x
				WHERE x.organization_id <> %s`, exported, organization)
			if !l.idUnique {
				faults = append(faults, "WHEN e.claim_rank = 2 THEN '"+faultElsewhere+"'")
			}
		}
		keys = `SELECT x.claim_id, max(x.claim_rank) AS claim_rank, count(*) FILTER (WHERE x.claim_rank = 3) AS claim_times FROM (` + keys + `) x GROUP BY x.claim_id`
	} else {
		keys = `SELECT x.claim_id, 3 AS claim_rank, 1 AS claim_times` + strings.TrimPrefix(keys, `SELECT x.claim_id, 3 AS claim_rank`)
	}
	if !l.keysUnique {
		faults = append([]string{"WHEN c.claim_copies > 1 AND c.claim_copies > coalesce(e.claim_times, 0) THEN '" + faultDuplicate + "'"}, faults...)
	}
	if len(faults) > 0 {
		fault = "CASE " + strings.Join(faults, " ") + " END"
		kept = fmt.Sprintf("(e.claim_id IS NULL OR c.claim_key IS NOT NULL AND %s IS NOT NULL)", fault)
	}
	return keys, fault, kept
}

func idsOf(tables []claimTable) []int32 {
	ids := make([]int32, len(tables))
	for i := range tables {
		ids[i] = tables[i].ID
	}
	return ids
}

// totals counts and sums the claims that a run has taken, by currency. That they are approved is asked again.
func (l *layout) totals(run Run) query {
	var q query
	q.sql = fmt.Sprintf(`WITH taken AS MATERIALIZED (
			SELECT c.%[1]s AS claim_id, c.%[2]s::text COLLATE "C" AS claim_currency FROM ledgerport.exported_claims e JOIN %[3]s
			WHERE %[4]s AND e.run_id = %[5]s)
		SELECT counted.claim_currency, counted.claim_count, coalesce(summed.line_count, 0), coalesce(summed.line_sum, 0)
		FROM (SELECT t.claim_currency, count(*) AS claim_count FROM taken t GROUP BY t.claim_currency) AS counted
		LEFT JOIN (SELECT t.claim_currency, count(*) AS line_count, sum(l.%[6]s) AS line_sum FROM taken t JOIN %[7]s GROUP BY t.claim_currency) AS summed
			ON summed.claim_currency = counted.claim_currency
		ORDER BY counted.claim_currency`,
		l.claims.quoted("id"), l.claims.quoted("currency"), l.claimsOf("e"), l.approvedClaims(&q, run),
		q.parameter(run.ID), l.lines.quoted("grossAmount"), l.linesOf("t"))
	return q
}

// settledHolds removes the holds that other runs left of claims of the same table which are not to be looked at later: approved,
// and not before the cutoff of this run. Those of another ClaimSource, which may mean something else by approved, and of an export
// for other claims stay until the claim is exported; and all others than those that are exported, if this run names its claims.
func (l *layout) settledHolds(run Run, known identity) query {
	var q query
	organization, id, spaces := q.parameter(run.OrganizationID), q.parameter(run.ID), q.parameter(oneOf(known.exported))
	exported := fmt.Sprintf(`EXISTS (SELECT FROM ledgerport.exported_claims e WHERE e.claim_table = ANY(%s::integer[]) AND e.claim_id = %s)`, spaces, key("h.claim_id"))
	q.sql = fmt.Sprintf(`DELETE FROM ledgerport.held_claims h USING ledgerport.runs holding, ledgerport.runs this
		WHERE h.organization_id = %[1]s AND h.claim_table = ANY(%[3]s::integer[]) AND h.run_id <> %[2]s AND holding.id = h.run_id AND this.id = %[2]s
		AND (%[4]s OR holding.inputs->>'source' IS NOT DISTINCT FROM this.inputs->>'source'
			AND holding.inputs->>'claims' IS NOT DISTINCT FROM this.inputs->>'claims' AND %[8]t
			AND NOT EXISTS (SELECT FROM %[5]s c WHERE %[6]s AND c.%[7]s::text COLLATE "C" = h.claim_id))`,
		organization, id, spaces, exported, l.claims.name, l.approvedLater(&q, run), l.claims.quoted("id"), len(run.Selection.IDs) == 0)
	return q
}

// keyOf is the key of claims c in SQL.
func (l *layout) keyOf() string {
	id := "c." + l.claims.quoted("id") + "::text"
	if readByValue(l.claims.columns["id"].typeName) {
		return id + ` COLLATE "C"`
	}
	return key(id)
}

// claimsOf joins claims c to the rows of exported_claims. Where the type of the ids writes each in one way alone, the text is
// cast to it and not the other way round, so that the index on the ids can be used.
func (l *layout) claimsOf(exported string) string {
	if typeName := l.claims.columns["id"].typeName; readByValue(typeName) {
		return fmt.Sprintf("%s c ON c.%s = %s.claim_id::%s", l.claims.name, l.claims.quoted("id"), exported, typeName)
	}
	return fmt.Sprintf("%s c ON %s = %s.claim_id", l.claims.name, l.keyOf(), exported)
}

// linesOf joins lines l to claims. PostgreSQL's own operators, which alone are found, take citext for text.
func (l *layout) linesOf(claims string) string {
	condition := "l.%s = %s.claim_id"
	if l.claims.columns["id"].typeName == "citext" || l.lines.columns["claimID"].typeName == "citext" {
		condition = "lower(l.%s::text) = lower(%s.claim_id::text)"
	}
	return fmt.Sprintf("%s l ON "+condition, l.lines.name, l.lines.quoted("claimID"), claims)
}

// receiptFields are the columns of lines in which a row that is a receipt has its own.
var receiptFields = map[string]string{"lineNo": "lineNo", "description": "key", "merchant": "name", "category": "mediaType", "quantity": "size", "documentNumber": "sha256"}

// withReceipts joins the rows of lines and those of receipts to claims, as rows of one table. Its columns are texts, but for what comes
// in binary, so that both have the same types.
func (l *layout) withReceipts(claims string) (list, joined string) {
	var names, lines, receipts []string
	for i, f := range &streamFields {
		name := l.expression(f)
		if f.table == "l" {
			name = fmt.Sprintf("l.field_%d", i)
			if i == lineExists {
				name = "coalesce(" + name + ", 'f')" // of a claim without any
			}
			own, other := "'t'", "NULL::text"
			switch of, shared := receiptFields[f.key]; {
			case i == lineExists:
				other = "'r'"
			case f.binary:
				own, other = l.lines.content("l", f.key)+"::date", "NULL::date"
			default:
				own = l.lines.content("l", f.key) + "::text"
				if shared {
					other = l.receipts.content("r", of) + "::text"
				}
			}
			lines, receipts = append(lines, own+fmt.Sprintf(" AS field_%d", i)), append(receipts, other)
		}
		names = append(names, name)
	}
	all := fmt.Sprintf("(SELECT l.%s AS of_claim, %s FROM %s l UNION ALL SELECT r.%s, %s FROM %s r)",
		l.lines.quoted("claimID"), strings.Join(lines, ", "), l.lines.name, l.receipts.quoted("claimID"), strings.Join(receipts, ", "), l.receipts.name)
	condition := "l.of_claim = %s.claim_id"
	if slices.ContainsFunc(append(l.ofClaims(), l.claims), func(t table) bool {
		return t.columns["id"].typeName == "citext" || t.columns["claimID"].typeName == "citext"
	}) {
		condition = "lower(l.of_claim::text) = lower(%s.claim_id::text)"
	}
	return strings.Join(names, ", "), fmt.Sprintf("%s l ON "+condition, all, claims)
}
