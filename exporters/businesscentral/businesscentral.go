// Package businesscentral sends vouchers to Microsoft Dynamics 365 Business Central through its API v2.0: the lines of a
// run's vouchers go into one general journal, which is posted then where that is asked for.
//
// Sources: the pages journal, journalLine, dimensionSetLine and generalLedgerEntry of the API reference (v2.0), attachment, "Using OData
// transactional $batch requests", "Operational limits for Business Central Online" and "Error codes" of learn.microsoft.com,
// and the pages of the API as Microsoft publishes them (github.com/microsoft/BCApps, APIV2).
package businesscentral

import (
	"context"
	"encoding/json"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// New returns the exporter of type businesscentral.
func New() exporters.Submitter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "businesscentral" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "1" }

// Validate implements exporters.Exporter.
func (exporter) Validate(raw []byte) error {
	_, err := decodeOptions(raw)
	return err
}

// CredentialKeys implements exporters.NeedsCredentials.
func (exporter) CredentialKeys([]byte) []string { return []string{clientIDKey, clientSecretKey} }

// OptionalCredentialKeys implements exporters.UsesCredentials.
func (exporter) OptionalCredentialKeys([]byte) []string { return []string{hostsKey} }

// AttachesReceipts implements exporters.AttachesReceipts.
func (exporter) AttachesReceipts(raw []byte) bool {
	o, err := decodeOptions(raw)
	return err == nil && o.Attachments
}

const (
	clientIDKey     = "clientID"
	clientSecretKey = "clientSecret" // the key, not the secret
	hostsKey        = "hosts"

	fileName  = "requests.jsonl"
	mediaType = "application/jsonl"
)

// Begin implements exporters.Exporter.
func (exporter) Begin(ctx context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	o, err := decodeOptions(batch.Options)
	if err != nil {
		return nil, err
	}
	if o.OffsetAccountType != glAccount && batch.Books.Offset.Subledger == "" {
		return nil, &exporters.OptionError{Field: "offsetAccountType", Problem: "needs offset.subledger: Claimant in the chart of accounts, which says whose account it is"}
	}
	currency, err := ledger.ParseCurrency(batch.Books.Currency)
	if err != nil {
		return nil, err
	}
	file, err := exporters.CreateFile(ctx, sink, fileName, mediaType)
	if err != nil {
		return nil, err
	}
	w := &writer{options: o, currency: currency, file: file, encoder: json.NewEncoder(file)}
	w.encoder.SetEscapeHTML(false)
	return w, nil
}

// writer writes one line of JSON for each voucher.
type writer struct {
	options  *options
	currency ledger.Currency
	file     *exporters.File
	encoder  *json.Encoder
	lines    int // of the vouchers written so far
}

// Write implements exporters.Writer.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	rendered, err := w.render(ctx, voucher)
	if err != nil {
		return err
	}
	w.lines += len(rendered.Lines)
	return w.encoder.Encode(rendered)
}

// Close implements exporters.Writer.
func (w *writer) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return w.file.Close()
}
