package claims

import (
	"fmt"
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

// The fields of the stream, in the order of the constants in stream.go.
var streamFields = []field{
	{"c", "id", false}, {"c", "claimantID", false}, {"c", "claimantName", false}, {"c", "claimantIBAN", false},
	{"c", "currency", false}, {"c", "approvedAt", true}, {"c", "approvedBy", false}, {"c", "description", false},
	{"l", "claimID", false}, {"l", "lineNo", false}, {"l", "expenseDate", true}, {"l", "category", false},
	{"l", "description", false}, {"l", "grossAmount", false}, {"l", "taxAmount", false}, {"l", "taxCode", false},
	{"l", "currency", false}, {"l", "baseGrossAmount", false}, {"l", "baseTaxAmount", false}, {"l", "dimensions", false},
	{"l", "quantity", false}, {"l", "unit", false}, {"l", "receiptURI", false},
}

// selectList gives the columns of the stream; one that a table lacks is NULL.
func (l *layout) selectList() string {
	columns := make([]string, len(streamFields))
	for i, f := range streamFields {
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
	formats := make([]int16, len(streamFields), len(streamFields)+2)
	for i, f := range streamFields {
		if f.binary {
			formats[i] = pgtype.BinaryFormatCode
		}
	}
	return formats
}

// approvedClaims is the condition on claims c: approved claims of the organisation before the cutoff.
func (l *layout) approvedClaims(q *query, run Run) string {
	values := make([]string, len(l.approved))
	organization := q.parameter(run.OrganizationID)
	for i, value := range l.approved {
		values[i] = q.parameter(value)
	}
	// One value in an IN list is a plain =, so that an index also gives the order.
	return fmt.Sprintf("c.%s = %s AND c.%s IN (%s) AND c.%s < %s",
		l.claims.quoted("organizationID"), organization, l.claims.quoted(statusKey), strings.Join(values, ", "),
		l.claims.quoted("approvedAt"), q.parameter(instantText(run.Cutoff)))
}

// withLines joins claims c to their lines l; a claim without lines stays, once.
func (l *layout) withLines() string {
	return fmt.Sprintf("%s c LEFT JOIN %s l ON l.%s = c.%s", l.claims.name, l.lines.name, l.lines.quoted("claimID"), l.claims.quoted("id"))
}

// candidates reads the claims that a run may take, in the order in which it numbers them.
func (l *layout) candidates(run Run) query {
	var q query
	id := "c." + l.claims.quoted("id")
	q.sql = fmt.Sprintf(`SELECT %s FROM %s WHERE %s AND NOT EXISTS (
			SELECT FROM ledgerport.exported_claims e WHERE e.organization_id = %s AND e.claim_id = %s::text)
		ORDER BY c.%s, %s, l.%s`,
		l.selectList(), l.withLines(), l.approvedClaims(&q, run), q.parameter(run.OrganizationID), id,
		l.claims.quoted("approvedAt"), id, l.lines.quoted("lineNo"))
	return q
}

// reserved reads the claims that a run has taken, in the order of their positions.
func (l *layout) reserved(run Run) query {
	var q query
	castTo := l.claims.columns["id"].typeName // so that the index on the claims' ids is used
	q.sql = fmt.Sprintf(`SELECT %s, e.fiscal_year, e.voucher_number
		FROM ledgerport.exported_claims e JOIN (%s) ON c.%s = e.claim_id::%s AND c.%s = %s
		WHERE e.organization_id = %s AND e.run_id = %s ORDER BY e.position, l.%s`,
		l.selectList(), l.withLines(), l.claims.quoted("id"), castTo, l.claims.quoted("organizationID"), q.parameter(run.OrganizationID),
		q.parameter(run.OrganizationID), q.parameter(run.ID), l.lines.quoted("lineNo"))
	return q
}

// totals sums the claims that a run has taken, by currency. The conditions on claims are those of candidates, which the
// planner has statistics for. What the transaction itself has written it knows nothing about and might look up claim by
// claim; IS TRUE makes the subquery a hash table that is filled once.
func (l *layout) totals(run Run) query {
	var q query
	amount := "l." + l.lines.quoted("grossAmount")
	q.sql = fmt.Sprintf(`SELECT currency, count(*), sum(lines)::bigint, sum(gross)::text FROM (
			SELECT %s::text COLLATE "C" AS currency, count(l.%s) AS lines, coalesce(sum(%s), 0)::numeric AS gross
			FROM %s WHERE %s AND (c.%s::text IN (
				SELECT e.claim_id FROM ledgerport.exported_claims e WHERE e.organization_id = %s AND e.run_id = %s)) IS TRUE
			GROUP BY c.%s, 1) AS claims GROUP BY 1 ORDER BY 1`,
		l.expression(field{"c", "currency", false}), l.lines.quoted("claimID"), amount,
		l.withLines(), l.approvedClaims(&q, run), l.claims.quoted("id"), q.parameter(run.OrganizationID), q.parameter(run.ID),
		l.claims.quoted("id"))
	return q
}
