package claims

import (
	"fmt"
	"strings"
)

// byKey reports whether the claims of a run are few, and the key of each decides whether it is exported.
func (l *layout) byKey(run Run, known identity, h *horizon) bool {
	return l.foundByKey(known) && (!h.watermark.IsZero() || len(run.Selection.IDs) > 0) && !l.rehearsal
}

// candidatesByKey reads the claims that a run may take as candidates does, in a time that depends on them alone: those approved from
// the watermark on, those that are held, or those that the run names, each looked up in what is exported by its key. Below the
// watermark nothing else is left; what was approved there later is for a run without one.
//
// OFFSET 0 keeps the planner from reading all that was ever exported, or approved, for a few. All is looked up before the first row is
// returned: exported_claims grows under this very query, and where the planner believes it to be empty it would be scanned for each claim.
func (l *layout) candidatesByKey(run Run, known identity, h *horizon) query {
	var q query
	selected, approved := l.selectClaims(), l.approvedClaims(&q, run)
	var parts []string
	if len(run.Selection.IDs) > 0 {
		parts = append(parts, selected+approved)
	} else {
		approvedAt, watermark := "c."+l.claims.quoted("approvedAt"), q.parameter(instantText(h.watermark))
		held := fmt.Sprintf(`SELECT c.* FROM (SELECT DISTINCT %s AS id FROM ledgerport.held_claims h WHERE h.organization_id = %s AND h.claim_table = ANY(%s::integer[])) h
			CROSS JOIN LATERAL (%s%s AND %s < %s AND c.%s = h.id OFFSET 0) c`,
			l.heldID(), q.parameter(run.OrganizationID), q.parameter(oneOf(known.exported)), selected, approved, approvedAt, watermark, l.claims.quoted("id"))
		parts = append(parts, fmt.Sprintf("%s%s AND %s >= %s", selected, approved, approvedAt, watermark), held)
	}
	parts = append(parts, selected+l.approvedNever(&q, run))
	order := "c." + alias("approvedAt") + ", c." + alias("id")
	list, joined := l.streamed(run)
	q.sql = fmt.Sprintf(`WITH unbound AS MATERIALIZED (SELECT c.* FROM (%[1]s) c
			WHERE NOT EXISTS (SELECT FROM ledgerport.exported_claims x WHERE x.claim_table = ANY(%[2]s::integer[]) AND x.claim_id = c.claim_key OFFSET 0))
		SELECT %[3]s FROM (SELECT c.*, NULL AS claim_fault FROM unbound c ORDER BY %[4]s OFFSET 0) c
		LEFT JOIN %[5]s ORDER BY %[4]s`,
		strings.Join(parts, " UNION ALL "), q.parameter(oneOf(known.exported)), list, order, joined)
	return q
}

// heldID is the id of a held claim h as the column of ids has it, which is a uuid or an integer; NULL if the column cannot have it.
func (l *layout) heldID() string {
	if typeFamily(l.claims.columns["id"].typeName) == uuidFamily {
		return `CASE WHEN h.claim_id COLLATE "C" ~ ` + uuidForm + ` THEN h.claim_id::uuid END`
	}
	return `CASE WHEN h.claim_id COLLATE "C" ~ '^-?[0-9]{1,19}$' THEN
		CASE WHEN h.claim_id::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN h.claim_id::bigint END ELSE NULL END`
}
