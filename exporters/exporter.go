// Package exporters is the contract between Ledgerport and the formats of accounting systems. An exporter is one folder
// below this one and one line in package builtin; nothing else in the repository knows its name.
package exporters

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// NeedsCredentials is an Exporter that cannot work without credentials of its accounting system.
type NeedsCredentials interface {
	Exporter
	// CredentialKeys are the keys that AccountingExport.spec.credentials must have with these options, which Validate has
	// accepted. Each has a value that is not empty by the time of Begin.
	CredentialKeys(options []byte) []string
}

// UsesCredentials is an Exporter that NeedsCredentials, and uses more of them where they are given. No other key of a Secret is passed on
// to it.
type UsesCredentials interface {
	NeedsCredentials
	// OptionalCredentialKeys are the keys that AccountingExport.spec.credentials may have with these options.
	OptionalCredentialKeys(options []byte) []string
}

// Exporter renders vouchers for one accounting system. It is safe for concurrent use.
type Exporter interface {
	// Type is the exporter's key in a registry and in AccountingExport.spec.exporter.type.
	Type() string
	// Version changes whenever the same vouchers and options render to other bytes. It is recorded in the manifest.
	Version() string
	// Validate decodes the options (a JSON object, or nothing) strictly: an unknown field is an error. Errors are
	// *OptionError wherever one option is to blame.
	Validate(options []byte) error
	// Begin starts one artifact. The same batch and the same vouchers render to the same bytes, always.
	Begin(ctx context.Context, batch Batch, sink Sink) (Writer, error)
}

// Writer takes the vouchers of one artifact.
type Writer interface {
	// Write adds a voucher. Vouchers come in the order of their numbers within each fiscal year. The voucher is only
	// valid during the call. A *ledger.Hold says that the format cannot represent this voucher: nothing of it was
	// written, and the next voucher will take its number. Any other error ends the artifact.
	Write(ctx context.Context, voucher *ledger.Voucher) error
	// Close completes the artifact. Nothing is visible before it returns nil.
	Close(ctx context.Context) error
}

// Batch is what an exporter may know of the run. Nothing in it comes from the clock of the machine.
type Batch struct {
	// RunID is the UID of the ExportRun; Namespace, Export and Run are the names of the resources.
	RunID, Namespace, Export, Run string
	// OrganizationID of every claim in the batch.
	OrganizationID string
	// CreatedAt is when the run was created, in the export's time zone. It is the creation time to write into files.
	CreatedAt time.Time
	// Cutoff: every claim in the batch was approved before it. In the export's time zone.
	Cutoff time.Time
	// Series of the voucher numbers.
	Series string
	// Books are the organisation's currency, accounts, tax codes and fiscal year.
	Books *v1alpha1.ChartOfAccountsSpec
	// Options of the exporter: a JSON object, or nothing.
	Options []byte
	// Credentials of the accounting system: the Secret's data. They appear in no output.
	Credentials map[string][]byte
	// HTTPClient reaches the accounting system, for an exporter that sends vouchers to an API. It connects to no host that the
	// operator does not allow; an exporter passes such errors on, wrapped with %w. It follows no redirect. Nothing is sent
	// while vouchers are written; see Submitter.
	HTTPClient *http.Client
	// Program and ProgramVersion name the software that writes the file.
	Program, ProgramVersion string
}

// LinksReceipts is implemented by an exporter whose files can refer to the receipts that are delivered beside them (Voucher.Receipts).
type LinksReceipts interface {
	// NeedsReceipts reports whether files with these valid options refer to receipts that must all be there.
	NeedsReceipts(options []byte) bool
}

// Sink takes the files of an artifact.
type Sink interface {
	// Create begins a file. The name is a plain file name without a path, unique within the artifact. The file is
	// complete when its Close returns nil. CreateFile puts a buffer before it.
	Create(ctx context.Context, name, mediaType string) (io.WriteCloser, error)
	// Scratch begins content that is no file of the artifact: an exporter writes the body of a file to it whose head says
	// what only the end knows, such as a count or a total, and copies it behind the head when it is written. It takes disk,
	// not memory, and is gone when the artifact is. NewBody puts a buffer before it.
	Scratch(ctx context.Context) (Scratch, error)
}

// Scratch is content to be copied later. Nothing may be written any more once it was copied.
type Scratch interface {
	io.Writer
	// WriteTo copies everything that was written, from its beginning.
	io.WriterTo
}

// OptionError says which option of an exporter is wrong, and how.
type OptionError struct {
	// Field is the path of the option below spec.exporter.options, such as columns[2].value.
	Field string
	// Problem says what is wrong and what would be right.
	Problem string
}

// Error returns field and problem.
func (e *OptionError) Error() string {
	if e.Field == "" {
		return e.Problem
	}
	return fmt.Sprintf("%s: %s", e.Field, e.Problem)
}
