// Package sie writes vouchers as SIE type 4I, the format by which Swedish accounting systems import vouchers, as edition
// 4B of the specification (2008-09-30) of Föreningen SIE-Gruppen describes it.
package sie

import (
	"context"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// New returns the exporter of type sie.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "sie" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "1" }

// PostingOptions implements exporters.Posts.
func (exporter) PostingOptions() []string { return exporters.PostingOptions(&options{}) }

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
	currency, yearStart, err := exporters.ReadBooks(batch.Books, "SIE", maxDecimals)
	if err != nil {
		return nil, err
	}
	w := &writer{options: o, batch: batch, sink: sink, yearStart: yearStart, files: exporters.NewYears[*file](&batch, yearStart)}
	// What does not depend on the year is written once, here, so that a wrong chart is known before the first voucher.
	w.identification, w.accounts, err = w.header(currency)
	return w, err
}

const (
	mediaType   = "text/plain; charset=cp437"
	maxDecimals = 2
	dateFormat  = "20060102"
)

// writer writes one file for each fiscal year.
type writer struct {
	options   *options
	batch     exporters.Batch
	sink      exporters.Sink
	yearStart ledger.FiscalYearStart

	// identification comes before the fiscal years in a file, accounts after them.
	identification, accounts []byte

	voucher []byte                         // is complete before any of it is written, so that a held voucher leaves no trace
	objects exporters.Kept[object, string] // that are declared, and their names
	files   *exporters.Years[*file]
}

// Write implements exporters.Writer.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.files.Check(voucher); err != nil {
		return err
	}
	var err error
	w.voucher, err = w.appendVoucher(ctx, w.voucher[:0], voucher)
	w.objects.Settle(err == nil)
	if err != nil {
		return err
	}
	into, err := w.files.Get(voucher.FiscalYear, func() (*file, error) { return w.open(ctx, voucher.FiscalYear) })
	if err != nil {
		return err
	}
	_, err = into.vouchers.Write(w.voucher)
	return err
}

// Close implements exporters.Writer.
func (w *writer) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, f := range w.files.Opened() {
		if err := w.finish(ctx, f); err != nil {
			return err
		}
	}
	return nil
}
