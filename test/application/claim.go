package application

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Claim is one approved claim for a test. What is empty gets a value that makes a good claim.
type Claim struct {
	OrganizationID string
	Currency       string    // EUR
	ClaimantID     string    // 1042
	Status         string    // approved
	ApprovedAt     time.Time // two hours ago
	Description    string
	Advance        string // (none)
	// Lines of the claim: nil is one good line, an empty slice is none.
	Lines []Line
}

// Line is one expense of a claim for a test. What is empty gets a value that makes a good line.
type Line struct {
	Category    string    // travel
	Description string    // (none)
	ExpenseDate time.Time // two days before the claim was approved
	Gross, Tax  string    // 119.00, 0
	TaxCode     string    // (none)
	BaseGross   string    // (none)
	BaseTax     string    // (none)
	Dimensions  map[string]string
	// How the line was paid, with what, and what its receipt says of itself: (none).
	PaymentMethod, PaymentReference, Merchant, Country, DocumentNumber string
}

// InsertClaim puts one claim into the database and returns its id.
func InsertClaim(ctx context.Context, conn *pgx.Conn, claim Claim) (id string, err error) {
	approved := claim.ApprovedAt
	if approved.IsZero() {
		approved = time.Now().Add(-2 * time.Hour)
	}
	err = conn.QueryRow(ctx, `
		INSERT INTO public.claims (id, organization_id, claimant_id, claimant_name, claimant_iban, status, approved_at, currency, description, advance_amount)
		VALUES (gen_random_uuid(), $1, $2, $3, $8, $4, $5, $6, nullif($7, ''), nullif($9, '')::numeric) RETURNING id::text`,
		claim.OrganizationID, cmp.Or(claim.ClaimantID, "1042"), "Employee "+cmp.Or(claim.ClaimantID, "1042"),
		cmp.Or(claim.Status, "approved"), approved, cmp.Or(claim.Currency, "EUR"), claim.Description, IBAN(1042), claim.Advance).Scan(&id)
	if err != nil {
		return "", fmt.Errorf("inserting a claim: %w", err)
	}
	lines := claim.Lines
	if lines == nil {
		lines = []Line{{}}
	}
	for i, line := range lines {
		if err := insertLine(ctx, conn, id, i+1, approved, line); err != nil {
			return "", fmt.Errorf("inserting line %d: %w", i+1, err)
		}
	}
	return id, nil
}

func insertLine(ctx context.Context, conn *pgx.Conn, claim string, number int, approved time.Time, line Line) error {
	date := line.ExpenseDate
	if date.IsZero() {
		date = approved.AddDate(0, 0, -2)
	}
	_, err := conn.Exec(ctx, `
		INSERT INTO public.claim_lines (claim_id, line_no, expense_date, category, description, gross_amount, tax_amount, tax_code,
			base_gross_amount, base_tax_amount, dimensions, payment_method, payment_reference, merchant, country, document_number)
		VALUES ($1, $2, $3, $4, nullif($5, ''), $6::text::numeric, $7::text::numeric, nullif($8, ''), nullif($9, '')::numeric, nullif($10, '')::numeric, $11,
			nullif($12, ''), nullif($13, ''), nullif($14, ''), nullif($15, ''), nullif($16, ''))`,
		claim, number, date, cmp.Or(line.Category, "travel"), line.Description, cmp.Or(line.Gross, "119.00"), cmp.Or(line.Tax, "0"), line.TaxCode,
		line.BaseGross, line.BaseTax, line.Dimensions, line.PaymentMethod, line.PaymentReference, line.Merchant, line.Country, line.DocumentNumber)
	return err
}
