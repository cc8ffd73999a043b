package claims

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// MarkRedelivery records what a redelivery delivers, which another run has rendered: started → rendered.
func (d *Database) MarkRedelivery(ctx context.Context, fence Fence, rendered Rendered) error {
	return d.step(ctx, fence, "recording what is delivered again", func(tx pgx.Tx) (freed int64, err error) {
		return 0, recordRendered(ctx, tx, fence, StateRendered, rendered, nil)
	})
}

// Approval is who has asked for a run that needs an approval, and who has approved it.
type Approval struct {
	RequestedBy, ApprovedBy string
	ApprovedAt              time.Time
}

// RecordApproval records who has approved what a run delivers, before anything is delivered: the run stays rendered. The names are those
// of the newest approval.
func (d *Database) RecordApproval(ctx context.Context, fence Fence, approval Approval) error {
	return d.ofRun(ctx, fence, "recording the approval", func(tx pgx.Tx) error {
		return one(tx.Exec(ctx, `UPDATE ledgerport.runs SET requested_by = $3, approved_by = $4, approved_at = $5
			WHERE id = $1 AND attempt = $2 AND state = 'rendered'`, fence.RunID, fence.Attempt, approval.RequestedBy, approval.ApprovedBy, approval.ApprovedAt))
	})
}

// MarkDelivered records where the artifact is: rendered or submitted → delivered. The location is empty where a run exports nothing.
func (d *Database) MarkDelivered(ctx context.Context, fence Fence, location string) error {
	return d.leaves(ctx, fence, "recording the delivery", func(tx pgx.Tx) (Run, error) {
		return moved(ctx, tx, StateDelivered, `location = $3, delivered_at = now()`, `true`, fence.RunID, fence.Attempt, location)
	})
}

// Commit records the claims as exported: delivered → committed. With a reversal the claims whose vouchers it reverses become free for
// the next run; these vouchers stay recorded in reversal_vouchers.
func (d *Database) Commit(ctx context.Context, fence Fence) error {
	return d.leaves(ctx, fence, "recording the claims as exported", func(tx pgx.Tx) (Run, error) {
		left, err := moved(ctx, tx, StateCommitted, `committed_at = now()`, `reversed IS NULL`, fence.RunID, fence.Attempt)
		if err != nil || left.Reverses == "" {
			return left, err
		}
		freed, err := free(ctx, tx, fence.RunID, left.OrganizationID, left.Reverses)
		if err != nil {
			return left, err
		}
		return raised(ctx, tx, fence.RunID, freed > 0)
	})
}

// moved brings the run $1 to a state, if its attempt is $2 and its state allows that, and raises the ledger in the same statement if a condition on the
// run holds, whose column reverses is called reversed there: a step that has more to do raises the ledger at its end. It locks the run before the
// ledger, as all steps do that lock both, so that two of them never wait for each other.
func moved(ctx context.Context, tx pgx.Tx, to RunState, set, raises string, arguments ...any) (Run, error) {
	left, err := scanRun(tx.QueryRow(ctx, `WITH locked AS (SELECT id AS locked_id, reverses AS reversed FROM ledgerport.runs
			WHERE id = $1 AND attempt = $2 AND `+mayBecome(to)+` FOR NO KEY UPDATE),
		raised AS (UPDATE ledgerport.ledger SET sequence = sequence + 1 FROM locked WHERE `+raises+` RETURNING sequence AS raised_sequence)
		UPDATE ledgerport.runs SET state = '`+string(to)+`', `+set+`, sequence = coalesce(raised_sequence, sequence)
		FROM locked LEFT JOIN raised ON true WHERE id = locked_id AND (raised_sequence IS NOT NULL) = (`+raises+`) RETURNING `+runColumns, arguments...))
	if errors.Is(err, pgx.ErrNoRows) {
		err = fenced()
	}
	return left, err
}

// free moves the vouchers that a reversal reverses to the history. Nobody has counted the rows of either run, so that the planner may
// take them for few, and look for each of the others. It returns how many claims it frees.
func free(ctx context.Context, tx pgx.Tx, reversal, organizationID, reverses string) (int64, error) {
	if _, err := tx.Exec(ctx, `SET LOCAL enable_nestloop = off`); err != nil {
		return 0, err
	}
	done, err := tx.Exec(ctx, `WITH reversed AS (
			DELETE FROM ledgerport.exported_claims e USING ledgerport.reversal_vouchers v
			WHERE e.organization_id = $1 AND e.run_id = $2 AND v.run_id = $3 AND v.reverses = e.run_id AND v.reverses_position = e.position
			RETURNING e.organization_id, e.claim_id, e.run_id, e.position, e.fiscal_year, e.voucher_number)
		INSERT INTO ledgerport.reversal_vouchers (organization_id, claim_id, run_id, position, fiscal_year, voucher_number)
		SELECT organization_id, claim_id, run_id, position, fiscal_year, voucher_number FROM reversed`, organizationID, reverses, reversal)
	return done.RowsAffected(), err
}

// MarkArtifactRemoved records that the artifact of a committed run is not at its destination any more.
func (d *Database) MarkArtifactRemoved(ctx context.Context, fence Fence) error {
	return d.step(ctx, fence, "recording that the artifact was removed", func(tx pgx.Tx) (freed int64, err error) {
		_, err = tx.Exec(ctx, `UPDATE ledgerport.runs SET artifact_removed_at = coalesce(artifact_removed_at, now())
			WHERE id = $1 AND state = 'committed'`, fence.RunID)
		return 0, err
	})
}

// Release gives the claims of a run back: started or rendered → released. Its voucher numbers are recorded as
// voided. A run that is submitted or delivered cannot be released: an accounting system has it, or somebody may have imported it.
func (d *Database) Release(ctx context.Context, fence Fence, reason string) error {
	return d.step(ctx, fence, "giving claims back", func(tx pgx.Tx) (freed int64, err error) {
		if err := one(tx.Exec(ctx, `UPDATE ledgerport.runs SET state = 'released', release_reason = $3, released_at = now()
			WHERE id = $1 AND attempt = $2 AND `+mayBecome(StateReleased), fence.RunID, fence.Attempt, reason)); err != nil {
			return 0, err
		}
		voided, err := tx.Exec(ctx, `
			WITH exported AS (
				DELETE FROM ledgerport.exported_claims e USING ledgerport.runs r
				WHERE r.id = $1 AND e.run_id = r.id AND e.organization_id = r.organization_id
				RETURNING e.organization_id, r.book, r.series, e.fiscal_year, e.voucher_number),
			reversing AS (
				DELETE FROM ledgerport.reversal_vouchers e USING ledgerport.runs r
				WHERE r.id = $1 AND e.run_id = r.id AND e.organization_id = r.organization_id
				RETURNING e.organization_id, r.book, r.series, e.fiscal_year, e.voucher_number),
			vouchers AS (DELETE FROM ledgerport.run_vouchers WHERE run_id = $1),
			receipts AS (DELETE FROM ledgerport.run_receipts WHERE run_id = $1),
			returned AS (SELECT * FROM exported UNION ALL SELECT * FROM reversing)
			INSERT INTO ledgerport.voided_vouchers (organization_id, book, series, fiscal_year, first, last, run_id, reason)
			SELECT organization_id, book, series, fiscal_year, min(voucher_number), max(voucher_number), $1, $2
			FROM returned GROUP BY organization_id, book, series, fiscal_year`, fence.RunID, reason)
		return voided.RowsAffected(), err // none only if the run had no claims
	})
}

// step runs a transition, which returns whether it has freed claims, in a transaction of the run's organisation, and raises the ledger
// at its end.
func (d *Database) step(ctx context.Context, fence Fence, doing string, run func(pgx.Tx) (freed int64, err error)) error {
	return d.leaves(ctx, fence, doing, func(tx pgx.Tx) (Run, error) {
		freed, err := run(tx)
		if err != nil {
			return Run{}, err
		}
		return raised(ctx, tx, fence.RunID, freed > 0)
	})
}

// leaves runs a transition in a transaction of the run's organisation. It returns the record that it leaves.
func (d *Database) leaves(ctx context.Context, fence Fence, doing string, run func(pgx.Tx) (Run, error)) error {
	var left Run
	err := d.ofRun(ctx, fence, doing, func(tx pgx.Tx) (err error) {
		left, err = run(tx)
		return err
	})
	if err == nil {
		d.newest = &left
	}
	return err
}

// Newest returns the record of the run of an attempt as its newest step has left it, if this Database has written nothing else since.
func (d *Database) Newest(fence Fence) (run Run, known bool) {
	if d.newest == nil || d.newest.Fence() != fence {
		return Run{}, false
	}
	return *d.newest, true
}

// ofRun runs a function in a transaction of a run's organisation.
func (d *Database) ofRun(ctx context.Context, fence Fence, doing string, run func(pgx.Tx) error) error {
	return classify(ctx, doing, d.transact(ctx, "", fence.OrganizationID, fence.RunID, run))
}

// recordRendered records what is known of an artifact, and the mark that the run leaves, if the attempt is the run's newest and the run
// may come to the state.
func recordRendered(ctx context.Context, tx pgx.Tx, fence Fence, to RunState, rendered Rendered, left *mark) error {
	files := rendered.Files
	if files == nil {
		files = []File{}
	}
	marked, arguments := "", []any{
		fence.RunID, fence.Attempt, to, rendered.Claims, rendered.Lines, rendered.Held,
		rendered.FirstVoucher, rendered.LastVoucher, files, rendered.Manifest,
	}
	if left != nil {
		marked = ", watermark = $11, watermark_scope = $12, watermark_sequence = $13, compared_at = $14"
		arguments = append(arguments, left.watermark, left.scope, left.sequence, left.comparedAt)
	}
	return one(tx.Exec(ctx, `UPDATE ledgerport.runs SET state = $3, claims = $4, lines = $5, held = $6,
			first_voucher = $7, last_voucher = $8, files = $9, manifest = $10,
			rendered_at = CASE $3 WHEN 'rendered' THEN now() ELSE rendered_at END`+marked+`
		WHERE id = $1 AND attempt = $2 AND `+mayBecome(to), arguments...))
}

// one insists that a guarded step changed the run.
func one(done pgconn.CommandTag, err error) error {
	if err == nil && done.RowsAffected() != 1 {
		return fenced()
	}
	return err
}
