package pipeline

import (
	"context"
	"errors"
	"strings"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// lookUp learns what is recorded of the run, if anything. An ExportRun that was deleted and applied again, so that it has
// another UID, goes on with the record of its name: it is the same run, and exports nothing a second time. Of a run that has not
// ended nothing is believed, not even that it is not recorded, before the ledger is the one that this cluster knows.
func (a *attempt) lookUp(ctx context.Context) (known bool, err error) {
	var named bool
	a.run, known, named, err = a.database.Recorded(ctx, a.task.identity(a.cluster.export.Spec.OrganizationID))
	if err != nil {
		return false, err
	}
	if known {
		if err := ownRecord(a.task, a.run); err != nil {
			return false, err
		}
	}
	if known && a.run.Type != a.task.recordedType() {
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
// One that is recorded is where it belongs, and so are a reversal and a redelivery: what they do exports no claim again.
func (a *attempt) checkLedger(ctx context.Context, known bool) (err error) {
	if known && a.run.State.Finished() {
		a.ledger, err = a.database.Ledger(ctx)
		return err
	}
	source, err := a.cluster.source()
	if source == nil {
		return err
	}
	export := a.cluster.export
	if known || a.task.recordedType() != claims.TypeExport {
		export = nil
	}
	ledger, err := a.Resolver.CheckLedger(ctx, a.database, source, export) // whether or not it still admits the namespace
	if err == nil {                                                        // else nothing is told of it: other runs would go by that
		a.ledger = ledger
	}
	return err
}

// refresh reads the record of the run as its steps have left it.
func (a *attempt) refresh(ctx context.Context) error {
	if a.run.ID == "" || a.task.Type == v1alpha1.RunPreview {
		return nil
	}
	run, known := a.database.Newest(a.run.Fence())
	if !known {
		var err error
		if run, _, err = a.database.Run(ctx, a.run.ID); err != nil {
			return err
		}
	}
	a.run = run
	return nil
}

// stillOurs makes sure that the attempt still has the run: a process that was stopped must not deliver what was given back
// meanwhile.
func (a *attempt) stillOurs(ctx context.Context) error {
	return a.database.Guard(ctx, a.run.Fence(), a.run.State)
}

// rendered is the run whose artifact the attempt delivers: its own, but of a redelivery.
func (a *attempt) rendered() *claims.Run {
	if a.run.Type == claims.TypeRedelivery {
		return &a.original
	}
	return &a.run
}

// ownRecord insists that a record is of the run of a task.
func ownRecord(task Task, run claims.Run) error {
	if own := run.RunIdentity; own.Namespace != task.Namespace || own.Export != task.Export || own.Name != task.Name {
		return claims.RecordInvalid("runs", run.ID, errors.New("namespace, export and name are not those of the ExportRun with this UID"))
	}
	return nil
}

// ownLocation insists that the recorded location is one of the run's own: of a type of destination, below the one that the run began
// with, in its own directory.
func (a *attempt) ownLocation() error {
	run := a.run
	if a.task.Type == v1alpha1.RunPreview || run.Location == "" {
		return nil
	}
	recorded, err := inputsOf(run)
	if err != nil {
		return err
	}
	if len(run.Files) == 0 || !a.Resolver.Destinations.Locates(run.Location) || !strings.HasPrefix(run.Location, recorded.Destination) ||
		!strings.HasSuffix(run.Location, destinations.LocationEnd(a.task.directory()+"/"+run.Files[0].Name)) {
		return claims.RecordInvalid("runs", run.ID, errors.New("location is not that of the run's first file"))
	}
	return nil
}

// sameDestination insists that the run ends where it began: part of its artifact may be there, and could be imported. It writes
// nothing, and comes before anything is written or removed.
func (a *attempt) sameDestination(ctx context.Context) error {
	if len(a.run.Files) == 0 && a.run.State != claims.StateRendered {
		return nil // nothing is delivered
	}
	recorded, err := inputsOf(a.run)
	if err != nil {
		return err
	}
	return a.stillAt(ctx, recorded.place())
}

// recordedPlace is where a run delivers to.
type recordedPlace struct{ Destination, Place, Marker string }

func (i inputs) place() recordedPlace {
	return recordedPlace{strings.Clone(i.Destination), strings.Clone(i.Place), strings.Clone(i.Marker)}
}

// stillAt insists that the destination is the one that a run began with.
func (a *attempt) stillAt(ctx context.Context, recorded recordedPlace) error {
	began := recorded.Place
	if began == "" {
		began = recorded.Destination
	}
	present := a.destination.Place()
	if recorded.Place == "" {
		present = a.destination.Location("")
	}
	if present != began {
		return a.changed("%s, and the ExportDestination leads to %s now", began, present)
	}
	if recorded.Marker == "" {
		return nil
	}
	switch marker, err := a.destination.Marker(ctx); {
	case err != nil:
		return err
	case marker != recorded.Marker:
		if marker == "" {
			marker = "missing"
		}
		return a.changed("%s, which had the marker %s when the run began, and the marker there is %s: it is another bucket, volume or server of that name. "+
			"If what the first one held is gone for good, write %s to %s there",
			began, recorded.Marker, marker, recorded.Marker, destinations.MarkerName)
	}
	return nil
}

// changed says of a run where its files are, or may be in part, and what has become of that.
func (a *attempt) changed(format string, args ...any) error {
	what := "the run delivers to " + format + "; part of the artifact may be where the run began: bring that back until it has ended"
	if a.reads || a.task.RemoveArtifact {
		what = "the run has delivered to " + format + "; bring that back to have the files from there, or deliver the run again to where the export delivers now"
	}
	return failure.OnDestination.Transient(v1alpha1.ReasonDestinationChanged, nil, what, args...)
}
