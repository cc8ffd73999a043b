package claims

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// query is a statement of the extended protocol with its parameters as text. The server infers their types, so that an
// id or a status is compared as what its column is, and indexes are used.
type query struct {
	sql        string
	parameters [][]byte
}

// parameter adds a value and gives its placeholder.
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
	claimID: {"c", "id", false}, claimantID: {"c", "claimantID", false}, claimantName: {"c", "claimantName", false},
	claimantIBAN: {"c", "claimantIBAN", false}, claimCurrency: {"c", "currency", false}, approvedAt: {"c", "approvedAt", true},
	approvedBy: {"c", "approvedBy", false}, claimDescription: {"c", "description", false},
	lineExists: {"l", "claimID", false}, lineNo: {"l", "lineNo", false}, expenseDate: {"l", "expenseDate", true},
	category: {"l", "category", false}, lineDescription: {"l", "description", false}, grossAmount: {"l", "grossAmount", false},
	taxAmount: {"l", "taxAmount", false}, taxCode: {"l", "taxCode", false}, lineCurrency: {"l", "currency", false},
	baseGrossAmount: {"l", "baseGrossAmount", false}, baseTaxAmount: {"l", "baseTaxAmount", false},
	dimensions: {"l", "dimensions", false}, quantity: {"l", "quantity", false}, unit: {"l", "unit", false}, receiptURI: {"l", "receiptURI", false},
}

// selectList gives the columns of the stream; one that a table lacks is NULL.
func (l *layout) selectList() string {
	columns := make([]string, len(streamFields))
	for i, f := range &streamFields {
		columns[i] = l.expression(f)
	}
	return strings.Join(columns, ", ")
}

func (l *layout) expression(f field) string {
	if f.table == "l" && f.key == "claimID" {
		return "l." + l.lines.quoted("claimID") + " IS NOT NULL" // all that is asked of it: is there a line?
	}
	t := l.claims
	if f.table == "l" {
		t = l.lines
	}
	found, ok := t.columns[f.key]
	switch {
	case !ok:
		return "NULL"
	case found.typeName == "bpchar": // its padding is not content
		return f.table + "." + t.quoted(f.key) + "::text"
	}
	return f.table + "." + t.quoted(f.key)
}

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

// approvedClaims is the condition on claims c: approved claims of the organisation before the cutoff.
func (l *layout) approvedClaims(q *query, run Run) string { return l.approvedAt(q, run, "<") }

// approvedLater is the condition on claims c: approved claims of the organisation that are for runs with a later cutoff.
func (l *layout) approvedLater(q *query, run Run) string { return l.approvedAt(q, run, ">=") }

func (l *layout) approvedAt(q *query, run Run, comparison string) string {
	values := make([]string, len(l.approved))
	organization := l.ofOrganization(q, run)
	for i, value := range l.approved {
		values[i] = q.parameter(value)
	}
	// One value in an IN list is a plain =, so that an index also gives the order.
	return fmt.Sprintf("%s AND c.%s IN (%s) AND c.%s %s %s",
		organization, l.claims.quoted(statusKey), strings.Join(values, ", "),
		l.claims.quoted("approvedAt"), comparison, q.parameter(instantText(run.Cutoff)))
}

// ofOrganization is the condition on claims c that they are the organisation's.
func (l *layout) ofOrganization(q *query, run Run) string {
	if l.unfiltered {
		return "true"
	}
	return fmt.Sprintf("c.%s = %s", l.claims.quoted("organizationID"), q.parameter(run.OrganizationID))
}

// candidates reads the claims that a run may take, in the order in which it numbers them. The lines of a claim come
// together, and the stream puts them in order: sorting all of them here would cost more.
//
// The claims exported before are set aside by a FULL JOIN, which PostgreSQL can only do by hashing or merging. It must not
// look exported_claims up claim by claim: the table grows under this very query, and where the planner believes it to be
// empty it would be scanned for each claim. OFFSET 0 keeps the planner from undoing that.
func (l *layout) candidates(run Run) query {
	var q query
	id, approvedAt := "c."+l.claims.quoted("id"), "c."+l.claims.quoted("approvedAt")
	q.sql = fmt.Sprintf(`SELECT %[1]s FROM (
			SELECT c.* FROM (SELECT %[2]s FROM %[3]s c WHERE %[4]s) c
			FULL JOIN (SELECT claim_id FROM ledgerport.exported_claims WHERE organization_id = %[5]s) e ON e.claim_id = %[6]s::text COLLATE "C"
			WHERE e.claim_id IS NULL ORDER BY %[7]s, %[6]s OFFSET 0) c
		LEFT JOIN %[8]s ORDER BY %[7]s, %[6]s`,
		l.selectList(), l.claims.allColumns(), l.claims.name, l.approvedClaims(&q, run), q.parameter(run.OrganizationID), id, approvedAt, l.linesOf("c"))
	return q
}

// totals counts and sums the claims that a run has taken, by currency. That they are approved is asked again.
func (l *layout) totals(run Run) query {
	var q query
	q.sql = fmt.Sprintf(`WITH taken AS MATERIALIZED (
			SELECT c.%[1]s, c.%[2]s::text COLLATE "C" AS code FROM ledgerport.exported_claims e JOIN %[3]s
			WHERE %[4]s AND e.organization_id = %[5]s AND e.run_id = %[6]s)
		SELECT code, claims, coalesce(lines, 0), coalesce(gross, 0)
		FROM (SELECT code, count(*) AS claims FROM taken GROUP BY 1) AS counted
		LEFT JOIN (SELECT code, count(*) AS lines, sum(l.%[7]s) AS gross FROM taken JOIN %[8]s GROUP BY 1) AS summed USING (code)
		ORDER BY 1`,
		l.claims.quoted("id"), l.claims.quoted("currency"), l.claimsOf("e"), l.approvedClaims(&q, run),
		q.parameter(run.OrganizationID), q.parameter(run.ID), l.lines.quoted("grossAmount"), l.linesOf("taken"))
	return q
}

// settledHolds removes the holds that other runs of the same source left of claims which are not to be looked at later:
// approved, and not before the cutoff of this run.
func (l *layout) settledHolds(run Run) query {
	var q query
	organization, id := q.parameter(run.OrganizationID), q.parameter(run.ID)
	q.sql = fmt.Sprintf(`DELETE FROM ledgerport.held_claims h USING ledgerport.runs holding, ledgerport.runs this
		WHERE h.organization_id = %[1]s AND h.run_id <> %[2]s AND holding.id = h.run_id AND this.id = %[2]s
		AND holding.inputs->>'source' IS NOT DISTINCT FROM this.inputs->>'source'
		AND NOT EXISTS (SELECT FROM %[3]s c WHERE %[4]s AND c.%[5]s::text COLLATE "C" = h.claim_id
			AND NOT EXISTS (SELECT FROM ledgerport.exported_claims e WHERE e.organization_id = %[1]s AND e.claim_id = h.claim_id))`,
		organization, id, l.claims.name, l.approvedLater(&q, run), l.claims.quoted("id"))
	return q
}

// claimsOf joins claims c to the rows of exported_claims. The text is cast to the claims' type and not the other way
// round, so that the index on their ids can be used.
func (l *layout) claimsOf(exported string) string {
	return fmt.Sprintf("%s c ON c.%s = %s.claim_id::%s", l.claims.name, l.claims.quoted("id"), exported, l.claims.columns["id"].typeName)
}

// linesOf joins lines l to claims.
func (l *layout) linesOf(claims string) string {
	return fmt.Sprintf("%s l ON l.%s = %s.%s", l.lines.name, l.lines.quoted("claimID"), claims, l.claims.quoted("id"))
}

// manyClaims is from where on looking claims up one by one is never the best plan.
const manyClaims = 5000

// hint keeps the planner from looking up one by one what can be many. Of rows written a moment ago it has no statistics
// and takes them for a few.
func (l *layout) hint(ctx context.Context, tx pgx.Tx, claims int64) error {
	if claims <= manyClaims && l.linesIndexed {
		return nil
	}
	_, err := tx.Exec(ctx, `SELECT set_config('enable_nestloop', 'off', true), set_config('enable_sort', 'off', true)`)
	return err
}
