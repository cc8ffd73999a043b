// Package sie writes vouchers as SIE type 4I, the format by which Swedish accounting systems import vouchers, as edition
// 4B of the specification (2008-09-30) of Föreningen SIE-Gruppen describes it.
package sie

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// New gives the exporter of type sie.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "sie" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "1" }

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
	currency, err := ledger.ParseCurrency(batch.Books.Currency)
	if err != nil {
		return nil, err
	}
	if currency.Exponent() > maxDecimals {
		return nil, &exporters.OptionError{Problem: fmt.Sprintf("the books are in %s, which has %d decimals; SIE files have at most %d",
			currency.Code(), currency.Exponent(), maxDecimals)}
	}
	yearStart, err := ledger.ParseFiscalYearStart(batch.Books.FiscalYearStart)
	if err != nil {
		return nil, err
	}
	w := &writer{options: o, batch: batch, sink: sink, yearStart: yearStart, year: yearStart.Year(batch.Cutoff), files: map[int]*file{}}
	// What does not depend on the year is written once, here, so that a wrong chart is known before the first voucher.
	w.identification, w.accounts, err = w.header(currency)
	return w, err
}

const (
	mediaType   = "text/plain; charset=cp437"
	maxDecimals = 2
	dateFormat  = "20060102"
	// maxObjects that a file declares: they are in memory.
	maxObjects = 20_000
	// olderYears and laterYears bound the number of files: how many fiscal years a voucher may be from the cutoff's.
	olderYears, laterYears = 9, 1
)

// writer writes one file for each fiscal year.
type writer struct {
	options   *options
	batch     exporters.Batch
	sink      exporters.Sink
	yearStart ledger.FiscalYearStart
	year      int // fiscal year of the cutoff

	// identification comes before the fiscal years in a file, accounts after them.
	identification, accounts []byte

	voucher []byte        // is complete before any of it is written, so that a held voucher leaves no trace
	found   []namedObject // of the voucher, where objects are declared
	files   map[int]*file
	opened  []*file // in the order in which they were created
}

// Write implements exporters.Writer.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if voucher.FiscalYear < w.year-olderYears || voucher.FiscalYear > w.year+laterYears {
		return exporters.Unsupported(voucher, "the posting date %s is not within %d fiscal years before and %d after that of the run; see spec.posting of the export",
			voucher.PostingDate.Format(time.DateOnly), olderYears, laterYears)
	}
	var err error
	w.found = w.found[:0]
	if w.voucher, err = w.appendVoucher(w.voucher[:0], voucher); err != nil {
		return err
	}
	into, err := w.file(ctx, voucher.FiscalYear)
	if err != nil {
		return err
	}
	if len(into.objects)+len(w.found) > maxObjects {
		return exporters.Unsupported(voucher, "the file would declare more than %d objects; leave them out by the option objects", maxObjects)
	}
	for _, found := range w.found {
		if _, known := into.objects[found.object]; !known {
			into.objects[found.object] = found.name
		}
	}
	_, err = into.buffer.Write(w.voucher)
	return err
}

// Close implements exporters.Writer.
func (w *writer) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, f := range w.opened {
		if err := w.finish(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// name of the file of a fiscal year: the first file has the plain name, others have their year in it.
func (w *writer) name(year int) string {
	name := w.options.FileName
	if name == "" {
		name = w.batch.Run + ".si"
	}
	if len(w.opened) == 0 {
		return name
	}
	extension := path.Ext(name)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, extension), year, extension)
}
