package claims

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// lookback is how far below the newest claims that a run could see its watermark is: a transaction of the application that commits
// late, a clock that is wrong, and a day that is recorded in place of an instant approve claims in the past by less than this.
const lookback = 48 * time.Hour

// horizon is what a pass over the claims knows from the passes before it, in its snapshot of the database.
type horizon struct {
	// scope says which claims a watermark speaks of; empty if none is used or recorded.
	scope string
	// now is the time in the database, and sequence that of the ledger.
	now      time.Time
	sequence int64
	// watermark is the instant below which every approved claim was exported, held or not selected; zero if it is not known, so that
	// all are compared.
	watermark time.Time
	// comparedAt is when they last were.
	comparedAt time.Time
	// noneHeld says that no claim of the organisation is held; false if it was not asked.
	noneHeld bool
}

// horizon finds the newest watermark that still holds: of the same claims, with all of them compared no longer ago than the
// administrator wants, and no claim of the book freed since. A Database that always compares all has none.
func (d *Database) horizon(ctx context.Context, tx pgx.Tx, l *layout, run Run, known identity) (h horizon, err error) {
	if d.options.FullCheck <= 0 || len(run.Selection.IDs) > 0 || !l.foundByKey(known) {
		return h, nil
	}
	const query = `SELECT l.id::text || ' ' || $3, l.sequence, now(), w.watermark, w.compared_at,
			NOT EXISTS (SELECT FROM ledgerport.held_claims WHERE organization_id = $1)
		FROM ledgerport.ledger l LEFT JOIN LATERAL (
			SELECT r.watermark, r.compared_at FROM ledgerport.runs r
			WHERE r.organization_id = $1 AND r.watermark_scope = l.id::text || ' ' || $3 AND isfinite(r.watermark)
				AND r.compared_at > now() - make_interval(secs => $4) AND r.compared_at <= now()
				AND r.watermark_sequence >= (
					SELECT coalesce(max(f.freed_sequence), 0) FROM ledgerport.runs f WHERE f.organization_id = $1 AND f.book = $2)
			ORDER BY r.watermark DESC LIMIT 1) w ON true`
	rows, _ := tx.Query(ctx, query, run.OrganizationID, run.Book, l.scope(run, known), d.options.FullCheck.Seconds()) // the error comes with the rows
	var watermark, comparedAt pgtype.Timestamptz
	_, err = pgx.ForEachRow(rows, []any{&h.scope, &h.sequence, &h.now, &watermark, &comparedAt, &h.noneHeld}, func() error {
		h.watermark, h.comparedAt = watermark.Time, comparedAt.Time
		return nil
	})
	if h.watermark.IsZero() {
		h.comparedAt = h.now
	}
	return h, err
}

// foundByKey reports whether the key of a claim, alone, decides whether the claim is exported. Where two rows may have the same key, or it
// is not known of which table a key was exported, all claims have to be seen together.
func (l *layout) foundByKey(known identity) bool {
	return l.keysUnique && len(known.unknown) == 0 && known.retyped == nil
}

// scope identifies the claims that a run of a selection may take at all. A change in any of this makes another scope, of which nothing
// is known.
func (l *layout) scope(run Run, known identity) string {
	content, err := json.Marshal(struct {
		Table, ID, Organization, ApprovedAt, Status string
		Approved                                    []string
		Relation                                    uint32
		Exported                                    []int32
		From                                        time.Time
		Expression                                  string
	}{
		l.claims.name, l.claims.quoted("id"), l.claims.quoted("organizationID"), l.claims.quoted("approvedAt"), l.claims.quoted(statusKey),
		l.approved, known.relation, known.exported, run.Selection.ApprovedFrom.UTC(), run.Selection.Expression,
	})
	if err != nil {
		return "" // texts and numbers are always written
	}
	hash := sha256.Sum256(content)
	return hex.EncodeToString(hash[:])
}

// mark is what a run that has gone through all its claims leaves to later ones.
type mark struct {
	watermark  time.Time
	scope      string
	sequence   int64
	comparedAt time.Time
}

// mark returns what to record of a pass to a cutoff; nil if nothing is.
func (h *horizon) mark(cutoff time.Time) *mark {
	if h.scope == "" {
		return nil
	}
	newest := h.now
	if cutoff.Before(newest) {
		newest = cutoff
	}
	return &mark{newest.Add(-lookback), h.scope, h.sequence, h.comparedAt}
}
