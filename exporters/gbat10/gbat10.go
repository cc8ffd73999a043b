// Package gbat10 writes vouchers as GBAT10, Mamut's import format for journals, which Tripletex, Visma, 24SevenOffice,
// PowerOffice and Xledger read too: 30 columns as Mamut's help page "Journal: GBAT10" and Tripletex's page on importing
// it describe them.
package gbat10

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/charset"
	"github.com/ledgerport/ledgerport/ledger"
)

// New gives the exporter of type gbat10.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "gbat10" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "1" }

// Validate implements exporters.Exporter.
func (exporter) Validate(raw []byte) error {
	_, err := decodeOptions(raw)
	return err
}

const (
	bufferSize = 64 << 10
	// maxDecimals of an amount.
	maxDecimals = 2
	maxAccount  = 7
)

// Begin implements exporters.Exporter.
func (exporter) Begin(ctx context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	o, err := decodeOptions(batch.Options)
	if err != nil {
		return nil, err
	}
	currency, err := ledger.ParseCurrency(batch.Books.Currency)
	if err != nil {
		return nil, err
	}
	if currency.Exponent() > maxDecimals {
		return nil, &exporters.OptionError{Problem: fmt.Sprintf("the books are in %s, which has %d decimals; GBAT10 has %d", currency.Code(), currency.Exponent(), maxDecimals)}
	}
	if err := o.checkBooks(batch.Books); err != nil {
		return nil, err
	}
	yearStart, err := ledger.ParseFiscalYearStart(batch.Books.FiscalYearStart)
	if err != nil {
		return nil, err
	}
	set, _ := charset.ByName(o.Encoding) // one of the choices
	name := o.FileName
	if name == "" {
		name = batch.Run + ".csv"
	}
	file, err := sink.Create(ctx, name, "text/csv; charset="+set.Name()+"; header=absent")
	if err != nil {
		return nil, err
	}
	return &writer{rows: rows{options: o, charset: set, yearStart: yearStart}, file: file, buffer: bufio.NewWriterSize(file, bufferSize)}, nil
}

// writer writes one file.
type writer struct {
	rows   rows
	buffer *bufio.Writer
	file   io.WriteCloser
}

// Write implements exporters.Writer.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.rows.read(voucher); err != nil {
		return err
	}
	_, err := w.buffer.Write(w.rows.bytes)
	return err
}

// Close implements exporters.Writer.
func (w *writer) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.buffer.Flush(); err != nil {
		return err
	}
	return w.file.Close()
}
