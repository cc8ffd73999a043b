package claims

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/texts"
)

// ClaimStatus says what runs of an export have made of a claim.
type ClaimStatus struct {
	// Book that the row is about.
	Book string
	// State is exporting, exported, adopted or held.
	State string
	// Vouchers that it became, in their order; of an adopted claim the one that it has elsewhere.
	Vouchers []string
	Run      string
	// Location of the artifact, and Reference by which an accounting system knows the voucher.
	Location, Reference string
	// Reason and Message say why it is held.
	Reason, Message string
	Since           *time.Time
}

const (
	// mostBooks bounds the rows that are read of one claim, and mostClaimVouchers the vouchers of each.
	mostBooks, mostClaimVouchers = 100, 1000
	// longestShownVoucher, longestReference and longestLocation bound what is read of texts, in characters.
	longestShownVoucher, longestReference, longestLocation = 300, 300, 2048
)

// claimStatus is what the view ledgerport.claim_status shows the application of one claim, of the runs of an export. The operator may read
// the tables, which policies bind, and not the view.
const claimStatus = `
SELECT t.book, CASE WHEN r.type = 'adoption' THEN 'adopted' WHEN r.state = 'committed' THEN 'exported' ELSE 'exporting' END,
    CASE WHEN a.voucher IS NOT NULL THEN ARRAY[left(a.voucher, 300)] ELSE
        ARRAY(SELECT left(r.series || '/' || v.fiscal_year || '/' || v.voucher_number, 300) FROM (
            SELECT e.position, e.fiscal_year, e.voucher_number
            UNION ALL SELECT f.position, f.fiscal_year, f.voucher_number FROM ledgerport.reversal_vouchers f
            WHERE f.run_id = e.run_id AND f.position > e.position AND f.position < e.position + 1000 AND f.claim_id = e.claim_id) v
        ORDER BY v.position LIMIT 1000) END,
    left(r.name, 253), left(coalesce(r.location, ''), 2048), left(coalesce(s.reference, ''), 300), '', '', coalesce(r.committed_at, r.rendered_at)
FROM ledgerport.claim_tables t
JOIN ledgerport.exported_claims e ON e.claim_table = t.id AND e.organization_id = $1 AND e.claim_id = $4
JOIN ledgerport.runs r ON r.id = e.run_id AND r.organization_id = $1 AND r.namespace = $2 AND r.export = $3
LEFT JOIN ledgerport.submitted_vouchers s ON s.run_id = e.run_id AND s.position = e.position
LEFT JOIN ledgerport.adopted_vouchers a ON a.run_id = e.run_id AND a.position = e.position
UNION ALL
SELECT t.book, 'held', '{}', left(r.name, 253), '', '', left(h.reason, 64), left(h.message, 2000), h.held_since
FROM ledgerport.claim_tables t
JOIN ledgerport.held_claims h ON h.claim_table = t.id AND h.organization_id = $1 AND h.claim_id = $4
JOIN ledgerport.runs r ON r.id = h.run_id AND r.organization_id = $1 AND r.namespace = $2 AND r.export = $3
LIMIT $5`

// ClaimStatus returns what runs of an export have made of a claim of an organisation: nothing of one that is neither exported nor held.
func (d *Database) ClaimStatus(ctx context.Context, of RunIdentity, claim string) (found []ClaimStatus, err error) {
	const doing = "reading what became of a claim"
	err = d.transact(ctx, pgx.ReadOnly, of.OrganizationID, "", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, claimStatus, of.OrganizationID, of.Namespace, of.Export, claim, mostBooks) // the error comes with the rows
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (status ClaimStatus, err error) {
			err = row.Scan(&status.Book, &status.State, &status.Vouchers, &status.Run, &status.Location, &status.Reference, &status.Reason, &status.Message, &status.Since)
			status.printable()
			return status, err
		})
		return unreadable(doing, err)
	})
	return found, classify(ctx, doing, err)
}

// printable makes texts of a database fit to be shown. A time that cannot be written is none.
func (s *ClaimStatus) printable() {
	s.Book, s.Run = texts.Printable(s.Book, texts.Quote), texts.Printable(s.Run, maxFileName)
	s.Location, s.Reference = texts.Printable(s.Location, longestLocation), texts.Printable(s.Reference, longestReference)
	s.Reason, s.Message = texts.Printable(s.Reason, longestHeldReason), texts.Printable(s.Message, texts.Message)
	s.Vouchers = s.Vouchers[:min(len(s.Vouchers), mostClaimVouchers)]
	for i, voucher := range s.Vouchers {
		s.Vouchers[i] = texts.Printable(voucher, longestShownVoucher)
	}
	if at := s.Since; at != nil && (at.Year() < 1970 || at.Year() > 9999) {
		s.Since = nil
	}
}
