package pipeline

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
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
	have, err := a.withoutConflict(ctx)
	if err != nil {
		return err
	}
	if a.receiptsDue() && !a.whole(have) {
		if err := a.deliverReceipts(ctx); err != nil {
			return a.retract(ctx, err)
		}
		if have, err = a.withoutConflict(ctx); err != nil {
			return err
		}
	}
	if !a.whole(have) && a.spool.Empty() {
		if err := a.restore(ctx); err != nil {
			return err
		}
	}
	for i, file := range a.spool.Files() {
		if have[file.Name] == present {
			continue
		}
		if err := a.put(ctx, file, a.spool.Reader(i), a.stillOurs); err != nil {
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

// withoutConflict is delivered, of a destination that has nothing else under the names of the run.
func (a *attempt) withoutConflict(ctx context.Context) (map[string]presence, error) {
	have, err := a.delivered(ctx)
	for _, file := range a.run.Files {
		if have[file.Name] == foreign {
			return nil, failure.OnDestination.Stalled(v1alpha1.ReasonArtifactConflict, nil,
				"%s holds another file than this run's; move it away, or start another run under a new name",
				a.artifact().Location(file.Name))
		}
	}
	return have, err
}

// restore brings the recorded artifact back into the spool.
func (a *attempt) restore(ctx context.Context) error {
	if a.run.Type == claims.TypeRedelivery {
		return a.restoreOriginal(ctx)
	}
	if a.run.State == claims.StateSubmitted {
		if err := a.submission().Restore(ctx); err != nil {
			return err
		}
		return a.sameBytes()
	}
	return a.renderAgain(ctx)
}

// put delivers one file. The guard is asked just before its content is read, the destination being ready to take it.
func (a *attempt) put(ctx context.Context, file claims.File, from io.Reader, guard func(context.Context) error) error {
	content := destinations.Guarded(from, func() error {
		a.Failpoints.Reach(failpoint.Put.During())
		return guard(ctx)
	})
	return a.Failpoints.Around(failpoint.Put, func() error {
		return a.artifact().Put(ctx, file.Name, object(file), content)
	})
}

// retract removes what this attempt delivered where it lost the run meanwhile and the claims are given back: a process
// that was stopped while a bucket had all of a file, and the answer was on its way, comes too late to be refused. It returns
// the error that delivering ended with. It has time of its own: such an attempt is often past its deadline.
func (a *attempt) retract(ctx context.Context, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RetractDeadline)
	defer cancel()
	if !a.givenBack(ctx) {
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
	if err := a.withdrawReceipts(ctx, a.copied); err != nil {
		failed = errors.Join(failed, err)
	}
	return failed
}

// lookAgain is how often an attempt that has lost its run looks what becomes of it.
const lookAgain = 200 * time.Millisecond

// givenBack reports whether the claims of the run are given back. Another attempt that has taken the run over may be about to, and have
// looked for a file of this one before that was there: it is waited for what becomes of the run, and for a database that does not answer.
func (a *attempt) givenBack(ctx context.Context) bool {
	for {
		run, known, err := a.database.Run(ctx, a.run.ID)
		if err == nil && (!known || run.State != claims.StateRendered || run.Attempt == a.run.Attempt) {
			return known && run.State == claims.StateReleased
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(lookAgain):
		}
	}
}

// delivered compares the destination with the recorded files, by name.
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
			return nil, err
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

// whole reports whether every file of the artifact is there.
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

func (a *attempt) remove(ctx context.Context, file claims.File) error {
	return a.Failpoints.Around(failpoint.Withdraw, func() error {
		return a.artifact().Remove(ctx, file.Name, object(file))
	})
}

func object(file claims.File) destinations.Object {
	return destinations.Object{Size: file.Size, SHA256: file.SHA256, MediaType: file.MediaType}
}
