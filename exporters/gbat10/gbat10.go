// Package gbat10 writes vouchers as GBAT10, Mamut's import format for journals, which Tripletex, Visma, 24SevenOffice,
// PowerOffice and Xledger read too: 30 columns as Mamut's help page "Journal: GBAT10" and Tripletex's page on importing
// it describe them.
package gbat10

import (
	"cmp"
	"context"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/charset"
	"github.com/ledgerport/ledgerport/ledger"
)

// New returns the exporter of type gbat10.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "gbat10" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "4" }

// PostingOptions implements exporters.Posts.
func (exporter) PostingOptions() []string { return exporters.PostingOptions(&options{}) }

// Validate implements exporters.Exporter.
func (exporter) Validate(raw []byte) error {
	_, err := decodeOptions(raw)
	return err
}

const (
	// maxDecimals of an amount.
	maxDecimals = 2
	maxAccount  = 7
)

// Begin implements exporters.Exporter.
func (exporter) Begin(_ context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	o, err := decodeOptions(batch.Options)
	if err != nil {
		return nil, err
	}
	_, yearStart, err := exporters.ReadBooks(batch.Books, "GBAT10", maxDecimals)
	if err != nil {
		return nil, err
	}
	if err := o.checkBooks(batch.Books); err != nil {
		return nil, err
	}
	set, _ := charset.ByName(o.Encoding) // one of the choices
	return &writer{
		rows: rows{options: o, codes: exporters.NewSystemCodes("vatCodes", o.VATCodes, batch.Books), charset: set, yearStart: yearStart}, batch: batch, sink: sink,
		files: exporters.NewYears[*exporters.File](&batch, yearStart),
	}, nil
}

// writer writes one file for each fiscal year: systems ignore the columns of period and year (Tripletex), and take the whole
// file for one journal (Mamut).
type writer struct {
	rows  rows
	batch exporters.Batch
	sink  exporters.Sink
	files *exporters.Years[*exporters.File]
}

// Write implements exporters.Writer.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.files.Check(voucher); err != nil {
		return err
	}
	if err := w.rows.read(ctx, voucher); err != nil {
		return err
	}
	file, err := w.files.Get(voucher.FiscalYear, func() (*exporters.File, error) { return w.open(ctx, voucher.FiscalYear) })
	if err != nil {
		return err
	}
	_, err = file.Write(w.rows.bytes)
	return err
}

// open begins the file of a fiscal year.
func (w *writer) open(ctx context.Context, year int) (*exporters.File, error) {
	name := w.files.FileName(cmp.Or(w.rows.options.FileName, w.batch.Run+".csv"), year, 1)
	return exporters.CreateFile(ctx, w.sink, name, "text/csv; charset="+w.rows.charset.Name()+"; header=absent")
}

// Close implements exporters.Writer.
func (w *writer) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, file := range w.files.Opened() {
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}
