// Package application stands in for the application in which an organisation approves expense claims: its tables in
// PostgreSQL as the contract names them, and content for tests, demo and bench.
package application

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// tables of the contract, with its own names for all columns.
const tables = `
CREATE TABLE public.claims (
    id              uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    claimant_id     text NOT NULL,
    claimant_name   text NOT NULL,
    claimant_iban   text,
    status          text NOT NULL,
    approved_at     timestamptz,
    approved_by     text,
    currency        char(3) NOT NULL,
    description     text,
    advance_amount      numeric,
    base_advance_amount numeric,
    claimant_address    jsonb,
    claimant_bic        text
);
CREATE TABLE public.claim_lines (
    claim_id          uuid NOT NULL REFERENCES public.claims,
    line_no           integer NOT NULL,
    expense_date      date NOT NULL,
    category          text NOT NULL,
    description       text,
    gross_amount      numeric NOT NULL,
    tax_amount        numeric NOT NULL,
    tax_code          text,
    base_gross_amount numeric,
    base_tax_amount   numeric,
    dimensions        jsonb,
    quantity          numeric,
    unit              text,
    receipt_uri       text,
    payment_method    text,
    payment_reference text,
    merchant          text,
    country           text,
    document_number   text,
    PRIMARY KEY (claim_id, line_no)
);
CREATE INDEX claims_approved ON public.claims (organization_id, status, approved_at);`

// CreateTables makes the application's tables in an empty database.
func CreateTables(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, tables)
	return err
}
