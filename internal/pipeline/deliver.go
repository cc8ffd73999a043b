package pipeline

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/printable"
	"github.com/ledgerport/ledgerport/ledger"
)

// presence says what a destination has under the name of a file of the run.
type presence int

const (
	absent  presence = iota
	present          // with the recorded hash
	foreign          // something else: a file of another run, a directory, a link
)

// deliver makes the artifact visible: its files in order, the manifest last. What the destination already holds with
// the recorded hash is not written again.
func (a *attempt) deliver(ctx context.Context) error {
	if err := a.sameDestination(ctx); err != nil {
		return err
	}
	have, err := a.delivered(ctx)
	if err != nil {
		return err
	}
	for _, file := range a.run.Files {
		if have[file.Name] == foreign {
			return onDestination.Stalled(v1alpha1.ReasonArtifactConflict, nil,
				"%s holds another file than this run's; move it away, or start another run under a new name",
				a.artifact().Location(file.Name))
		}
	}
	if !a.whole(have) && len(a.spool.files) == 0 {
		if err := a.restore(ctx); err != nil {
			return err
		}
	}
	for _, file := range a.spool.files {
		if have[file.Name] == present {
			continue
		}
		if err := a.put(ctx, file, a.stillOurs); err != nil {
			return a.retract(ctx, err)
		}
	}
	location := a.artifactLocation()
	err = a.Failpoints.Around(failpoint.MarkDelivered, func() error { return a.database.MarkDelivered(ctx, a.run.Fence(), location) })
	if err != nil {
		return a.retract(ctx, err)
	}
	a.run.State, a.run.Location = claims.StateDelivered, location
	return nil
}

// restore brings the artifact on record back into the spool.
func (a *attempt) restore(ctx context.Context) error {
	if a.run.State == claims.StatePosted {
		return a.restoreReceipt(ctx)
	}
	return a.renderAgain(ctx)
}

// put delivers one file. The guard is asked just before its content is read, the destination being ready to take it.
func (a *attempt) put(ctx context.Context, file *spoolFile, guard func(context.Context) error) error {
	content := &guardedReader{content: file.reader(), guard: func() error {
		a.Failpoints.Reach(failpoint.Put.During())
		return guard(ctx)
	}}
	err := a.Failpoints.Around(failpoint.Put, func() error {
		return a.artifact().Put(ctx, file.Name, object(file.File), content)
	})
	return failure.On(v1alpha1.ConditionDestinationReady, err)
}

// stillOurs makes sure that the attempt still has the run: a process that was stopped must not deliver what was given back
// meanwhile.
func (a *attempt) stillOurs(ctx context.Context) error {
	return a.database.Guard(ctx, a.run.Fence(), a.run.State)
}

// guardedReader asks its guard before it gives the first byte.
type guardedReader struct {
	content io.Reader
	guard   func() error
}

// Read implements io.Reader.
func (g *guardedReader) Read(p []byte) (int, error) {
	if g.guard != nil {
		if err := g.guard(); err != nil {
			return 0, err
		}
		g.guard = nil
	}
	return g.content.Read(p)
}

// retract removes what this attempt delivered where it lost the run meanwhile and the claims were given back: a process
// that was stopped while a bucket had all of a file, and the answer was on its way, comes too late to be refused. It gives
// the error that delivering ended with. It has time of its own: such an attempt is often past its deadline.
func (a *attempt) retract(ctx context.Context, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), retractDeadline)
	defer cancel()
	run, known, err := a.database.Run(ctx, a.run.ID)
	if err != nil || !known || run.State != claims.StateReleased {
		return failed
	}
	have, err := a.delivered(ctx)
	if err != nil {
		return errors.Join(failed, err)
	}
	for _, file := range slices.Backward(a.run.Files) {
		if have[file.Name] == present {
			failed = errors.Join(failed, a.remove(ctx, file))
		}
	}
	return failed
}

// delivered compares the destination with the files on record, by name.
func (a *attempt) delivered(ctx context.Context) (map[string]presence, error) {
	have := map[string]presence{}
	for _, file := range a.run.Files {
		found, err := a.artifact().Stat(ctx, file.Name)
		switch {
		case errors.Is(err, destinations.ErrNotFound):
			have[file.Name] = absent
		case errors.Is(err, destinations.ErrOccupied):
			have[file.Name] = foreign
		case err != nil:
			return nil, failure.On(v1alpha1.ConditionDestinationReady, err)
		case found.Same(object(file)):
			have[file.Name] = present
		default:
			have[file.Name] = foreign
		}
	}
	return have, nil
}

// artifact is the directory of the run at its destination.
func (a *attempt) artifact() destinations.Directory {
	return destinations.Directory{Destination: a.destination, Path: a.task.directory()}
}

// whole says whether every file of the artifact is there.
func (a *attempt) whole(have map[string]presence) bool {
	return !slices.ContainsFunc(a.run.Files, func(file claims.File) bool { return have[file.Name] != present })
}

// artifactLocation is the URL of the artifact's first file; empty where a run exported nothing.
func (a *attempt) artifactLocation() string {
	if len(a.run.Files) == 0 {
		return ""
	}
	return a.artifact().Location(a.run.Files[0].Name)
}

// release gives the claims of the run back. If its artifact is already whole at the destination somebody may have
// imported it, and if it was sent the accounting system may have some of it: then the run is completed with that instead.
func (a *attempt) release(ctx context.Context) error {
	if a.task.Type == v1alpha1.RunPreview {
		return nil // it holds nothing
	}
	if known, err := a.findRecord(ctx); err != nil || !known {
		return err
	}
	if !a.run.State.Finished() {
		if err := a.takeOver(ctx); err != nil {
			return err
		}
	}
	if a.run.State == claims.StateRendered {
		if err := a.recede(ctx); err != nil {
			return err
		}
	}
	if a.run.State == claims.StatePosted {
		if err := a.deliverReceipt(ctx); err != nil {
			return err
		}
	}
	switch a.run.State {
	case claims.StateDelivered:
		if err := a.commit(ctx); err != nil {
			return err
		}
		return a.conclude()
	case claims.StateCommitted:
		return a.conclude()
	case claims.StateReleased:
		return nil
	default:
		return a.Failpoints.Around(failpoint.Release, func() error {
			return a.database.Release(ctx, a.run.Fence(), a.task.ReleaseReason)
		})
	}
}

// findRecord finds what a run that ends holds, though its source may not admit it any more: what was reserved while it did can
// only be given back by whoever holds it. Of a source that denies access nothing is told but that, and what was not begun there
// is not taken for given back.
func (a *attempt) findRecord(ctx context.Context) (known bool, err error) {
	if err := a.findExport(ctx); err != nil {
		return false, err
	}
	source, denied := a.source(ctx, a.export.Spec.OrganizationID)
	if source == nil {
		return false, denied
	}
	if a.database, err = a.Resolver.OpenDatabase(ctx, source); err == nil {
		known, err = a.lookUp(ctx)
	}
	if denied != nil && (err != nil || !known) {
		return false, denied
	}
	return known, a.ofSource(err)
}

// reopenDestination opens the destination that a run has begun to deliver to, whether or not it still admits it. Of one that does
// not, and is another one, nothing is told.
func (a *attempt) reopenDestination(ctx context.Context) (err error) {
	destination, denied := a.Resolver.Destination(ctx, a.export)
	if destination == nil {
		return denied
	}
	a.destination, err = a.Resolver.OpenDestination(ctx, destination)
	if err = a.ofDestination(err); err == nil {
		err = a.sameDestination(ctx)
	}
	if err != nil && denied != nil {
		return denied
	}
	return err
}

// recede settles what was sent, or withdraws what was delivered.
func (a *attempt) recede(ctx context.Context) error {
	if sent, err := a.settleWhatWasSent(ctx); sent || err != nil {
		return err
	}
	return a.withdraw(ctx)
}

// deliverReceipt delivers what an accounting system has accepted.
func (a *attempt) deliverReceipt(ctx context.Context) error {
	if len(a.run.Files) > 0 {
		if err := a.openDestination(ctx); err != nil {
			return err
		}
	}
	return a.deliver(ctx)
}

// withdraw removes what a destination has of an artifact that is not whole, the manifest first, or records the delivery of
// one that is. Of what is not there that is removed which an attempt that was stopped has hidden beside it, so that it cannot
// put it there any more. A file that the destination does not let be removed stays, without the manifest.
func (a *attempt) withdraw(ctx context.Context) error {
	if len(a.run.Files) == 0 {
		return nil
	}
	if err := a.reopenDestination(ctx); err != nil {
		return err
	}
	have, err := a.delivered(ctx)
	if err != nil {
		return err
	}
	if a.whole(have) {
		return a.deliver(ctx)
	}
	for _, file := range slices.Backward(a.run.Files) {
		err := a.remove(ctx, file)
		if err != nil && (file.Name == manifestName || failure.From(err).Reason != v1alpha1.ReasonNotRemovable) {
			return err
		}
	}
	return nil
}

func (a *attempt) remove(ctx context.Context, file claims.File) error {
	return failure.On(v1alpha1.ConditionDestinationReady, a.Failpoints.Around(failpoint.Withdraw, func() error {
		return a.artifact().Remove(ctx, file.Name, object(file))
	}))
}

// conclude makes the outcome from what is on record.
func (a *attempt) conclude() error {
	manifest, err := manifestOf(a.run)
	if err != nil {
		return err
	}
	if err := a.ownLocation(); err != nil {
		return err
	}
	a.outcome.Committed = a.run.State == claims.StateCommitted
	a.outcome.FirstVoucher, a.outcome.LastVoucher = a.run.FirstVoucher, a.run.LastVoucher
	a.outcome.Result = v1alpha1.RunResult{
		Claims: a.run.Claims, Lines: a.run.Lines, Held: a.run.Held,
		Debit: manifest.Base.Debit, Currency: manifest.Base.Currency, Total: manifest.Base.Debit + " " + manifest.Base.Currency,
		Location: a.run.Location,
	}
	if a.run.ArtifactRemovedAt != nil { // with an ExportRun that was deleted, and applied again since
		a.outcome.Result.Location = ""
	}
	if len(a.run.Files) > 0 {
		a.outcome.Result.SHA256 = a.run.Files[0].SHA256
	}
	a.outcome.Held = manifest.firstHeld()
	if manifest.Posting != nil {
		a.outcome.Posted = &manifest.Posting.Posted
	}
	return nil
}

// statusHeld bounds the list of held claims in a status.
const statusHeld = 20

// firstHeld names held claims: first those whose vouchers the accounting system rejected, with its words.
func (m *Manifest) firstHeld() (first []v1alpha1.HeldClaim) {
	for _, held := range m.Held {
		if held.Reason == ledger.HoldRejected && len(first) < statusHeld {
			first = append(first, shownHold(held, held.Detail))
		}
	}
	for _, held := range m.Held {
		if held.Reason != ledger.HoldRejected && len(first) < statusHeld {
			first = append(first, shownHold(held, ""))
		}
	}
	return first
}

func shownHold(held manifestHeldClaim, message string) v1alpha1.HeldClaim {
	return v1alpha1.HeldClaim{
		ID: printable.Line(held.Claim, printable.Quote), Reason: printable.Line(string(held.Reason), printable.Quote), Message: printable.Line(message, printable.Quote),
	}
}

func object(file claims.File) destinations.Object {
	return destinations.Object{Size: file.Size, SHA256: file.SHA256, MediaType: file.MediaType}
}
