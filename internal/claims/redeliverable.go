package claims

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Redeliverable returns the run that a redelivery names, or says why it cannot be delivered again.
func (d *Database) Redeliverable(ctx context.Context, by RunIdentity, name string) (Run, error) {
	var source Run
	err := d.transact(ctx, pgx.ReadOnly, by.OrganizationID, by.ID, func(tx pgx.Tx) error {
		found, err := runsNamed(ctx, tx, by, name)
		if err == nil {
			source, err = redeliverable(by, name, found)
		}
		return err
	})
	return source, classify(ctx, "looking up the run to be delivered again", err)
}

// redeliverable chooses among the recorded runs of one name the one that can be delivered again.
func redeliverable(by RunIdentity, name string, found []Run) (Run, error) {
	refused := func(reason v1alpha1.Reason, format string, args ...any) (Run, error) {
		return Run{}, failure.OnSource.Stalled(reason, nil, format, args...)
	}
	if len(found) == 0 {
		return refused(v1alpha1.ReasonRunNotFound, "spec.redelivers: no run %s/%s of organisation %s is recorded", by.Namespace, name, by.OrganizationID)
	}
	run, own := newestOf(by.Export, found)
	if !own {
		return refused(v1alpha1.ReasonNotRedeliverable, "spec.redelivers: run %s is of the export %s; deliver it again with a run of that export", name, found[0].Export)
	}
	switch {
	case run.State != StateCommitted:
		return refused(v1alpha1.ReasonRunNotCommitted, "spec.redelivers: run %s is %s; only what a committed run has delivered is delivered again", name, run.State)
	case run.Type == TypeRedelivery:
		return refused(v1alpha1.ReasonNotRedeliverable, "spec.redelivers: run %s delivered what another run exported; name that one", name)
	case len(run.Files) == 0:
		return refused(v1alpha1.ReasonNotRedeliverable, "spec.redelivers: run %s delivered nothing", name)
	}
	return run, nil
}
