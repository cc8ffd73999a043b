// Package inhouse writes vouchers for a ledger system of one's own: lines of ASCII, whose first says how many vouchers
// follow and what they sum to.
//
//	H|ACME|monthly-29934120|20261201|1|1700.00
//	V|E/2026/1|20261103|Customer visit
//	L|5800|1120.00
//	L|2641|120.00
//	L|2890|-1240.00
package inhouse

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// New returns the exporter of type in-house.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "in-house" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "1" }

// Validate implements exporters.Exporter.
func (exporter) Validate(raw []byte) error {
	_, err := decodeOptions(raw)
	return err
}

// Begin implements exporters.Exporter. The head of the file has totals, which only the end knows: vouchers go to a body.
func (exporter) Begin(ctx context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	o, err := decodeOptions(batch.Options)
	if err != nil {
		return nil, err
	}
	base, err := ledger.ParseCurrency(batch.Books.Currency)
	if err != nil {
		return nil, err
	}
	body, err := exporters.NewBody(ctx, sink)
	if err != nil {
		return nil, err
	}
	return &writer{options: o, batch: batch, base: base, sink: sink, body: body}, nil
}

// writer writes one file.
type writer struct {
	options  *options
	batch    exporters.Batch
	base     ledger.Currency
	sink     exporters.Sink
	body     *exporters.Body
	vouchers int
	debit    ledger.Amount
}

// Write implements exporters.Writer. A voucher that the format cannot have is held before anything of it is written.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if i := strings.IndexFunc(voucher.Text, unsupported); i >= 0 {
		return exporters.Unsupported(voucher, "the text has the character %U, which the ledger system lacks; change it in the application", []rune(voucher.Text[i:])[0])
	}
	debit, err := ledger.AddAmounts(w.debit, voucher.Debit())
	if err != nil {
		return err
	}
	w.vouchers++
	w.debit = debit
	fmt.Fprintf(w.body, "V|%s|%s|%s\n", voucher.ID(), voucher.PostingDate.Format("20060102"), voucher.Text)
	for i := range voucher.Postings {
		posting := &voucher.Postings[i]
		fmt.Fprintf(w.body, "L|%s|%s\n", posting.Account, posting.BaseAmount.Decimal(w.base))
	}
	_, err = w.body.Write(nil) // the buffer remembers an error
	return err
}

// unsupported characters are those beyond ASCII, and the separator.
func unsupported(r rune) bool { return r < ' ' || r > '~' || r == '|' }

// Close implements exporters.Writer: the head, then the body.
func (w *writer) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	file, err := w.sink.Create(ctx, cmp.Or(w.options.FileName, w.batch.Run+".txt"), "text/plain; charset=us-ascii")
	if err != nil {
		return err
	}
	head := fmt.Sprintf("H|%s|%s|%s|%d|%s\n", w.options.Company, w.batch.Run, w.batch.CreatedAt.Format("20060102"), w.vouchers, w.debit.Decimal(w.base))
	if _, err := io.WriteString(file, head); err != nil {
		return err
	}
	if _, err := w.body.WriteTo(file); err != nil {
		return err
	}
	return file.Close()
}
