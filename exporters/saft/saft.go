// Package saft writes vouchers as a Norwegian SAF-T Financial file, version 1.30: the standard audit file of the tax
// authority (Skatteetaten). It is an archive of a run that every auditor can read, and no import of an accounting system.
package saft

import (
	"cmp"
	"context"
	"time"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/xmldoc"
	"github.com/ledgerport/ledgerport/ledger"
)

// New returns the exporter of type saft.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "saft" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "3" }

// PostingOptions implements exporters.Posts.
func (exporter) PostingOptions() []string { return exporters.PostingOptions(&options{}) }

// Validate implements exporters.Exporter.
func (exporter) Validate(raw []byte) error {
	_, err := decodeOptions(raw)
	return err
}

// maxDecimals of SAFmonetaryType.
const maxDecimals = 2

// Begin implements exporters.Exporter.
func (exporter) Begin(ctx context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	o, err := decodeOptions(batch.Options)
	if err != nil {
		return nil, err
	}
	w := &writer{options: o, batch: batch, sink: sink, balances: map[string]ledger.Amount{}}
	if w.base, w.yearStart, err = exporters.ReadBooks(batch.Books, "SAF-T", maxDecimals); err != nil {
		return nil, err
	}
	if err := w.checkBooks(); err != nil {
		return nil, err
	}
	for _, account := range batch.Books.Accounts {
		w.balances[account.Number] = 0
	}
	w.body, err = exporters.NewBody(ctx, sink)
	return w, err
}

// writer keeps transactions in scratch space: the file says before them how many there are, their sums, the balances of the
// accounts, and the analyses that occur.
type writer struct {
	options   *options
	batch     exporters.Batch
	sink      exporters.Sink
	base      ledger.Currency
	yearStart ledger.FiscalYearStart

	body        *exporters.Body
	totals      totals
	balances    map[string]ledger.Amount // by account: debit less credit
	analyses    exporters.Kept[analysis, struct{}]
	transaction xmldoc.Piece
}

// totals of the transactions so far.
type totals struct {
	entries       int64
	debit, credit ledger.Amount
	first, last   time.Time // posting dates
}

// analysis is a code of an analysis type.
type analysis struct{ kind, id string }

// maxTotal has 18 digits, the most that a SAFmonetaryType has.
const maxTotal ledger.Amount = 999_999_999_999_999_999

// Write implements exporters.Writer.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sums, err := w.totals.plus(voucher)
	if err != nil {
		return err
	}
	err = w.makeTransaction(ctx, voucher)
	w.analyses.Settle(err == nil)
	if err != nil {
		return err
	}
	w.totals = sums
	for i := range voucher.Postings {
		w.balances[voucher.Postings[i].Account] += voucher.Postings[i].BaseAmount
	}
	_, err = w.body.Write(w.transaction.Bytes())
	return err
}

// plus adds a voucher, which must balance.
func (t totals) plus(voucher *ledger.Voucher) (totals, error) {
	if !voucher.Balanced() {
		return t, exporters.Unbalanced(voucher)
	}
	for i := range voucher.Postings {
		amount := voucher.Postings[i].BaseAmount
		if amount > 0 {
			t.debit += amount // the voucher's amounts are bounded by ledger.MaxAmount
		} else {
			t.credit -= amount
		}
		if t.debit > maxTotal || t.credit > maxTotal {
			return t, exporters.Unsupported(voucher, "with this claim the totals of the file would have more than 18 digits; a later run can take it")
		}
	}
	t.entries++
	if t.first.IsZero() || voucher.PostingDate.Before(t.first) {
		t.first = voucher.PostingDate
	}
	if voucher.PostingDate.After(t.last) {
		t.last = voucher.PostingDate
	}
	return t, nil
}

// Close implements exporters.Writer.
func (w *writer) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name := cmp.Or(w.options.FileName, "SAF-T Financial_"+w.options.RegistrationNumber+"_"+w.batch.CreatedAt.Format("20060102150405")+".xml")
	content, err := exporters.CreateFile(ctx, w.sink, name, xmldoc.MediaType)
	if err != nil {
		return err
	}
	if err := w.writeHead(content); err != nil {
		return err
	}
	if _, err := w.body.WriteTo(content); err != nil {
		return err
	}
	if _, err := content.WriteString("    </Journal>\n  </GeneralLedgerEntries>\n</AuditFile>\n"); err != nil {
		return err
	}
	return content.Close()
}
