// Package datev writes vouchers in the DATEV format, by which accounting systems in Germany and Austria import bookings:
// EXTF 700, category 21 (Buchungsstapel), format version 13, as the format description of DATEV eG
// (developer.datev.de, file format) and its sample files have it.
package datev

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// New gives the exporter of type datev.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "datev" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "1" }

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
	// olderYears and laterYears bound the number of files: how many fiscal years a voucher may be from the cutoff's.
	olderYears, laterYears = 9, 1
)

// Begin implements exporters.Exporter.
func (exporter) Begin(_ context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	o, err := decodeOptions(batch.Options)
	if err != nil {
		return nil, err
	}
	currency, err := ledger.ParseCurrency(batch.Books.Currency)
	if err != nil {
		return nil, err
	}
	if currency.Exponent() > maxDecimals {
		return nil, &exporters.OptionError{Problem: fmt.Sprintf("the books are in %s, which has %d decimals; DATEV has %d", currency.Code(), currency.Exponent(), maxDecimals)}
	}
	yearStart, err := ledger.ParseFiscalYearStart(batch.Books.FiscalYearStart)
	if err != nil {
		return nil, err
	}
	if err := o.checkBooks(batch.Books, yearStart); err != nil {
		return nil, err
	}
	return &writer{
		options: o, batch: batch, sink: sink, yearStart: yearStart, year: yearStart.Year(batch.Cutoff),
		bookings: newBookings(o, batch.Books.Offset.Account), parts: map[int]*part{}, count: map[int]int{},
	}, nil
}

// writer writes one file for each fiscal year, and more where a year has too many bookings.
type writer struct {
	options   *options
	batch     exporters.Batch
	sink      exporters.Sink
	yearStart ledger.FiscalYearStart
	year      int // fiscal year of the cutoff

	bookings *bookings
	parts    map[int]*part // that are being written, by fiscal year
	opened   []*part       // in the order in which they were opened
	count    map[int]int   // parts of each fiscal year so far
}

// Write implements exporters.Writer.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	year := voucher.PostingDate.Year()
	if voucher.FiscalYear < w.year-olderYears || voucher.FiscalYear > w.year+laterYears || year < firstYear || year > lastYear {
		return exporters.Unsupported(voucher, "the posting date %s is not within %d fiscal years before and %d after that of the run; see spec.posting of the export",
			voucher.PostingDate.Format(time.DateOnly), olderYears, laterYears)
	}
	if err := w.bookings.read(voucher); err != nil {
		return err
	}
	into, err := w.part(ctx, voucher.FiscalYear, w.bookings.rows)
	if err != nil {
		return err
	}
	return into.write(voucher.PostingDate, w.bookings.bytes, w.bookings.rows)
}

// part gives the part of a fiscal year that has room for as many rows: those of a voucher stay together.
func (w *writer) part(ctx context.Context, year, rows int) (*part, error) {
	p, open := w.parts[year]
	if open && p.rows+rows <= maxRows {
		return p, nil
	}
	if open {
		if err := w.finish(ctx, p); err != nil {
			return nil, err
		}
	}
	w.count[year]++
	p, err := w.newPart(ctx, year)
	if err != nil {
		return nil, err
	}
	w.parts[year], w.opened = p, append(w.opened, p)
	return p, nil
}

// Close implements exporters.Writer.
func (w *writer) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, p := range w.opened {
		if err := w.finish(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// name of the next part of a fiscal year: the first file of all has the plain name, others have their year in it, and
// their number where a year has several.
func (w *writer) name(year int) string {
	name := w.options.FileName
	if name == "" {
		name = "EXTF_" + w.batch.Run + ".csv"
	}
	if len(w.opened) == 0 {
		return name
	}
	name = fmt.Sprintf("%s-%d", strings.TrimSuffix(name, ".csv"), year)
	if w.count[year] > 1 {
		name = fmt.Sprintf("%s-%d", name, w.count[year])
	}
	return name + ".csv"
}
