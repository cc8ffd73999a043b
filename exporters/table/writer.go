package table

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/charset"
	"github.com/ledgerport/ledgerport/ledger"
)

const bufferSize = 64 << 10

// Writer writes one file.
type Writer struct {
	columns []compiledColumn
	cells   format
	row     row
	// rows of one voucher are complete before any of them is written, so that a held voucher leaves no trace.
	rows []byte
	// cellsOfVoucher has the cells that all rows of a voucher share.
	cellsOfVoucher []byte
	runs           []run

	out  *bufio.Writer
	utf  *transform.Writer // between out and file; nil for encodings of bytes
	file io.WriteCloser
}

// run is columns beside each other that differ from row to row, or that all rows of a voucher share.
type run struct {
	columns []compiledColumn
	perLine bool
	// from and to say where the cells are in cellsOfVoucher, if they are shared.
	from, to int
}

func runsOf(columns []compiledColumn) (runs []run) {
	for start := 0; start < len(columns); {
		end := start + 1
		for end < len(columns) && columns[end].perLine == columns[start].perLine {
			end++
		}
		runs = append(runs, run{columns: columns[start:end], perLine: columns[start].perLine})
		start = end
	}
	return runs
}

// Begin creates the file of a batch, of that name, and writes its header. The layout is one that Check admits.
func Begin(ctx context.Context, batch *exporters.Batch, l *Layout, sink exporters.Sink, name string) (*Writer, error) {
	columns, err := compileColumns(l.Columns)
	if err != nil {
		return nil, err
	}
	year, err := ledger.ParseFiscalYearStart(batch.Books.FiscalYearStart)
	if err != nil {
		return nil, err
	}
	file, err := sink.Create(ctx, name, l.mediaType())
	if err != nil {
		return nil, err
	}
	w := &Writer{
		columns: columns, cells: newFormat(l),
		row: row{batch: batch, mark: l.DecimalMark[0], year: year}, runs: runsOf(columns), file: file,
	}
	room := exporters.MaxKept
	for i := range columns {
		room -= columns[i].fix(ctx, &w.row, room)
	}
	w.open(l.Encoding)
	return w, w.writeHeader(l)
}

// open puts buffer and, for UTF-16, conversion before the file.
func (w *Writer) open(encoding string) {
	var to io.Writer = w.file
	if encoding == UTF16LE {
		w.utf = transform.NewWriter(w.file, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder())
		to = w.utf
	}
	w.out = bufio.NewWriterSize(to, bufferSize)
	if encoding == UTF8BOM {
		_, _ = w.out.WriteString("\ufeff") // the buffer remembers an error
	}
}

func (w *Writer) writeHeader(l *Layout) error {
	if !l.hasHeader() {
		return nil
	}
	line := w.cells.begin(nil)
	for i := range w.columns {
		if i > 0 {
			line = w.cells.between(line)
		}
		c := compiledColumn{free: true, pad: ' '}
		if l.Format == Fixed {
			c.width = w.columns[i].width
		}
		var err error
		if line, err = w.cells.text(line, &c, l.Columns[i].Name); err != nil {
			return &exporters.OptionError{Field: fmt.Sprintf("columns[%d].name", i), Problem: err.Error()}
		}
	}
	_, err := w.out.Write(w.cells.end(line, 0))
	return err
}

// Write implements exporters.Writer.
func (w *Writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
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
func (w *Writer) share(ctx context.Context) (err error) {
	for i := range w.runs {
		r := &w.runs[i]
		if r.perLine {
			continue
		}
		r.from = len(w.cellsOfVoucher)
		if w.cellsOfVoucher, err = w.appendCells(ctx, w.cellsOfVoucher, r.columns); err != nil {
			return err
		}
		r.to = len(w.cellsOfVoucher)
	}
	return nil
}

func (w *Writer) appendRow(ctx context.Context) (err error) {
	start := len(w.rows)
	w.rows = w.cells.begin(w.rows)
	for i := range w.runs {
		r := &w.runs[i]
		if i > 0 {
			w.rows = w.cells.between(w.rows)
		}
		if r.perLine {
			w.rows, err = w.appendCells(ctx, w.rows, r.columns)
		} else {
			w.rows = append(w.rows, w.cellsOfVoucher[r.from:r.to]...)
			err = w.check(ctx, w.rows)
		}
		if err != nil {
			return err
		}
	}
	w.rows = w.cells.end(w.rows, start)
	return nil
}

// appendCells appends the cells of columns beside each other.
func (w *Writer) appendCells(ctx context.Context, to []byte, columns []compiledColumn) (_ []byte, err error) {
	for i := range columns {
		if i > 0 {
			to = w.cells.between(to)
		}
		if to, err = columns[i].appendCell(ctx, to, &w.row, w.cells); err != nil {
			return to, w.hold(ctx, &columns[i], err)
		}
		if err := w.check(ctx, to); err != nil {
			return to, err
		}
	}
	return to, nil
}

// check bounds what the writer has of the voucher. It counts the cells that all rows share twice while they are made: each row has them.
func (w *Writer) check(ctx context.Context, made []byte) error {
	return exporters.CheckRendered(ctx, w.row.voucher, len(w.cellsOfVoucher)+len(made))
}

// hold says why the voucher cannot be a part of the file.
func (w *Writer) hold(ctx context.Context, c *compiledColumn, cause error) error {
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
	hold.Message = fmt.Sprintf("the column %q cannot be evaluated for %s: %s", c.name, where, cause)
	var missing *charset.MissingError
	var misfit unfit
	switch {
	case errors.As(cause, &missing):
		hold.Reason = ledger.HoldUnsupportedByFormat
		hold.Message = fmt.Sprintf("the column %q of %s has the character U+%04X, which %s lacks; export in utf-8, transliterate, or change the text in the application",
			c.name, where, missing.Character, missing.Charset)
	case errors.As(cause, &misfit):
		hold.Reason = ledger.HoldUnsupportedByFormat
		hold.Message = fmt.Sprintf("the column %q of %s %s", c.name, where, misfit)
	}
	return hold
}

// Close implements exporters.Writer.
func (w *Writer) Close(ctx context.Context) error {
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
