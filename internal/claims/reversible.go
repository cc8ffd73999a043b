package claims

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/texts"
)

// Reversible returns the run that a reversal names, or says why it cannot be reversed. A reversal of claims by their ids reverses all of
// them or none.
func (d *Database) Reversible(ctx context.Context, by RunIdentity, name string, ids []string) (Run, error) {
	var source Run
	err := d.transact(ctx, pgx.ReadOnly, by.OrganizationID, by.ID, func(tx pgx.Tx) error {
		found, err := runsNamed(ctx, tx, by, name)
		if err != nil {
			return err
		}
		if source, err = reversible(by, name, found); err != nil {
			return err
		}
		if len(ids) > 0 {
			return claimsReversible(ctx, tx, source, ids)
		}
		return restReversible(ctx, tx, source)
	})
	return source, classify(ctx, "looking up the run to be reversed", err)
}

// runsNamed returns the recorded runs of one name, in their order.
func runsNamed(ctx context.Context, tx pgx.Tx, by RunIdentity, name string) ([]Run, error) {
	rows, _ := tx.Query(ctx, `SELECT `+runColumns+` FROM ledgerport.runs
		WHERE organization_id = $1 AND namespace = $2 AND name = $3 ORDER BY started_at`, by.OrganizationID, by.Namespace, name) // the error comes with the rows
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Run, error) { return scanRun(row) })
}

// newestOf returns the last one that an export has made of the recorded runs of one name, if there is one: those before it were released.
func newestOf(export string, found []Run) (run Run, own bool) {
	for _, run := range slices.Backward(found) {
		if run.Export == export {
			return run, true
		}
	}
	return Run{}, false
}

// reversible chooses among the recorded runs of one name the one that can be reversed.
func reversible(by RunIdentity, name string, found []Run) (Run, error) {
	refused := func(reason v1alpha1.Reason, format string, args ...any) (Run, error) {
		return Run{}, failure.OnSource.Stalled(reason, nil, format, args...)
	}
	if len(found) == 0 {
		return refused(v1alpha1.ReasonRunNotFound, "spec.reverses: no run %s/%s of organisation %s is recorded", by.Namespace, name, by.OrganizationID)
	}
	run, own := newestOf(by.Export, found)
	if !own {
		return refused(v1alpha1.ReasonReversesOtherExport, "spec.reverses: run %s is of the export %s; reverse it with a run of that export", name, found[0].Export)
	}
	switch {
	case run.State != StateCommitted:
		return refused(v1alpha1.ReasonRunNotCommitted, "spec.reverses: run %s is %s; only a committed run has vouchers to reverse", name, run.State)
	case run.Type == TypeReversal:
		return refused(v1alpha1.ReasonReversesReversal, "spec.reverses: run %s is a reversal itself; the claims that it freed are exported by the next run", name)
	case run.Type == TypeAdoption:
		return refused(v1alpha1.ReasonNotReversible, "spec.reverses: run %s has adopted claims that were booked elsewhere, and has no vouchers to reverse; take it back with: ledgerport adopt --reverse %s", name, name)
	case run.Claims == 0, run.Type == TypeRedelivery:
		return refused(v1alpha1.ReasonNothingToReverse, "spec.reverses: run %s exported nothing", name)
	}
	return run, nil
}

// restReversible fails with ReasonAlreadyReversed where no voucher of a run is left to reverse.
func restReversible(ctx context.Context, tx pgx.Tx, source Run) error {
	var left bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ledgerport.exported_claims WHERE organization_id = $1 AND run_id = $2)`,
		source.OrganizationID, source.ID).Scan(&left)
	if err != nil || left {
		return err
	}
	rows, _ := tx.Query(ctx, `SELECT name FROM ledgerport.runs WHERE reverses = $1 AND state = 'committed' ORDER BY committed_at LIMIT $2`,
		source.ID, mostListed+1) // the error comes with the rows
	by, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	return failure.OnSource.Stalled(v1alpha1.ReasonAlreadyReversed, nil, "spec.reverses: run %s is reversed by run %s", source.Name, listed(by))
}

// claimsReversible fails, with the claims, where a run has not exported some of those that a reversal names, or they are reversed already.
func claimsReversible(ctx context.Context, tx pgx.Tx, source Run, ids []string) error {
	rows, _ := tx.Query(ctx, `SELECT named.id, e.run_id IS NOT NULL, max(r.name)
		FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS named (id, key, place)
		LEFT JOIN ledgerport.exported_claims e ON e.organization_id = $1 AND e.run_id = $2 AND e.claim_id = named.key
		LEFT JOIN ledgerport.reversal_vouchers v ON v.run_id = $2 AND v.claim_id = named.key
		LEFT JOIN ledgerport.reversal_vouchers w ON w.reverses = v.run_id AND w.reverses_position = v.position
		LEFT JOIN ledgerport.runs r ON r.id = w.run_id
		GROUP BY named.id, named.place, e.run_id ORDER BY named.place`,
		source.OrganizationID, source.ID, ids, claimKeys(ids)) // the error comes with the rows
	var id string
	var exported bool
	var by *string
	var unknown, reversed []string
	_, err := pgx.ForEachRow(rows, []any{&id, &exported, &by}, func() error {
		switch {
		case exported:
		case by != nil:
			reversed = append(reversed, fmt.Sprintf("%s (by run %s)", texts.Printable(id, texts.Quote), *by))
		default:
			unknown = append(unknown, texts.Printable(id, texts.Quote))
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(unknown) > 0:
		return failure.OnSource.Stalled(v1alpha1.ReasonClaimNotExported, nil,
			"spec.claims: run %s did not export %s; nothing was reversed. Name claims that it exported in another run", source.Name, listed(unknown))
	case len(reversed) > 0:
		return failure.OnSource.Stalled(v1alpha1.ReasonAlreadyReversed, nil,
			"spec.claims: of run %s these are reversed already: %s; nothing else was reversed. Leave them out in another run", source.Name, listed(reversed))
	}
	return nil
}

// mostListed is how many names a message has.
const mostListed = 5

// listed is a list for people, which says how much longer it is than they want to read.
func listed(names []string) string {
	if more := len(names) - mostListed; more > 0 {
		return fmt.Sprintf("%s, and %d more", strings.Join(names[:mostListed], ", "), more)
	}
	return strings.Join(names, ", ")
}
