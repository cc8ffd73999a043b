package openapi

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// exportedClaim finds one.
func exportedClaim(id *string) func(context.Context, *pgx.Conn) error {
	return func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `select claim_id from ledgerport.exported_claims limit 1`).Scan(id)
	}
}
