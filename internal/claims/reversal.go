package claims

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

// Reversal is one pass over the vouchers of a committed run, each of which gets one that reverses it. Commit makes all of
// it true at once; until then nobody sees anything of it.
type Reversal struct {
	binding
	cancel   context.CancelFunc
	reader   *pgx.Conn
	vouchers *Vouchers
}

// Reversible returns the run that a reversal names, or says why it cannot be reversed.
func (d *Database) Reversible(ctx context.Context, by RunIdentity, name string) (Run, error) {
	const doing = "looking up the run to be reversed"
	var source Run
	var reversed bool
	err := d.transact(ctx, pgx.ReadOnly, by.OrganizationID, by.ID, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `SELECT `+runColumns+` FROM ledgerport.runs
			WHERE organization_id = $1 AND namespace = $2 AND name = $3 ORDER BY started_at`,
			by.OrganizationID, by.Namespace, name) // the error comes with the rows
		found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Run, error) { return scanRun(row) })
		if err != nil {
			return classify(ctx, doing, err)
		}
		if source, err = reversible(by, name, found); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ledgerport.runs WHERE reverses = $1 AND state <> 'released' AND id <> $2)`,
			source.ID, by.ID).Scan(&reversed)
	})
	if err == nil && reversed {
		err = d.alreadyReversed(ctx, by, source.ID)
	}
	return source, classify(ctx, doing, err)
}

// reversible chooses among the recorded runs of one name the one that can be reversed.
func reversible(by RunIdentity, name string, found []Run) (Run, error) {
	refused := func(reason v1alpha1.Reason, format string, args ...any) (Run, error) {
		return Run{}, failure.OnSource.Stalled(reason, nil, format, args...)
	}
	if len(found) == 0 {
		return refused(v1alpha1.ReasonRunNotFound, "spec.reverses: no run %s/%s of organisation %s is recorded", by.Namespace, name, by.OrganizationID)
	}
	own := slices.DeleteFunc(slices.Clone(found), func(run Run) bool { return run.Export != by.Export })
	if len(own) == 0 {
		return refused(v1alpha1.ReasonReversesOtherExport, "spec.reverses: run %s is of the export %s; reverse it with a run of that export", name, found[0].Export)
	}
	run := own[len(own)-1] // those before it were released
	switch {
	case run.State != StateCommitted:
		return refused(v1alpha1.ReasonRunNotCommitted, "spec.reverses: run %s is %s; only a committed run has vouchers to reverse", name, run.State)
	case run.Type == TypeReversal:
		return refused(v1alpha1.ReasonReversesReversal, "spec.reverses: run %s is a reversal itself; the claims that it freed are exported by the next run", name)
	case run.Claims == 0:
		return refused(v1alpha1.ReasonNothingToReverse, "spec.reverses: run %s exported nothing", name)
	}
	return run, nil
}

// alreadyReversed names the reversal that a run has.
func (d *Database) alreadyReversed(ctx context.Context, by RunIdentity, source string) error {
	var of, name, state string
	err := d.transact(ctx, pgx.ReadOnly, by.OrganizationID, by.ID, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT source.name, r.name, r.state FROM ledgerport.runs r JOIN ledgerport.runs source ON source.id = r.reverses
			WHERE r.reverses = $1 AND r.state <> 'released'`, source).Scan(&of, &name, &state)
	})
	if err != nil {
		return classify(ctx, "looking up the reversal", err)
	}
	return failure.OnSource.Stalled(v1alpha1.ReasonAlreadyReversed, nil, "spec.reverses: run %s is reversed by run %s (%s)", of, name, state)
}

// Reverse reads the vouchers of the run that a reversal reverses, to be reversed one after another. The reversal must be
// started, by this attempt. Rollback must be called in the end, in any case; the Database serves nothing else meanwhile.
func (d *Database) Reverse(ctx context.Context, fence Fence) (*Reversal, error) {
	run, err := d.guarded(ctx, fence, StateStarted)
	if err != nil {
		return nil, err
	}
	source, found, err := d.Run(ctx, run.Reverses)
	if err != nil {
		return nil, err
	}
	if !found || source.State != StateCommitted {
		return nil, fmt.Errorf("run %s is to reverse %q, which is no committed run", run.Name, run.Reverses)
	}
	whole, cancel := context.WithCancel(ctx)
	r := &Reversal{binding: newBinding(run, fence), cancel: cancel}
	if err := r.begin(whole, d, source); err != nil {
		r.Rollback() //nolint:contextcheck // it must work after the context's end
		return nil, classify(ctx, "beginning to reverse vouchers", err)
	}
	return r, nil
}

func (r *Reversal) begin(ctx context.Context, d *Database, source Run) (err error) {
	if r.reader, err = d.reconnect(ctx); err != nil {
		return err
	}
	r.vouchers = &Vouchers{conn: r.reader, run: source}
	if r.tx, err = begin(ctx, d.conn, pgx.RepeatableRead, ""); err != nil {
		return err
	}
	if err := bind(ctx, r.tx, r.run.OrganizationID, r.run.ID); err != nil {
		return err
	}
	if err := r.read(ctx, r.tx, r.run); err != nil {
		return err
	}
	r.recorder = newRecorder(ctx, r.tx.Conn(), r.run, "reversal_vouchers", 0)
	return nil
}

// Next reads the next voucher of the reversed run, to be turned into the one that reverses it, or returns io.EOF.
func (r *Reversal) Next(ctx context.Context, voucher *ledger.Voucher) error {
	return r.vouchers.Next(ctx, voucher)
}

// Take records the reversing voucher: its number is NextNumber of its fiscal year.
func (r *Reversal) Take(ctx context.Context, voucher *ledger.Voucher) error {
	return r.take(ctx, voucher, voucherPlace{})
}

// Commit makes the reversal's vouchers, its numbers and the artifact's hashes true in one transaction, if the attempt is still
// the run's newest. The reversed claims stay bound to their run until the reversal is committed.
func (r *Reversal) Commit(ctx context.Context, rendered Rendered) error {
	return classify(ctx, "reserving reversing vouchers", r.commit(ctx, rendered))
}

// Rollback ends the pass. What was committed stays; everything else is undone.
func (r *Reversal) Rollback() {
	r.cancel()
	r.rollback()
	if r.reader != nil {
		closeConnection(r.reader)
	}
}
