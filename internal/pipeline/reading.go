package pipeline

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

// ErrNoSuchFile says that a run has delivered no file of a name.
var ErrNoSuchFile = errors.New("the run has delivered no file of this name")

// RecordOf is what is needed to read the record of a run. No attempt can be made of that alone.
func RecordOf(run *v1alpha1.ExportRun) Task {
	t := Task{RunID: string(run.UID), Namespace: run.Namespace, Name: run.Name, Export: run.Spec.ExportRef.Name, Type: run.Spec.Type}
	if run.Spec.DestinationRef != nil {
		t.Destination = *run.Spec.DestinationRef
	}
	if run.Status.DestinationRef != nil {
		t.BeganWith = *run.Status.DestinationRef
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
		Pipeline: p, task: task, progress: &Progress{}, client: &http.Client{}, reads: true,
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

// File finds a file of the artifact. The name is one of those that are recorded, or the error is ErrNoSuchFile. Of the record it keeps what it
// needs, and it ends the connection with the database: nothing else can be read afterwards.
func (r *Reading) File(name string) (*Delivered, error) {
	at := slices.IndexFunc(r.run.Files, func(file claims.File) bool { return file.Name == name })
	if at < 0 || r.run.ArtifactRemovedAt != nil {
		return nil, ErrNoSuchFile
	}
	recorded, err := inputsOf(r.run)
	if err != nil {
		return nil, r.discreet(err)
	}
	file := r.run.Files[at]
	for _, text := range []*string{&file.Name, &file.MediaType, &file.SHA256} {
		*text = strings.Clone(*text) // of a record that may be large
	}
	r.database.Close()
	r.database, r.run = nil, claims.Run{}
	return &Delivered{File: file, attempt: r.attempt, place: recorded.place()}, nil
}

// Delivered is a file of a run that is read where the run has delivered it, and nowhere else. Close of the Reading ends that.
type Delivered struct {
	claims.File
	attempt *attempt
	place   recordedPlace
}

// Open returns the content, which ends with an error instead of its end if it is not what was delivered.
func (d *Delivered) Open(ctx context.Context) (io.ReadCloser, error) {
	a := d.attempt
	content, err := d.open(ctx)
	if err != nil {
		return nil, a.discreet(err)
	}
	named := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: a.cluster.export.Namespace, Name: a.cluster.export.Name}}
	named.Spec.SourceRef, named.Spec.DestinationRef = a.cluster.export.Spec.SourceRef, a.cluster.export.Spec.DestinationRef
	a.cluster = cluster{export: named} // the rest may be large, and is for opening
	return discreetContent{content, a}, nil
}

func (d *Delivered) open(ctx context.Context) (io.ReadCloser, error) {
	a := d.attempt
	if err := a.openDestination(ctx); err != nil {
		return nil, err
	}
	if err := a.stillAt(ctx, d.place); err != nil {
		return nil, err
	}
	content, err := a.artifact().Open(ctx, d.Name, object(d.File))
	return content, a.ofDestination(err)
}

// discreetContent fails with no more than the run's namespace may know.
type discreetContent struct {
	io.ReadCloser
	attempt *attempt
}

// Read implements io.Reader.
func (c discreetContent) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !destinations.IsOther(err) { //nolint:errorlint // one that wraps it is no end
		err = c.attempt.ofDestination(err)
	}
	return n, err
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

// ReadClaim reads what runs of an export have made of a claim, as ReadHeld does.
func (p *Pipeline) ReadClaim(ctx context.Context, namespace, export, claim string) (found []claims.ClaimStatus, err error) {
	a := p.reader(ctx, Task{Namespace: namespace, Export: export})
	defer a.close()
	found, err = a.readClaim(ctx, claim)
	return found, a.discreet(err)
}

func (a *attempt) readClaim(ctx context.Context, claim string) ([]claims.ClaimStatus, error) {
	if err := a.resolve(ctx); err != nil {
		return nil, err
	}
	if err := a.openDatabase(ctx); err != nil {
		return nil, err
	}
	return a.database.ClaimStatus(ctx, a.task.identity(a.cluster.export.Spec.OrganizationID), claim)
}
