package references

import (
	"context"
	"errors"
	"io"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/receipts"
)

// ReceiptsFor returns a failure if an export asks for receipts, and its source does not say where they are.
func ReceiptsFor(export *v1alpha1.AccountingExport, source *v1alpha1.ClaimSource) error {
	policy := export.Spec.Receipts
	if policy == "" || policy == v1alpha1.IgnoreReceipts || source.Spec.Receipts != nil {
		return nil
	}
	return failure.OnSource.Transient(v1alpha1.ReasonInvalidSpec, nil,
		"spec.receipts of the export is %s, and ClaimSource %s does not say where receipts are; add its spec.receipts, or say Ignore", policy, client.ObjectKeyFromObject(source))
}

// ReceiptsWith returns a failure if receipts are asked for with an exporter that sends vouchers and attaches none to them, are not asked
// for by one that does, or are not required by one whose files refer to them.
func ReceiptsWith(exporter exporters.Exporter, options []byte, policy v1alpha1.ReceiptPolicy) error {
	refused := func(format string, args ...any) error {
		return failure.OnMapping.Stalled(v1alpha1.ReasonInvalidSpec, nil, format, args...)
	}
	asked := policy != "" && policy != v1alpha1.IgnoreReceipts
	_, sends := exporter.(exporters.Submitter)
	attacher, can := exporter.(exporters.AttachesReceipts)
	attaches := can && attacher.AttachesReceipts(options)
	links, can := exporter.(exporters.LinksReceipts)
	switch {
	case sends && asked && !attaches:
		return refused("spec.receipts is %s, and spec.exporter.options do not let the exporter %s attach receipts to the vouchers that it sends; let it do so, if it can, or say spec.receipts: Ignore", policy, exporter.Type())
	case attaches && !asked:
		return refused("spec.exporter.options let the exporter %s attach receipts to vouchers; say spec.receipts: Include or Require", exporter.Type())
	case can && links.NeedsReceipts(options) && policy != v1alpha1.RequireReceipts:
		return refused("spec.exporter.options let the files of %s refer to receipts, all of which must be there; say spec.receipts: Require", exporter.Type())
	}
	return nil
}

// receiptStore is the store of the receipts of a ClaimSource that names one, as what would be written there.
func receiptStore(source *v1alpha1.ClaimSource) *v1alpha1.ExportDestination {
	store := &v1alpha1.ExportDestination{Spec: source.Spec.Receipts.Store()}
	store.Namespace, store.Name = source.Namespace, source.Name
	return store
}

// receiptsKind stands for the receipts of a ClaimSource in the names of variables of the operator's environment: a tenant names the keys,
// and the server that is sent what they have, which must not be the URL of the database.
const receiptsKind = "ClaimSourceReceipts"

// receiptReference says where the credentials of the store of the receipts are; nil if it needs none, or there is no store.
func (r *Resolver) receiptReference(source *v1alpha1.ClaimSource) (*credentials.Reference, error) {
	if source.Spec.Receipts == nil || r.ReceiptStores == nil {
		return nil, nil
	}
	if server := source.Spec.Receipts.HTTP; server != nil {
		return tokenReference(source, server), nil
	}
	ref, err := r.ReceiptStores.Credentials(receiptStore(source))
	if ref != nil {
		ref.Kind = receiptsKind
	}
	return ref, err
}

// tokenReference says where the token of a server is; nil if it needs none.
func tokenReference(source *v1alpha1.ClaimSource, server *v1alpha1.ReceiptsHTTP) *credentials.Reference {
	ref := &credentials.Reference{Kind: receiptsKind, Namespace: source.Namespace, Name: source.Name, Keys: []string{tokenKey(server)}}
	switch {
	case server.TokenExternalSecretRef != nil:
		ref.External = &server.TokenExternalSecretRef.ExternalSecretReference
	case server.TokenSecretRef != nil:
		ref.Secret = server.TokenSecretRef.Name
	default:
		return nil
	}
	return ref
}

// tokenKey is the key of the token of a server in its Secret; empty if it needs none.
func tokenKey(server *v1alpha1.ReceiptsHTTP) string {
	switch {
	case server.TokenExternalSecretRef != nil:
		return server.TokenExternalSecretRef.Key
	case server.TokenSecretRef != nil:
		return server.TokenSecretRef.Key
	}
	return ""
}

// ReceiptCredentials returns what the store of the receipts of a ClaimSource is read with. They are empty where it needs none.
func (r *Resolver) ReceiptCredentials(ctx context.Context, source *v1alpha1.ClaimSource) (credentials.Credentials, error) {
	ref, err := r.receiptReference(source)
	if err != nil || ref == nil {
		return credentials.Credentials{}, err
	}
	return r.Secrets.Find(ctx, *ref)
}

// OpenReceipts opens the store of the receipts of a ClaimSource with its ReceiptCredentials. What cannot be read of it is a failure of
// the source.
func (r *Resolver) OpenReceipts(ctx context.Context, source *v1alpha1.ClaimSource, login credentials.Credentials) (destinations.Store, error) {
	if source.Spec.Receipts == nil {
		return nil, failure.OnSource.Transient(v1alpha1.ReasonInvalidSpec, nil,
			"ClaimSource %s does not say any more where receipts are; add its spec.receipts, or cancel the run", client.ObjectKeyFromObject(source))
	}
	blame := receiptBlame{source}
	var store destinations.Store
	var err error
	if server := source.Spec.Receipts.HTTP; server != nil {
		store, err = receipts.OpenHTTP(server.URL, string(login.Data[tokenKey(server)]), r.PlainReceipts, r.Outbound)
	} else {
		store, err = r.ReceiptStores.OpenStore(ctx, receiptStore(source), login.Data, r.Outbound)
	}
	if err != nil {
		return nil, blame.unreadable(ctx, err)
	}
	return blamed{store, blame}, nil
}

// absentReceipt is asked for by checks, and is in no store.
const absentReceipt = "ledgerport-absent"

// CheckReceipts makes sure that the store of the receipts of a ClaimSource can be read, if it names one, and returns what it was read
// with.
func (r *Resolver) CheckReceipts(ctx context.Context, source *v1alpha1.ClaimSource) (credentials.Credentials, error) {
	if source.Spec.Receipts == nil || r.ReceiptStores == nil {
		return credentials.Credentials{}, nil
	}
	login, err := r.ReceiptCredentials(ctx, source)
	if err != nil {
		return login, err
	}
	store, err := r.OpenReceipts(ctx, source, login)
	if err != nil {
		return login, err
	}
	if _, err = store.Size(ctx, absentReceipt); errors.Is(err, destinations.ErrNotFound) {
		err = nil
	}
	return login, errors.Join(err, store.Close())
}

// receiptBlame makes failures of a source of what is wrong with the store of its receipts.
type receiptBlame struct{ source *v1alpha1.ClaimSource }

func (b receiptBlame) unreadable(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, destinations.ErrNotFound), errors.Is(err, destinations.ErrOccupied):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	message := "the connection ended before a receipt did"
	stalled := false
	var failed *failure.Error
	if errors.As(err, &failed) {
		message, stalled = failed.Message, failed.Stalled
	}
	unreadable := failure.OnSource.Transient(v1alpha1.ReasonReceiptsUnreadable, err, "the receipts of ClaimSource %s (spec.receipts) cannot be read: %s",
		client.ObjectKeyFromObject(b.source), message)
	unreadable.Stalled = stalled
	return unreadable
}

// blamed is a store whose failures are those of its source.
type blamed struct {
	destinations.Store
	receiptBlame
}

// Open implements destinations.Store.
func (b blamed) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	content, err := b.Store.Open(ctx, key)
	if err != nil {
		return nil, b.unreadable(ctx, err)
	}
	return &blamedContent{content, ctx, b.receiptBlame}, nil
}

// Size implements destinations.Store.
func (b blamed) Size(ctx context.Context, key string) (int64, error) {
	size, err := b.Store.Size(ctx, key)
	return size, b.unreadable(ctx, err)
}

// blamedContent is what a store sends of a receipt.
type blamedContent struct {
	io.ReadCloser
	ctx context.Context //nolint:containedctx // io.Reader has no room for it
	receiptBlame
}

// Read implements io.Reader.
func (b *blamedContent) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // one that wraps it is no end
		err = b.unreadable(b.ctx, err)
	}
	return n, err
}
