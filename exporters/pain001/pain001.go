// Package pain001 writes vouchers as a credit transfer initiation, ISO 20022 pain.001.001.09: the file by which a bank pays
// the claimants. Each voucher is one payment of what it owes, in the currency of the claim or of the books, or none if all of it was paid
// otherwise.
package pain001

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/xmldoc"
	"github.com/ledgerport/ledgerport/ledger"
)

// New returns the exporter of type pain001.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "pain001" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "2" }

// Validate implements exporters.Exporter.
func (exporter) Validate(raw []byte) error {
	_, err := decodeOptions(raw)
	return err
}

// Begin implements exporters.Exporter.
func (exporter) Begin(_ context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	o, err := decodeOptions(batch.Options)
	if err != nil {
		return nil, err
	}
	debtor, _ := parseAccount(o.DebtorAccount, anyDomestic) // it has been checked
	return &writer{options: o, batch: batch, sink: sink, debtor: debtor, groups: map[string]*group{}}, nil
}

// writer keeps the payments of each currency in scratch space: the file says before them how many there are, and their sum.
type writer struct {
	options *options
	batch   exporters.Batch
	sink    exporters.Sink
	debtor  account
	groups  map[string]*group // by currency
	total   controlSum
	payment xmldoc.Piece // is complete before any of it is written, so that a held voucher leaves no trace
}

// Write implements exporters.Writer.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if isSettled(voucher) {
		return nil // the claim is exported, and is not a payment
	}
	p, err := w.pay(voucher)
	if err != nil {
		return err
	}
	total, err := w.total.plus(p.amount, p.currency)
	if err != nil {
		return exporters.Unsupported(voucher, "%s; a later run can pay it", err)
	}
	w.appendPayment(p)
	if err := w.payment.Err(); err != nil { // every text has been checked
		return fmt.Errorf("the payment of claim %s: %w", voucher.ClaimID, err)
	}
	g, err := w.group(ctx, voucher, p.currency)
	if err != nil {
		return err
	}
	w.total = total
	return g.write(w.payment.Bytes(), p.amount)
}

// Close implements exporters.Writer. Where there are no payments there is no file: the format has none without.
func (w *writer) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(w.groups) == 0 {
		return nil
	}
	content, err := w.sink.Create(ctx, cmp.Or(w.options.FileName, w.batch.Run+".xml"), xmldoc.MediaType)
	if err != nil {
		return err
	}
	if _, err := content.Write(w.head()); err != nil {
		return err
	}
	for _, currency := range slices.Sorted(maps.Keys(w.groups)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.groups[currency].copyTo(content, w); err != nil {
			return err
		}
	}
	if _, err := content.Write([]byte("  </CstmrCdtTrfInitn>\n</Document>\n")); err != nil {
		return err
	}
	return content.Close()
}

// messageID is the run's id without hyphens, 32 characters: the same run makes the same message, and a bank that has it
// already refuses it.
func (w *writer) messageID() string {
	id := strings.ReplaceAll(w.batch.RunID, "-", "")
	return id[:min(len(id), maxMessageID)]
}

// maxMessageID leaves room for a currency behind it.
const maxMessageID = maxIdentifier - len("EUR")
