// Package datev writes vouchers in the DATEV format, by which accounting systems in Germany and Austria import bookings:
// EXTF 700, category 21 (Buchungsstapel), format version 13, as the format description of DATEV eG
// (developer.datev.de, file format) and its sample files have it.
package datev

import (
	"context"
	"time"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// New returns the exporter of type datev.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "datev" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "4" }

// PostingOptions implements exporters.Posts.
func (exporter) PostingOptions() []string { return exporters.PostingOptions(&options{}) }

// NeedsReceipts implements exporters.LinksReceipts: a package in which a file is missing that its document names is refused by DATEV.
func (exporter) NeedsReceipts(options []byte) bool {
	o, err := decodeOptions(options)
	return err == nil && o.Documents
}

// Validate implements exporters.Exporter.
func (exporter) Validate(raw []byte) error {
	o, err := decodeOptions(raw)
	if err != nil || o.FiscalYearStart == "" {
		return err
	}
	if _, err := time.Parse(time.DateOnly, o.FiscalYearStart); err != nil {
		return &exporters.OptionError{Field: "fiscalYearStart", Problem: "is not a date such as 2026-01-01"}
	}
	return nil
}

const (
	delimiter = ';'
	newline   = "\r\n"
	// maxDecimals of an amount.
	maxDecimals = 2
	// firstYear and lastYear of a posting date: DATEV writes years as 20xx.
	firstYear, lastYear = 2000, 2099
)

// Begin implements exporters.Exporter.
func (exporter) Begin(_ context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	o, err := decodeOptions(batch.Options)
	if err != nil {
		return nil, err
	}
	_, yearStart, err := exporters.ReadBooks(batch.Books, "DATEV", maxDecimals)
	if err != nil {
		return nil, err
	}
	if err := o.checkBooks(batch.Books, yearStart); err != nil {
		return nil, err
	}
	w := &writer{
		options: o, batch: batch, sink: sink, yearStart: yearStart, parts: exporters.NewYears[*part](&batch, yearStart),
		bookings: newBookings(o, batch.Books),
	}
	if o.Documents {
		w.documents = newDocuments(batch.RunID, sink)
	}
	return w, nil
}

// writer writes one file for each fiscal year, and more where a year has too many bookings.
type writer struct {
	options   *options
	batch     exporters.Batch
	sink      exporters.Sink
	yearStart ledger.FiscalYearStart

	bookings *bookings
	parts    *exporters.Years[*part] // that are being written
	// documents that bookings link to; nil where they are none.
	documents *documents
}

// Write implements exporters.Writer.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.parts.Check(voucher); err != nil {
		return err
	}
	if year := voucher.PostingDate.Year(); year < firstYear || year > lastYear {
		return exporters.Unsupported(voucher, "the posting date %s is not within the years %d to %d, which DATEV has", voucher.PostingDate.Format(time.DateOnly), firstYear, lastYear)
	}
	if err := w.documents.check(voucher); err != nil {
		return err
	}
	if err := w.bookings.read(ctx, voucher, w.documents.guid(voucher)); err != nil {
		return err
	}
	into, err := w.part(ctx, voucher.FiscalYear, w.bookings.rows)
	if err != nil {
		return err
	}
	if err := into.write(voucher.PostingDate, w.bookings.bytes, w.bookings.rows); err != nil {
		return err
	}
	return w.documents.write(ctx, voucher)
}

// part returns the part of a fiscal year that has room for as many rows: those of a voucher stay together.
func (w *writer) part(ctx context.Context, year, rows int) (*part, error) {
	p, err := w.parts.Get(year, func() (*part, error) { return w.newPart(ctx, year, 1) })
	if err != nil || p.rows+rows <= maxRows {
		return p, err
	}
	if err := w.finish(ctx, p); err != nil {
		return nil, err
	}
	next, err := w.newPart(ctx, year, p.number+1)
	if err != nil {
		return nil, err
	}
	*p = *next
	return p, nil
}

// Close implements exporters.Writer.
func (w *writer) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, p := range w.parts.Opened() {
		if err := w.finish(ctx, p); err != nil {
			return err
		}
	}
	return w.documents.finish(ctx, w)
}
