// Package csv writes vouchers as delimited text, one row for each posting, with columns that are CEL expressions: a new
// flat format needs options, not code.
package csv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// New gives the exporter of type csv.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "csv" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "1" }

// Validate implements exporters.Exporter.
func (exporter) Validate(raw []byte) error {
	o, err := decodeOptions(raw)
	if err != nil {
		return err
	}
	_, err = compileColumns(o.Columns)
	return err
}

// Begin implements exporters.Exporter.
func (exporter) Begin(ctx context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	o, err := decodeOptions(batch.Options)
	if err != nil {
		return nil, err
	}
	columns, err := compileColumns(o.Columns)
	if err != nil {
		return nil, err
	}
	name := o.FileName
	if name == "" {
		name = batch.Run + ".csv"
	}
	file, err := sink.Create(ctx, name, mediaType(o))
	if err != nil {
		return nil, err
	}
	w := &writer{
		columns: columns, cells: newCells(o), newline: lineEndings[o.LineEnding],
		row: row{batch: &batch, mark: o.DecimalMark[0]}, shared: make([]span, len(columns)),
		file: file,
	}
	w.open(o.Encoding)
	if err := w.writeHeader(o); err != nil {
		return nil, err
	}
	return w, nil
}

func mediaType(o *options) string {
	charset, header := o.Encoding, "absent"
	if charset == utf8BOM {
		charset = utf8Plain
	}
	if o.Header {
		header = "present"
	}
	return fmt.Sprintf("text/csv; charset=%s; header=%s", charset, header)
}

const bufferSize = 64 << 10

// writer writes one file.
type writer struct {
	columns []compiledColumn
	cells   *cells
	newline string
	row     row
	// rows of one voucher are complete before any of them is written, so that a held voucher leaves no trace.
	rows []byte
	// cellsOfVoucher has the cells that all rows of a voucher share; shared says where, by column.
	cellsOfVoucher []byte
	shared         []span

	out  *bufio.Writer
	utf  *transform.Writer // between out and file; nil for encodings of bytes
	file io.WriteCloser
}

type span struct{ from, to int }

// open puts buffer and, for UTF-16, conversion before the file.
func (w *writer) open(encoding string) {
	var to io.Writer = w.file
	if encoding == utf16LE {
		w.utf = transform.NewWriter(w.file, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder())
		to = w.utf
	}
	w.out = bufio.NewWriterSize(to, bufferSize)
	if encoding == utf8BOM {
		_, _ = w.out.WriteString("\ufeff") // the buffer remembers an error
	}
}

func (w *writer) writeHeader(o *options) error {
	if !o.Header {
		return nil
	}
	var line []byte
	for i, c := range o.Columns {
		if i > 0 {
			line = append(line, w.cells.delimiter)
		}
		var err error
		if line, err = w.cells.appendText(line, c.Name); err != nil {
			return &exporters.OptionError{Field: fmt.Sprintf("columns[%d].name", i), Problem: err.Error()}
		}
	}
	_, err := w.out.Write(append(line, w.newline...))
	return err
}

// Write implements exporters.Writer.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.row.voucher, w.row.posting = voucher, nil
	w.rows, w.cellsOfVoucher = w.rows[:0], w.cellsOfVoucher[:0]
	if err := w.share(ctx); err != nil {
		return err
	}
	for i := range voucher.Postings {
		w.row.posting = &voucher.Postings[i]
		if err := w.appendRow(ctx); err != nil {
			return err
		}
	}
	_, err := w.out.Write(w.rows)
	return err
}

// share writes the cells that all rows of the voucher have.
func (w *writer) share(ctx context.Context) (err error) {
	for i := range w.columns {
		c := &w.columns[i]
		if c.perLine {
			continue
		}
		from := len(w.cellsOfVoucher)
		if w.cellsOfVoucher, err = c.appendCell(ctx, w.cellsOfVoucher, &w.row, w.cells); err != nil {
			return w.hold(ctx, c, err)
		}
		w.shared[i] = span{from, len(w.cellsOfVoucher)}
	}
	return nil
}

func (w *writer) appendRow(ctx context.Context) (err error) {
	start := len(w.rows)
	for i := range w.columns {
		c := &w.columns[i]
		if i > 0 {
			w.rows = append(w.rows, w.cells.delimiter)
		}
		if !c.perLine {
			w.rows = append(w.rows, w.cellsOfVoucher[w.shared[i].from:w.shared[i].to]...)
			continue
		}
		if w.rows, err = c.appendCell(ctx, w.rows, &w.row, w.cells); err != nil {
			return w.hold(ctx, c, err)
		}
	}
	if len(w.rows) == start {
		w.rows = append(w.rows, `""`...) // readers skip a line that is empty
	}
	w.rows = append(w.rows, w.newline...)
	return nil
}

// hold says why the voucher can not be a part of the file.
func (w *writer) hold(ctx context.Context, c *compiledColumn, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	where := "the voucher"
	if posting := w.row.posting; posting != nil {
		where = fmt.Sprintf("the %s posting", posting.Kind)
		if posting.LineNumber > 0 {
			where = fmt.Sprintf("%s of line %d", where, posting.LineNumber)
		}
	}
	hold := &ledger.Hold{ClaimID: w.row.voucher.ClaimID, Reason: ledger.HoldExpressionFailed}
	hold.Message = fmt.Sprintf("the column %q can not be evaluated for %s: %s", c.name, where, cause)
	var missing *missingCharacter
	if errors.As(cause, &missing) {
		hold.Reason = ledger.HoldUnsupportedByFormat
		hold.Message = fmt.Sprintf("the column %q of %s %s; export in utf-8, or change the text in the application", c.name, where, missing)
	}
	return hold
}

// Close implements exporters.Writer.
func (w *writer) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	if w.utf != nil {
		if err := w.utf.Close(); err != nil {
			return err
		}
	}
	return w.file.Close()
}
