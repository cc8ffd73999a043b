package pipeline

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

// ErrNoSuchFile says that a run has delivered no file of a name.
var ErrNoSuchFile = errors.New("the run has delivered no file of this name")

// RecordOf is what is needed to read the record of a run. No attempt can be made of it.
func RecordOf(run *v1alpha1.ExportRun) Task {
	t := Task{RunID: string(run.UID), Namespace: run.Namespace, Name: run.Name, Export: run.Spec.ExportRef.Name, Type: run.Spec.Type}
	if run.Spec.DestinationRef != nil {
		t.Destination = *run.Spec.DestinationRef
	}
	if run.Status.SourceRef != nil {
		t.Source = *run.Status.SourceRef
	}
	return t
}

// Reading is the record of a run that is committed, and the way to its files. It changes nothing. Close ends it.
type Reading struct{ *attempt }

// Read finds the record of a run as an attempt does: in the database that it is recorded in, with the credentials of that, and only if
// that admits the run's namespace to the run's organisation.
func (p *Pipeline) Read(ctx context.Context, task Task) (*Reading, error) {
	a := p.reader(ctx, task)
	if err := a.findCommitted(ctx); err != nil {
		a.close()
		return nil, a.discreet(err)
	}
	return &Reading{a}, nil
}

// reader is an attempt that writes nothing.
func (p *Pipeline) reader(ctx context.Context, task Task) *attempt {
	return &attempt{
		Pipeline: p, task: task, progress: &Progress{}, client: &http.Client{},
		spool: artifact.NewSpool(p.SpoolDirectory, p.SpoolSpace, task.Namespace, ctx.Err),
	}
}

// findCommitted looks a run up that must be committed, and makes sure that its organisation is still the namespace's.
func (a *attempt) findCommitted(ctx context.Context) error {
	if err := a.resolve(ctx); err != nil {
		return err
	}
	if err := a.openDatabase(ctx); err != nil {
		return err
	}
	known, err := a.lookUp(ctx)
	switch {
	case err != nil:
		return err
	case !known || a.run.State != claims.StateCommitted:
		return failure.OnSource.Transient(v1alpha1.ReasonRunNotCommitted, nil, "the database has no record that run %s has ended with an artifact", a.task.Name)
	case a.run.OrganizationID != a.cluster.export.Spec.OrganizationID:
		_, err = a.sourceOf(ctx, a.run.OrganizationID)
	}
	return err
}

// Run as it is recorded.
func (r *Reading) Run() claims.Run { return r.run }

// Close ends the connections.
func (r *Reading) Close() { r.close() }

// Open returns a file of the artifact, and its content at the destination, which ends with an error instead of its end if it is not what
// was delivered. The name is one of those that are recorded, or the error is ErrNoSuchFile.
func (r *Reading) Open(ctx context.Context, name string) (claims.File, io.ReadCloser, error) {
	at := slices.IndexFunc(r.run.Files, func(file claims.File) bool { return file.Name == name })
	if at < 0 || r.run.ArtifactRemovedAt != nil {
		return claims.File{}, nil, ErrNoSuchFile
	}
	file := r.run.Files[at]
	content, err := r.openFile(ctx, file)
	return file, content, r.discreet(err)
}

// openFile opens a recorded file where the run has delivered it, and nowhere else.
func (a *attempt) openFile(ctx context.Context, file claims.File) (io.ReadCloser, error) {
	if a.destination == nil {
		if err := a.openDestination(ctx); err != nil {
			return nil, err
		}
	}
	if err := a.sameDestination(ctx); err != nil {
		return nil, err
	}
	content, err := a.artifact().Open(ctx, file.Name, destinations.Object{Size: file.Size, SHA256: file.SHA256, MediaType: file.MediaType})
	return content, a.ofDestination(err)
}

// VoucherPlace is the place of a voucher among those of a run: the block, and how many of that are before it.
type VoucherPlace struct{ Block, Before int }

// Vouchers has each voucher of the run from a place on looked at, in their order, until that returns false or there are no more. It returns the
// place behind the last one, and whether there may be more. A voucher is valid while it is looked at.
func (r *Reading) Vouchers(ctx context.Context, from VoucherPlace, look func(*ledger.Voucher) bool) (next VoucherPlace, more bool, err error) {
	if err := r.findDelivered(ctx); err != nil {
		return from, false, r.discreet(err)
	}
	vouchers, err := r.database.KeptVouchersFrom(ctx, *r.rendered(), from.Block)
	if err != nil {
		return from, false, r.discreet(err)
	}
	next = from
	var voucher ledger.Voucher
	for skip := from.Before; ; skip-- {
		err := vouchers.Next(ctx, &voucher)
		if errors.Is(err, io.EOF) {
			return next, false, nil
		}
		if err != nil {
			return next, false, r.discreet(err)
		}
		if vouchers.Block() != next.Block {
			next, skip = VoucherPlace{Block: vouchers.Block()}, 0
		}
		if skip > 0 {
			continue
		}
		next.Before++
		if !look(&voucher) {
			return next, true, nil
		}
	}
}

// findDelivered finds the run whose vouchers this one has delivered, if there is one. It must be one of the same namespace and
// organisation, whatever the record says.
func (a *attempt) findDelivered(ctx context.Context) error {
	if a.run.Type != claims.TypeRedelivery {
		return nil
	}
	if err := a.findOriginal(ctx); err != nil {
		return err
	}
	if a.original.OrganizationID != a.run.OrganizationID || a.original.Namespace != a.run.Namespace {
		return claims.RecordInvalid("runs", a.run.ID, errors.New("redelivers is the id of a run of another namespace or organisation"))
	}
	return nil
}

// Held are the claims that runs of an export have held: a page of them, and how many there are for each reason.
type Held struct {
	Claims  []claims.HeldClaim
	Reasons []claims.HeldReason // with the first page only
}

// ReadHeld reads what an export holds, in the database of its ClaimSource, if that admits the export's namespace to its organisation.
func (p *Pipeline) ReadHeld(ctx context.Context, namespace, export string, query claims.HeldQuery) (held Held, err error) {
	a := p.reader(ctx, Task{Namespace: namespace, Export: export})
	defer a.close()
	held, err = a.readHeld(ctx, query)
	return held, a.discreet(err)
}

func (a *attempt) readHeld(ctx context.Context, query claims.HeldQuery) (held Held, err error) {
	if err := a.resolve(ctx); err != nil {
		return held, err
	}
	if err := a.openDatabase(ctx); err != nil {
		return held, err
	}
	of := a.task.identity(a.cluster.export.Spec.OrganizationID)
	if query.After == (claims.HeldPlace{}) {
		if held.Reasons, err = a.database.HeldReasons(ctx, of); err != nil {
			return held, err
		}
	}
	held.Claims, err = a.database.HeldClaims(ctx, of, query)
	return held, err
}
