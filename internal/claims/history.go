package claims

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/texts"
)

// RecordedVoucher is a voucher as it is recorded, with the run that it is of, whether or not an ExportRun of that exists.
type RecordedVoucher struct {
	Book string `json:"book"`
	// Voucher is series, fiscal year and number; of an adopted claim what it has elsewhere.
	Voucher string `json:"voucher"`
	Claim   string `json:"claim"`
	// Type of the run, and State that it is recorded in.
	Type      string `json:"type"`
	State     string `json:"state"`
	Namespace string `json:"namespace"`
	Export    string `json:"export"`
	Run       string `json:"run"`
	// Reverses is the voucher that it takes back, and ReversedBy the run that has taken it back.
	Reverses   string `json:"reverses,omitempty"`
	ReversedBy string `json:"reversedBy,omitempty"`
	// Reference by which an accounting system knows it.
	Reference string `json:"reference,omitempty"`
	// Locations of the artifact: where the run delivered it, and where redeliveries of it did.
	Locations   []string   `json:"locations,omitempty"`
	CommittedAt *time.Time `json:"committedAt,omitempty"`
}

// Wanted says which recorded vouchers of an organisation are looked for. What is empty is not looked at.
type Wanted struct {
	Organization string
	// Claim, Voucher such as E/2026/17 or what an adopted claim has elsewhere, and Reference of an accounting system.
	Claim, Voucher, Reference string
	// Namespace and Run name one run.
	Namespace, Run string
	// Left leaves out what was reversed, and reversals.
	Left bool
	// Limit is how many are read at most.
	Limit int
}

const recordedVouchers = `
SELECT left(v.book, 253), left(coalesce(v.foreign_voucher, v.series || '/' || v.fiscal_year || '/' || v.voucher_number, ''), 300), left(v.claim_id, 1000), v.type, v.state,
    left(v.namespace, 253), left(v.export, 253), left(v.run, 253), left(coalesce(v.reverses, ''), 300), left(coalesce(v.reversed_by, ''), 253), left(coalesce(s.reference, ''), 300),
    ARRAY(SELECT left(d.location, 2048) FROM ledgerport.runs d WHERE (d.id = r.id OR d.redelivers = r.id AND d.state = 'committed') AND d.location <> '' ORDER BY d.delivered_at LIMIT 10),
    r.committed_at
FROM ledgerport.vouchers v
JOIN ledgerport.runs r ON r.id = v.run_id
LEFT JOIN ledgerport.submitted_vouchers s ON s.run_id = v.run_id AND s.position = v.position
WHERE v.organization_id = $1 AND ($2 = '' OR v.claim_id = $2)
    AND ($3 = '' OR v.foreign_voucher = $3 OR v.series || '/' || v.fiscal_year || '/' || v.voucher_number = $3)
    AND ($4 = '' OR s.reference = $4) AND ($5 = '' OR v.namespace = $5) AND ($6 = '' OR v.run = $6)
    AND (NOT $7 OR v.reversed_by IS NULL AND v.reverses IS NULL)
ORDER BY v.book, r.started_at, v.position LIMIT $8`

// RecordedVouchers returns what is recorded of vouchers, the oldest run of each book first. The role must own the schema.
func (d *Database) RecordedVouchers(ctx context.Context, wanted Wanted) (found []RecordedVoucher, err error) {
	const doing = "reading recorded vouchers"
	err = d.transact(ctx, pgx.ReadOnly, wanted.Organization, "", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, recordedVouchers, wanted.Organization, wanted.Claim, wanted.Voucher, wanted.Reference, wanted.Namespace, wanted.Run, wanted.Left, wanted.Limit) // the error comes with the rows
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (v RecordedVoucher, err error) {
			err = row.Scan(&v.Book, &v.Voucher, &v.Claim, &v.Type, &v.State, &v.Namespace, &v.Export, &v.Run, &v.Reverses, &v.ReversedBy, &v.Reference, &v.Locations, &v.CommittedAt)
			v.printable()
			return v, err
		})
		return unreadable(doing, err)
	})
	return found, classify(ctx, doing, err)
}

// printable makes texts of a database fit to be shown.
func (v *RecordedVoucher) printable() {
	for _, text := range []*string{&v.Book, &v.Voucher, &v.Claim, &v.Type, &v.State, &v.Namespace, &v.Export, &v.Run, &v.Reverses, &v.ReversedBy, &v.Reference} {
		*text = texts.Printable(*text, texts.Message)
	}
	for i := range v.Locations {
		v.Locations[i] = texts.Printable(v.Locations[i], longestLocation)
	}
}

// Numbering counts the numbers that a voucher series has given in a fiscal year.
type Numbering struct {
	Book       string `json:"book"`
	Series     string `json:"series"`
	FiscalYear int    `json:"fiscalYear"`
	// First and Last number.
	First int64 `json:"first"`
	Last  int64 `json:"last"`
	// Vouchers have one each, and Void are those of runs that were released.
	Vouchers int64 `json:"vouchers"`
	Void     int64 `json:"void"`
	// Missing numbers between the first and the last one, and Twice those that there are more than once. Both are 0 in every ledger that is whole.
	Missing int64 `json:"missing"`
	Twice   int64 `json:"twice"`
}

const numberings = `
WITH ranges AS (
    SELECT book, series, fiscal_year, voucher_number AS first, voucher_number AS last, true AS used FROM ledgerport.vouchers WHERE organization_id = $1 AND series IS NOT NULL
    UNION ALL
    SELECT book, series, fiscal_year, first, last, false FROM ledgerport.voided_vouchers WHERE organization_id = $1),
steps AS (
    SELECT *, max(last) OVER (PARTITION BY book, series, fiscal_year ORDER BY first, last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM ranges)
SELECT left(book, 253), left(series, 253), fiscal_year, min(first), max(last),
    coalesce(sum(last - first + 1) FILTER (WHERE used), 0)::bigint, coalesce(sum(last - first + 1) FILTER (WHERE NOT used), 0)::bigint,
    coalesce(sum(greatest(first - before - 1, 0)) FILTER (WHERE before IS NOT NULL), 0)::bigint,
    coalesce(sum(greatest(least(before, last) - first + 1, 0)) FILTER (WHERE before IS NOT NULL), 0)::bigint
FROM steps GROUP BY book, series, fiscal_year ORDER BY 1, 2, 3 LIMIT 10000`

// Numberings counts the numbers of all voucher series of an organisation. The role must own the schema.
func (d *Database) Numberings(ctx context.Context, organization string) (found []Numbering, err error) {
	const doing = "counting voucher numbers"
	err = d.transact(ctx, pgx.ReadOnly, organization, "", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, numberings, organization) // the error comes with the rows
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (n Numbering, err error) {
			err = row.Scan(&n.Book, &n.Series, &n.FiscalYear, &n.First, &n.Last, &n.Vouchers, &n.Void, &n.Missing, &n.Twice)
			n.Book, n.Series = texts.Printable(n.Book, texts.Quote), texts.Printable(n.Series, texts.Quote)
			return n, err
		})
		return unreadable(doing, err)
	})
	return found, classify(ctx, doing, err)
}

// WaitingClaim is a held claim as it is recorded, with the run that held it last.
type WaitingClaim struct {
	Book      string     `json:"book"`
	Claim     string     `json:"claim"`
	Reason    string     `json:"reason"`
	Message   string     `json:"message"`
	HeldSince *time.Time `json:"heldSince,omitempty"`
	Namespace string     `json:"namespace"`
	Run       string     `json:"run"`
}

const waitingClaims = `
SELECT left(t.book, 253), left(h.claim_id, 1000), left(h.reason, 64), left(h.message, 2000), h.held_since, left(r.namespace, 253), left(r.name, 253)
FROM ledgerport.held_claims h
JOIN ledgerport.claim_tables t ON t.id = h.claim_table
JOIN ledgerport.runs r ON r.id = h.run_id
WHERE h.organization_id = $1 ORDER BY t.book, h.reason, h.held_since, h.claim_id LIMIT $2`

// WaitingClaims returns the held claims of an organisation, by book and reason. The role must own the schema.
func (d *Database) WaitingClaims(ctx context.Context, organization string, limit int) (found []WaitingClaim, err error) {
	const doing = "reading held claims"
	err = d.transact(ctx, pgx.ReadOnly, organization, "", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, waitingClaims, organization, limit) // the error comes with the rows
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (w WaitingClaim, err error) {
			err = row.Scan(&w.Book, &w.Claim, &w.Reason, &w.Message, &w.HeldSince, &w.Namespace, &w.Run)
			for _, text := range []*string{&w.Book, &w.Claim, &w.Reason, &w.Message, &w.Namespace, &w.Run} {
				*text = texts.Printable(*text, texts.Message)
			}
			return w, err
		})
		return unreadable(doing, err)
	})
	return found, classify(ctx, doing, err)
}
