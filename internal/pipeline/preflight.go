package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/internal/schedule"
	"github.com/ledgerport/ledgerport/ledger"
)

// preflight finds what is missing before anything is touched, and takes the run over. A run that has reserved its claims
// is taken up as it is on record, whatever has become of chart and options since.
func (a *attempt) preflight(ctx context.Context) error {
	unready := a.findCredentials(ctx)
	if unready != nil && a.task.Number <= 1 { // later ones may find all done already, and need nothing but the database
		return unready
	}
	if err := a.openDatabase(ctx); err != nil {
		return err
	}
	known, err := a.lookUp(ctx)
	if err != nil || known && a.run.State.Finished() {
		return err
	}
	if known && a.run.State == claims.StateDelivered {
		return a.takeOver(ctx)
	}
	if unready != nil {
		return unready
	}
	if known {
		if err := a.admitted(ctx); err != nil {
			return err
		}
	}
	if err := a.openRest(ctx); err != nil {
		return err
	}
	if known && a.run.State != claims.StateStarted {
		return a.resume(ctx)
	}
	if err := a.checkDestination(ctx); err != nil {
		return err
	}
	return a.start(ctx)
}

// openRest looks at the claims' tables, and opens the destination.
func (a *attempt) openRest(ctx context.Context) error {
	if _, err := a.database.Inspect(ctx); err != nil {
		return err
	}
	return a.openDestination(ctx)
}

// checkDestination writes where the run will. It is only done where the run may write.
func (a *attempt) checkDestination(ctx context.Context) (err error) {
	a.checked, err = references.CheckDestination(ctx, a.destination, a.task.exportDirectory())
	return err
}

// findCredentials makes sure, in the first moment of a run and before anything is connected to, that all that it logs in
// with is there, and keeps what the exporter needs.
func (a *attempt) findCredentials(ctx context.Context) error {
	if err := a.findExport(ctx); err != nil {
		return err
	}
	own, err := a.Resolver.Credentials(ctx, a.export)
	if err != nil {
		return err
	}
	a.credentials = own.Data
	source, err := a.source(ctx, a.export.Spec.OrganizationID)
	if err != nil {
		return err
	}
	if _, err := a.Resolver.SourceCredentials(ctx, source); err != nil {
		return a.ofSource(err)
	}
	destination, err := a.Resolver.Destination(ctx, a.export)
	if err != nil {
		return err
	}
	_, err = a.Resolver.DestinationCredentials(ctx, destination)
	return a.ofDestination(err)
}

// findExport gives the export the source of the run, which may hold claims there, whatever the export names by now.
func (a *attempt) findExport(ctx context.Context) (err error) {
	a.export, err = a.Resolver.Export(ctx, a.task.Namespace, a.task.Export)
	if err != nil || a.task.Source.Name == "" {
		return err
	}
	named := references.SourceKey(a.export)
	a.export.Spec.SourceRef = a.task.Source
	a.moved = named != references.SourceKey(a.export)
	return nil
}

// source returns the source of the run, if it admits the export's namespace to an organisation.
func (a *attempt) source(ctx context.Context, organizationID string) (*v1alpha1.ClaimSource, error) {
	source, err := a.Resolver.Source(ctx, a.export, organizationID)
	if a.moved && err != nil && failure.From(err).Reason == v1alpha1.ReasonSourceNotFound {
		return nil, onSource.Transient(v1alpha1.ReasonSourceNotFound, err,
			"the run is on record in the database of ClaimSource %s, which does not exist; create it again until the run has ended, whichever the export names now",
			references.SourceKey(a.export))
	}
	return source, err
}

// openDatabase finds export and source, and connects to the database.
func (a *attempt) openDatabase(ctx context.Context) error {
	if err := a.findExport(ctx); err != nil {
		return err
	}
	source, err := a.source(ctx, a.export.Spec.OrganizationID)
	if err != nil {
		return err
	}
	a.database, err = a.Resolver.OpenDatabase(ctx, source)
	return a.ofSource(err)
}

// admitted asks once more whether the source admits the namespace to the organisation of the run, and the destination to
// its files: labels and rules may have changed since the attempt began, and the export names another organisation by now
// than the run on record.
func (a *attempt) admitted(ctx context.Context) error {
	if _, err := a.source(ctx, a.run.OrganizationID); err != nil {
		return err
	}
	_, err := a.Resolver.Destination(ctx, a.export)
	return err
}

func (a *attempt) openDestination(ctx context.Context) error {
	destination, err := a.Resolver.Destination(ctx, a.export)
	if err != nil {
		return err
	}
	a.destination, err = a.Resolver.OpenDestination(ctx, destination)
	return a.ofDestination(err)
}

// lookUp learns what is recorded of the run, if anything. An ExportRun that was deleted and applied again, so that it has
// another UID, goes on with the record of its name: it is the same run, and exports nothing a second time. Of a run that has not
// ended nothing is believed, not even that it is not recorded, before the ledger is the one that this cluster knows.
func (a *attempt) lookUp(ctx context.Context) (known bool, err error) {
	a.run, known, err = a.database.Run(ctx, a.task.RunID)
	named := false
	if err == nil && !known {
		a.run, named, err = a.database.RunNamed(ctx, a.task.identity(a.export.Spec.OrganizationID))
		known = named
	}
	if err != nil {
		return false, err
	}
	if known {
		if err := a.ownRecord(); err != nil {
			return false, err
		}
	}
	if known && (a.run.Type == claims.TypeReversal) != (a.task.Type == v1alpha1.RunReversal) {
		a.outcome.Record = RecordEmpty
		return false, failure.Stalled(v1alpha1.ReasonRunNameTaken, nil, "a run of this name is recorded, and it is of type %s; give this one another name", a.run.Type)
	}
	if err := a.run.BelongsTo(a.Cluster); known && err != nil {
		a.outcome.Record = RecordEmpty // of this cluster's run
		a.run = claims.Run{}
		return false, err
	}
	if err := a.checkLedger(ctx, known); err != nil {
		return false, err
	}
	a.outcome.Record = RecordEmpty
	a.outcome.Recovered = named && a.run.State.Finished()
	if known && !a.run.State.Finished() {
		a.outcome.Record = RecordOpen
	}
	return known, nil
}

// checkLedger insists that the database has the ledger that this cluster knows, and all of it. A run that has ended only tells.
// One that is recorded is where it belongs, and so is a reversal: what they do exports no claim again.
func (a *attempt) checkLedger(ctx context.Context, known bool) (err error) {
	if known && a.run.State.Finished() {
		a.ledger, err = a.database.Ledger(ctx)
		return err
	}
	source, err := a.source(ctx, a.export.Spec.OrganizationID)
	if source == nil {
		return err
	}
	export := a.export
	if known || a.task.Type == v1alpha1.RunReversal {
		export = nil
	}
	a.ledger, err = a.Resolver.CheckLedger(ctx, a.database, source, export) // whether or not it still admits the namespace
	return err
}

// start compiles the inputs, and records them with holder and deadline before anything else happens.
func (a *attempt) start(ctx context.Context) error {
	spec := a.export.Spec
	present, err := a.present(ctx)
	if err != nil {
		return err
	}
	series, reverses := spec.VoucherSeries, ""
	if a.task.Type == v1alpha1.RunReversal {
		source, err := a.reversed(ctx, &present)
		if err != nil {
			return err
		}
		series, reverses = source.Series, source.ID
	}
	if err := a.compile(present, series); err != nil {
		return err
	}
	if _, posts := a.exporter.(exporters.Poster); posts && reverses != "" {
		return failure.Stalled(v1alpha1.ReasonNotReversible, nil,
			"the exporter %s posts to its system, which may take some vouchers and reject others; reverse them there", a.exporter.Type())
	}
	recorded, err := json.Marshal(present)
	if err != nil {
		return fmt.Errorf("recording the inputs of the run: %w", err)
	}
	attempt := claims.Attempt{
		RunIdentity: a.task.identity(spec.OrganizationID),
		Holder:      a.Holder,
		Cluster:     a.Cluster,
		Deadline:    a.task.Deadline,
		Series:      series,
		Cutoff:      a.task.Cutoff,
		Inputs:      recorded,
		Reverses:    reverses,
	}
	a.outcome.Record = RecordUnknown // should there be no answer
	err = a.adopt(func() (claims.Run, error) { return a.database.StartAttempt(ctx, attempt) })
	if err == nil {
		a.outcome.Record = RecordOpen
	}
	if err != nil || a.run.State == claims.StateStarted {
		return err
	}
	if err := a.recall(); err != nil { // another process was faster
		return err
	}
	return a.sameDestination(ctx)
}

// present are the inputs as the resources have them now.
func (a *attempt) present(ctx context.Context) (inputs, error) {
	chart, err := a.Resolver.Chart(ctx, a.export)
	if err != nil {
		return inputs{}, err
	}
	spec := a.export.Spec
	return inputs{
		Exporter: spec.Exporter,
		Chart:    chart.Spec, ChartName: chart.Name, ChartGeneration: chart.Generation,
		Posting: spec.Posting, TimeZone: spec.TimeZone,
		CreatedAt: a.task.CreatedAt, Cutoff: a.task.Cutoff,
		ProgramVersion: a.ProgramVersion, Source: references.SourceKey(a.export).String(), Destination: a.destination.Location(""),
		Place: a.destination.Place(), Marker: a.checked.Marker,
	}, nil
}

// resume takes up a run that is on record with its claims.
func (a *attempt) resume(ctx context.Context) error {
	if err := a.recall(); err != nil {
		return err
	}
	if err := a.sameDestination(ctx); err != nil {
		return err
	}
	if err := a.checkDestination(ctx); err != nil {
		return err
	}
	return a.takeOver(ctx)
}

// takeOver raises the attempt, so that whoever held the run before cannot change anything any more.
func (a *attempt) takeOver(ctx context.Context) error {
	return a.adopt(func() (claims.Run, error) {
		return a.database.TakeOver(ctx, a.run.ID, a.Holder, a.Cluster, a.task.Deadline)
	})
}

// adopt makes the run this attempt's. If that fails, what was read of its record before stands.
func (a *attempt) adopt(call func() (claims.Run, error)) error {
	return a.Failpoints.Around(failpoint.Attempt, func() error {
		run, err := call()
		if err == nil {
			a.run = run
		}
		return err
	})
}

// recall compiles the inputs on record.
func (a *attempt) recall() error {
	recorded, err := inputsOf(a.run)
	if err != nil {
		return err
	}
	a.recalled = true
	return a.inputsRefused(a.compile(recorded, a.run.Series))
}

// inputsRefused is the failure of a run whose inputs on record are refused by this operator, though the one that began the run took
// them. Changing the resources cannot help, because the run renders from the record.
func (a *attempt) inputsRefused(err error) error {
	var refused *failure.Error
	if !a.recalled || !errors.As(err, &refused) || !refused.Stalled {
		return err
	}
	return failure.On(refused.Condition, failure.Stalled(v1alpha1.ReasonInputsRefused, err,
		"this operator refuses what an earlier version recorded when the run began: %s; cancel the run to give its claims back, or resume it with the version that began it", refused.Message))
}

// voucherRefused is the failure of a run with a voucher on record that the exporter of this operator holds.
func (a *attempt) voucherRefused(err error) error {
	var hold *ledger.Hold
	if !errors.As(err, &hold) {
		return err
	}
	return onMapping.Stalled(v1alpha1.ReasonInputsRefused, hold,
		"the exporter %s of this operator refuses the recorded voucher of claim %s: %s; cancel the run to give its claims back, or resume it with the version that began it",
		a.exporter.Type(), hold.ClaimID, hold.Message)
}

// compile makes mapper and exporter from inputs.
func (a *attempt) compile(from inputs, series string) (err error) {
	a.inputs = from
	if a.exporter, err = a.Resolver.Exporter(from.Exporter); err != nil {
		return err
	}
	if a.location, err = schedule.LoadZone(from.TimeZone); err != nil {
		return failure.Stalled(v1alpha1.ReasonInvalidTimeZone, err, "spec.timeZone: %s", err)
	}
	a.mapper, err = references.Mapper(&from.Chart, ledger.VoucherPolicy{
		Series: series, Posting: from.Posting, Location: a.location, Cutoff: from.Cutoff,
	})
	return err
}
