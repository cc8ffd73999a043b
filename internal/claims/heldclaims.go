package claims

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/texts"
)

const (
	// longestHeldID, longestHeldReason and longestHeldMessage bound what is read of a held claim, in bytes or characters. Ids are recorded
	// shorter than that; a row with a longer one is none that Ledgerport has written.
	longestHeldID      = 1024
	longestHeldReason  = 64
	longestHeldMessage = 2000
	// mostReasons bounds the reasons that are told apart.
	mostReasons = 100
)

// HeldQuery narrows the held claims of an export.
type HeldQuery struct {
	// Reason and Claim alone; empty for all.
	Reason, Claim string
	// After is the claim that the page comes after; the first page if it is zero.
	After HeldPlace
	// Limit of the claims in the page.
	Limit int
}

// HeldPlace is the place of a claim among those that are held.
type HeldPlace struct {
	Table int32
	Claim string
}

// HeldClaim is a claim that waits.
type HeldClaim struct {
	Place           HeldPlace
	Reason, Message string
	Since           time.Time
	// Run that held it last.
	Run string
}

// HeldReason counts what is held for one reason.
type HeldReason struct {
	Reason string
	Claims int64
	Since  time.Time
}

// heldOf are the held claims of an organisation that runs of an export have held last.
const heldOf = ` FROM ledgerport.held_claims h JOIN ledgerport.runs r ON r.id = h.run_id
	WHERE h.organization_id = $1 AND r.organization_id = $1 AND r.namespace = $2 AND r.export = $3 AND octet_length(h.claim_id) <= 1024
		AND h.held_since BETWEEN '1970-01-01' AND '9999-12-31'`

// HeldClaims returns a page of the claims of an organisation that the runs of an export have held, and that still wait.
func (d *Database) HeldClaims(ctx context.Context, of RunIdentity, query HeldQuery) (page []HeldClaim, err error) {
	const doing = "reading the held claims"
	err = d.transact(ctx, pgx.ReadOnly, of.OrganizationID, "", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `SELECT h.claim_table, h.claim_id, left(h.reason, $8), left(h.message, $9), h.held_since, left(r.name, 253)`+heldOf+`
			AND ($4 = '' OR h.reason = $4) AND ($5 = '' OR h.claim_id = $5) AND (h.claim_table, h.claim_id) > ($6::integer, $7::text)
			ORDER BY h.claim_table, h.claim_id LIMIT $10`,
			of.OrganizationID, of.Namespace, of.Export, query.Reason, query.Claim, query.After.Table, query.After.Claim,
			longestHeldReason, longestHeldMessage, query.Limit) // the error comes with the rows
		page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (held HeldClaim, err error) {
			err = row.Scan(&held.Place.Table, &held.Place.Claim, &held.Reason, &held.Message, &held.Since, &held.Run)
			held.Reason, held.Run = texts.Printable(held.Reason, longestHeldReason), texts.Printable(held.Run, maxFileName)
			held.Message = texts.Printable(held.Message, texts.Message)
			return held, err
		})
		return unreadable(doing, err)
	})
	return page, classify(ctx, doing, err)
}

// HeldReasons counts the claims of an organisation that the runs of an export have held, and that still wait, by their reasons: the most
// frequent first.
func (d *Database) HeldReasons(ctx context.Context, of RunIdentity) (groups []HeldReason, err error) {
	const doing = "counting the held claims"
	err = d.transact(ctx, pgx.ReadOnly, of.OrganizationID, "", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `SELECT left(h.reason, $4), count(*), min(h.held_since)`+heldOf+` GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $5`,
			of.OrganizationID, of.Namespace, of.Export, longestHeldReason, mostReasons) // the error comes with the rows
		groups, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (group HeldReason, err error) {
			err = row.Scan(&group.Reason, &group.Claims, &group.Since)
			group.Reason = texts.Printable(group.Reason, longestHeldReason)
			return group, err
		})
		return unreadable(doing, err)
	})
	return groups, classify(ctx, doing, err)
}
