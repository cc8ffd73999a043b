package claims

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// VoucherState is how far a voucher is that is sent to an accounting system.
type VoucherState string

const (
	// VoucherWaiting: the system has nothing of it.
	VoucherWaiting VoucherState = "waiting"
	// VoucherSent: it was sent, and whether the system has it is not known.
	VoucherSent VoucherState = "sent"
	// VoucherAcknowledged: the system has it.
	VoucherAcknowledged VoucherState = "acknowledged"
	// VoucherRejected: the system refused it.
	VoucherRejected VoucherState = "rejected"
)

// SubmittedVoucher is the record of one voucher that is sent to an accounting system.
type SubmittedVoucher struct {
	// Position of the claim in the run, from 1.
	Position   int64
	ClaimID    string
	FiscalYear int
	Number     int64
	// Lines of the claim.
	Lines int64
	// Currency of the claim. Debit and Payable are in it, BaseDebit and BasePayable in the books' currency.
	Currency                               string
	Debit, Payable, BaseDebit, BasePayable ledger.Amount
	State                                  VoucherState
	// SentAt is when it was sent last, by the clock of the database, and SentAgo how long before it was read that was; zero
	// before.
	SentAt  time.Time
	SentAgo time.Duration
	// Reference by which the system knows it, and Message why it was rejected.
	Reference, Message string
}

// insertBatch is the number of vouchers that are recorded by one statement.
const insertBatch = 1000

// RecordSubmission records the vouchers that were taken as waiting to be sent, as a part of the reservation. They come
// from next until it returns io.EOF. No claim can be taken or held afterwards.
func (r *Reservation) RecordSubmission(ctx context.Context, next func() (SubmittedVoucher, error)) error {
	const doing = "recording the vouchers to be sent"
	if err := r.recorder.finish(); err != nil {
		return classify(ctx, doing, err)
	}
	for {
		vouchers, err := several(insertBatch, next)
		if err != nil || len(vouchers) == 0 {
			return err
		}
		if err := insertVouchers(ctx, r.tx, r.run.ID, r.known.id, vouchers); err != nil {
			return classify(ctx, doing, err)
		}
	}
}

func several(most int, next func() (SubmittedVoucher, error)) (vouchers []SubmittedVoucher, err error) {
	for len(vouchers) < most {
		voucher, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		vouchers = append(vouchers, voucher)
	}
	return vouchers, nil
}

func insertVouchers(ctx context.Context, tx pgx.Tx, runID string, claimTable int32, vouchers []SubmittedVoucher) error {
	n := len(vouchers)
	claimIDs, currencies, years := make([]string, n), make([]string, n), make([]int, n)
	var numbers [7][]int64
	for i := range numbers {
		numbers[i] = make([]int64, n)
	}
	for i := range vouchers {
		v := &vouchers[i]
		claimIDs[i], currencies[i], years[i] = v.ClaimID, v.Currency, v.FiscalYear
		for j, number := range []int64{v.Position, v.Number, v.Lines, int64(v.Debit), int64(v.Payable), int64(v.BaseDebit), int64(v.BasePayable)} {
			numbers[j][i] = number
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO ledgerport.submitted_vouchers (run_id, organization_id, claim_table,
			claim_id, currency, fiscal_year, position, voucher_number, lines, debit, payable, base_debit, base_payable)
		SELECT r.id, r.organization_id, $12::integer, v.* FROM ledgerport.runs r,
			unnest($2::text[], $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[]) v
		WHERE r.id = $1`,
		runID, claimIDs, currencies, years, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], claimTable)
	return err
}

// SubmittedVouchers returns, in order, at most a number of the vouchers behind a position that are in one of the states.
func (d *Database) SubmittedVouchers(ctx context.Context, fence Fence, after int64, most int, states ...VoucherState) ([]SubmittedVoucher, error) {
	var vouchers []SubmittedVoucher
	err := d.ofRun(ctx, fence, "reading the vouchers that are sent", func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT position, claim_id, fiscal_year, voucher_number, lines, currency, debit, payable, base_debit, base_payable,
				state, sent_at, extract(epoch FROM clock_timestamp() - sent_at)::float8, reference, message
			FROM ledgerport.submitted_vouchers WHERE run_id = $1 AND position > $2 AND state = ANY($3) ORDER BY position LIMIT $4`, fence.RunID, after, states, most)
		if err != nil {
			return err
		}
		vouchers, err = pgx.CollectRows(rows, scanVoucher)
		if err == nil {
			err = inOrder(fence.RunID, vouchers, after)
		}
		return err
	})
	return vouchers, err
}

func scanVoucher(row pgx.CollectableRow) (v SubmittedVoucher, err error) {
	var sentAt *time.Time
	var sentAgo *float64 // seconds
	err = row.Scan(&v.Position, &v.ClaimID, &v.FiscalYear, &v.Number, &v.Lines, &v.Currency, &v.Debit, &v.Payable, &v.BaseDebit, &v.BasePayable,
		&v.State, &sentAt, &sentAgo, &v.Reference, &v.Message)
	if sentAt != nil && sentAgo != nil {
		v.SentAt, v.SentAgo = *sentAt, time.Duration(*sentAgo*float64(time.Second))
	}
	return v, err
}

// inOrder insists on valid vouchers behind a position, each behind the one before: a loop over them ends.
func inOrder(runID string, vouchers []SubmittedVoucher, after int64) error {
	for i := range vouchers {
		v := &vouchers[i]
		if err := v.validate(runID); err != nil {
			return err
		}
		if v.Position <= after {
			return RecordInvalid("submitted_vouchers", fmt.Sprintf("%s, %d", runID, v.Position), errors.New("its position is not behind those before it"))
		}
		after = v.Position
	}
	return nil
}

// MarkSent records that vouchers are about to be sent. From here on the system may have them.
func (d *Database) MarkSent(ctx context.Context, fence Fence, positions []int64) error {
	return d.change(ctx, fence, "recording what is sent", len(positions), `UPDATE ledgerport.submitted_vouchers SET state = 'sent', sent_at = clock_timestamp()
		WHERE run_id = $1 AND position = ANY($2) AND state IN ('waiting', 'sent')`, fence.RunID, positions)
}

// RecordAnswers records what the system said of vouchers that were sent: State, Reference and Message. One that is still
// sent gets its SentAt back, too: of what was sent after that nothing is left.
func (d *Database) RecordAnswers(ctx context.Context, fence Fence, vouchers []SubmittedVoucher) error {
	n := len(vouchers)
	positions, states, references, messages, sentAt := make([]int64, n), make([]string, n), make([]string, n), make([]string, n), make([]*time.Time, n)
	for i := range vouchers {
		v := &vouchers[i]
		positions[i], states[i], references[i], messages[i] = v.Position, string(v.State), v.Reference, v.Message
		if v.State == VoucherSent {
			sentAt[i] = &v.SentAt
		}
	}
	return d.change(ctx, fence, "recording what the accounting system answered", n, `UPDATE ledgerport.submitted_vouchers p SET state = a.state,
			reference = a.reference, message = a.message, sent_at = coalesce(a.sent_at, p.sent_at)
		FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[]) AS a (position, state, reference, message, sent_at)
		WHERE p.run_id = $1 AND p.position = a.position AND p.state = 'sent'`, fence.RunID, positions, states, references, messages, sentAt)
}

// change runs one statement of the sending that changes so many vouchers, under the same lock as a step of it. It takes three ways
// to the server and back: what locks travels with it, and if that fails, nothing is changed.
func (d *Database) change(ctx context.Context, fence Fence, doing string, vouchers int, statement string, arguments ...any) error {
	return d.ofRun(ctx, fence, doing, func(tx pgx.Tx) error {
		var batch pgx.Batch
		batch.Queue(lockRendered, fence.RunID, fence.Attempt).Exec(func(done pgconn.CommandTag) error { return one(done, nil) })
		batch.Queue(statement, arguments...).Exec(func(done pgconn.CommandTag) error { return every(vouchers, done.RowsAffected()) })
		return tx.SendBatch(ctx, &batch).Close()
	})
}

// every insists that a statement changed as many vouchers as it should.
func every(want int, changed int64) error {
	if changed != int64(want) {
		return failure.OnSource.Transient(v1alpha1.ReasonInternal, nil, "the record of the vouchers that were sent is not what this attempt expects: %d of %d changed", changed, want)
	}
	return nil
}

// SubmissionTotals are what became of the vouchers of a run.
type SubmissionTotals struct {
	Waiting, Sent, Acknowledged, Rejected int64
	// Accepted are the figures of the acknowledged vouchers, but for the held claims, and for the currency of the books, which is not
	// recorded with vouchers.
	Accepted artifact.Figures
}

// Open is how many vouchers have no answer.
func (t *SubmissionTotals) Open() int64 { return t.Waiting + t.Sent }

// Answered is how many vouchers have one.
func (t *SubmissionTotals) Answered() int64 { return t.Acknowledged + t.Rejected }

// SubmissionTotals counts and sums what is recorded. All is zero if the run sends no vouchers.
func (d *Database) SubmissionTotals(ctx context.Context, fence Fence) (totals SubmissionTotals, err error) {
	err = d.ofRun(ctx, fence, "summing the vouchers that were sent", func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'sent'),
				count(*) FILTER (WHERE state = 'acknowledged'), count(*) FILTER (WHERE state = 'rejected')
			FROM ledgerport.submitted_vouchers WHERE run_id = $1`, fence.RunID).
			Scan(&totals.Waiting, &totals.Sent, &totals.Acknowledged, &totals.Rejected); err != nil {
			return err
		}
		sums, err := tx.Query(ctx, `SELECT currency, count(*), sum(lines)::bigint, sum(debit)::bigint, sum(payable)::bigint, sum(base_debit)::bigint, sum(base_payable)::bigint
			FROM ledgerport.submitted_vouchers WHERE run_id = $1 AND state = 'acknowledged' GROUP BY currency ORDER BY currency COLLATE "C"`, fence.RunID)
		if err != nil {
			return err
		}
		var accepted figures
		if err := accepted.sum(sums); err != nil {
			return err
		}
		accepted.Vouchers, err = acceptedRanges(ctx, tx, fence.RunID)
		totals.Accepted = accepted.Figures
		return err
	})
	return totals, err
}

// acceptedRanges are the numbers of the acknowledged vouchers: unbroken ranges, or where those are too many for a manifest, one for
// each fiscal year.
func acceptedRanges(ctx context.Context, tx pgx.Tx, runID string) (ranges []artifact.Range, err error) {
	const accepted = "state = 'acknowledged'"
	rows, err := tx.Query(ctx, fmt.Sprintf(`SELECT r.series, i.fiscal_year, min(i.voucher_number), max(i.voucher_number), 0::bigint
		FROM (%s) i, ledgerport.runs r WHERE r.id = $1 GROUP BY r.series, i.fiscal_year, i.island ORDER BY 2, 3 LIMIT $2`, islands(accepted)), runID, artifact.MostRanges+1)
	if err != nil {
		return nil, err
	}
	ranges, err = pgx.CollectRows(rows, pgx.RowToStructByPos[artifact.Range])
	if err != nil || len(ranges) <= artifact.MostRanges {
		return ranges, err
	}
	rows, err = tx.Query(ctx, `SELECT r.series, v.fiscal_year, min(v.voucher_number), max(v.voucher_number), max(v.voucher_number) - min(v.voucher_number) + 1 - count(*)
		FROM ledgerport.submitted_vouchers v, ledgerport.runs r WHERE v.run_id = $1 AND r.id = $1 AND v.`+accepted+` GROUP BY 1, 2 ORDER BY 2`, runID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[artifact.Range])
}

// figures are read row by row.
type figures struct{ artifact.Figures }

// sum adds up what is of each currency.
func (f *figures) sum(rows pgx.Rows) error {
	f.Currencies = []artifact.Sum{}
	var code string
	var of, base artifact.Sum
	_, err := pgx.ForEachRow(rows, []any{&code, &of.Claims, &of.Lines, &of.Debit, &of.Payable, &base.Debit, &base.Payable}, func() (err error) {
		if of.Currency, err = ledger.ParseCurrency(code); err != nil {
			return RecordInvalid("submitted_vouchers", code, errors.New("currency is not a currency"))
		}
		of.Credit = of.Debit // a voucher balances
		f.Currencies = append(f.Currencies, of)
		f.Claims += of.Claims
		f.Lines += of.Lines
		var debit, payable error
		f.Base.Debit, debit = ledger.AddAmounts(f.Base.Debit, base.Debit)
		f.Base.Payable, payable = ledger.AddAmounts(f.Base.Payable, base.Payable)
		if err := errors.Join(debit, payable); err != nil {
			return RecordInvalid("submitted_vouchers", code, err)
		}
		return nil
	})
	f.Base.Claims, f.Base.Lines, f.Base.Credit = f.Claims, f.Lines, f.Base.Debit
	return err
}

// islands returns vouchers of the run $1 with a number that those of one unbroken range have in common.
func islands(condition string) string {
	return `SELECT fiscal_year, voucher_number, state = 'rejected' AS rejected,
			voucher_number - row_number() OVER (PARTITION BY fiscal_year, state = 'rejected' ORDER BY voucher_number) AS island
		FROM ledgerport.submitted_vouchers WHERE run_id = $1 AND ` + condition
}

// Settle ends the sending: rendered → submitted. The claims of acknowledged vouchers stay with the run. Those of rejected ones
// are held with what the system said, those of the others are given back; their numbers are recorded as voided. The
// artifact is now the receipt.
func (d *Database) Settle(ctx context.Context, fence Fence, receipt Rendered) error {
	return d.submission(ctx, fence, "recording what the accounting system accepted", func(tx pgx.Tx) error {
		freed, err := parted(ctx, tx, fence.RunID, receipt.Claims)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO ledgerport.voided_vouchers (organization_id, book, series, fiscal_year, first, last, run_id, reason)
			SELECT r.organization_id, r.book, r.series, i.fiscal_year, min(i.voucher_number), max(i.voucher_number), r.id,
				CASE WHEN i.rejected THEN 'rejected by the accounting system' ELSE 'not sent to the accounting system' END
			FROM (`+islands("state <> 'acknowledged'")+`) i, ledgerport.runs r WHERE r.id = $1
			GROUP BY r.id, i.fiscal_year, i.rejected, i.island`, fence.RunID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO ledgerport.held_claims AS h (organization_id, claim_table, claim_id, run_id, reason, message)
			SELECT organization_id, claim_table, claim_id, run_id, $2, message FROM ledgerport.submitted_vouchers WHERE run_id = $1 AND state = 'rejected'
			ON CONFLICT (organization_id, claim_table, claim_id) DO UPDATE SET run_id = excluded.run_id, reason = excluded.reason, message = excluded.message`,
			fence.RunID, ledger.HoldRejected); err != nil {
			return err
		}
		if err := recordRendered(ctx, tx, fence, StateSubmitted, receipt, nil); err != nil {
			return err
		}
		_, err = raise(ctx, tx, fence.RunID, freed > 0)
		return err
	})
}

// parted takes the claims from the run that the system did not accept, returns how many, and insists that exactly the others are left.
func parted(ctx context.Context, tx pgx.Tx, runID string, want int64) (freed int64, err error) {
	if err := keepAcknowledged(ctx, tx, runID); err != nil {
		return 0, err
	}
	done, err := tx.Exec(ctx, `DELETE FROM ledgerport.exported_claims e USING ledgerport.submitted_vouchers p
		WHERE p.run_id = $1 AND p.state <> 'acknowledged' AND e.run_id = p.run_id AND e.position = p.position`, runID)
	if err != nil {
		return 0, err
	}
	var left int64
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM ledgerport.submitted_vouchers p JOIN ledgerport.exported_claims e USING (run_id, position)
		WHERE p.run_id = $1 AND p.state = 'acknowledged'`, runID).Scan(&left); err != nil {
		return 0, err
	}
	if left != want {
		return 0, failure.OnSource.Transient(v1alpha1.ReasonTotalsMismatch, nil, "the accounting system accepted %s, and the run has %s of that", texts.Count(want, "voucher", "vouchers"), texts.Count(left, "claim", "claims"))
	}
	return done.RowsAffected(), nil
}

// lockRendered locks a run that is rendered, if the attempt is its newest.
const lockRendered = `SELECT FROM ledgerport.runs WHERE id = $1 AND attempt = $2 AND state = 'rendered' FOR UPDATE`

// submission runs a step of the sending in a transaction of the run's organisation, if the attempt is the run's newest and the
// run is rendered. No newer attempt can begin before the step is done.
func (d *Database) submission(ctx context.Context, fence Fence, doing string, step func(pgx.Tx) error) error {
	return d.ofRun(ctx, fence, doing, func(tx pgx.Tx) error {
		if err := one(tx.Exec(ctx, lockRendered, fence.RunID, fence.Attempt)); err != nil {
			return err
		}
		return step(tx)
	})
}
