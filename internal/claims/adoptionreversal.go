package claims

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// ReverseAdoption frees the claims of an adoption for the next run, by a reversal that is recorded and writes no vouchers, and returns
// that. by names the organisation and the namespace of the adoption.
func (d *Database) ReverseAdoption(ctx context.Context, by RunIdentity, name, holder string) (Run, error) {
	by.ID = string(uuid.NewUUID())
	run, err := committed(ctx, d, by.OrganizationID, by.ID, func(tx pgx.Tx) (run Run, err error) {
		// Of two reversals at once the second waits here, and finds the first.
		adoption, err := scanRun(tx.QueryRow(ctx, `SELECT `+runColumns+` FROM ledgerport.runs
			WHERE organization_id = $1 AND namespace = $2 AND name = $3 AND type = 'adoption' FOR UPDATE`, by.OrganizationID, by.Namespace, name))
		if errors.Is(err, pgx.ErrNoRows) {
			return run, failure.OnSource.Stalled(v1alpha1.ReasonRunNotFound, nil, "no adoption %s/%s of organisation %s is recorded", by.Namespace, name, by.OrganizationID)
		}
		if err != nil {
			return run, err
		}
		var reversal string
		err = tx.QueryRow(ctx, `SELECT name FROM ledgerport.runs WHERE reverses = $1 AND state <> 'released' LIMIT 1`, adoption.ID).Scan(&reversal)
		if err == nil {
			return run, failure.OnSource.Stalled(v1alpha1.ReasonAlreadyReversed, nil, "run %s is reversed by run %s; there is nothing more to do", name, reversal)
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return run, err
		}
		if err := freeAdopted(ctx, tx, by.OrganizationID, adoption.ID); err != nil {
			return run, err
		}
		run, err = scanRun(tx.QueryRow(ctx, `INSERT INTO ledgerport.runs (id, namespace, export, name, organization_id, book, series, type, reverses, state, attempt, holder, deadline, inputs, cutoff, claims, committed_at)
			SELECT $2, namespace, export, name || '-back', organization_id, book, series, 'reversal', id, 'committed', 1, $3, now(), inputs, now(), claims, now()
			FROM ledgerport.runs WHERE id = $1 RETURNING `+runColumns, adoption.ID, by.ID, holder))
		if err == nil {
			run.Sequence, err = raise(ctx, tx, by.ID, true)
		}
		return run, err
	})
	return run, classify(ctx, "reversing the adoption", err)
}

// freeAdopted frees the claims of an adoption. What they had stays recorded in reversal_vouchers and adopted_vouchers.
func freeAdopted(ctx context.Context, tx pgx.Tx, organizationID, adoption string) error {
	_, err := tx.Exec(ctx, `WITH reversed AS (
			DELETE FROM ledgerport.exported_claims WHERE organization_id = $1 AND run_id = $2
			RETURNING organization_id, claim_id, run_id, position, fiscal_year, voucher_number)
		INSERT INTO ledgerport.reversal_vouchers (organization_id, claim_id, run_id, position, fiscal_year, voucher_number)
		SELECT organization_id, claim_id, run_id, position, fiscal_year, voucher_number FROM reversed`, organizationID, adoption)
	return err
}
