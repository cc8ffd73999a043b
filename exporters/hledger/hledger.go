// Package hledger writes vouchers for plain-text accounting: as a journal that hledger (https://hledger.org) and ledger
// (https://ledger-cli.org) read, or as a file for beancount (https://beancount.github.io).
package hledger

import (
	"cmp"
	"context"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// New returns the exporter of type hledger.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "hledger" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "2" }

// PostingOptions implements exporters.Posts.
func (exporter) PostingOptions() []string { return exporters.PostingOptions(&options{}) }

// Validate implements exporters.Exporter.
func (exporter) Validate(raw []byte) error {
	_, err := decodeOptions(raw)
	return err
}

// dialect is how a program wants its file written. What it cannot have is an error that names it, without quoting it.
type dialect interface {
	// component makes a part of an account's name, between colons.
	component(text string) string
	// tagProblem says why a dimension of this name cannot be a tag, or is empty.
	tagProblem(name string) string
	// appendHead appends what comes before the first voucher.
	appendHead(to []byte, w *writer) []byte
	// appendCommodity declares a currency.
	appendCommodity(to []byte, currency ledger.Currency) []byte
	// appendTitle appends the first lines of a voucher: date, number, text.
	appendTitle(to []byte, voucher *ledger.Voucher) []byte
	// appendText appends a text in words, as a tag of the voucher or of the posting before.
	appendText(to []byte, level level, name, text string) []byte
	// appendCode appends a code, in which no character may be replaced.
	appendCode(to []byte, level level, name, code string) ([]byte, error)
}

// level of a tag.
type level bool

const (
	ofVoucher level = false
	ofPosting level = true
)

// Names of tags that are not dimensions of the chart.
const (
	claimTag    = "claim"
	claimantTag = "claimant"
	documentTag = "document_date"
	paymentTag  = "payment" // card or account that has paid
	reversesTag = "reverses"
	textTag     = "text"
)

const (
	mediaType = "text/plain; charset=utf-8"
	// maxText is how many bytes of a text or code are written: ledger reads no line of more than 4096.
	maxText = 2000
	// maxAccountName bounds the name of an account with those above it, in bytes: each posting has one.
	maxAccountName = 500
)

// Begin implements exporters.Exporter.
func (exporter) Begin(ctx context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	o, err := decodeOptions(batch.Options)
	if err != nil {
		return nil, err
	}
	w := &writer{options: o, batch: batch, dialect: journal{}, extension: ".journal", declared: map[string]bool{}}
	if o.Format == beancountFormat {
		w.dialect, w.extension = beancount{}, ".beancount"
	}
	if w.base, err = ledger.ParseCurrency(batch.Books.Currency); err != nil {
		return nil, err
	}
	if w.accounts, err = nameAccounts(o, w.dialect, batch.Books); err != nil {
		return nil, err
	}
	if w.dimensions, err = dimensionsOf(w.dialect, batch.Books); err != nil {
		return nil, err
	}
	if w.file, err = exporters.CreateFile(ctx, sink, cmp.Or(o.FileName, batch.Run+w.extension), mediaType); err != nil {
		return nil, err
	}
	if _, err = w.file.Write(w.dialect.appendHead(nil, w)); err != nil {
		return nil, err
	}
	w.declared[w.base.Code()] = true
	return w, nil
}

type writer struct {
	options    *options
	batch      exporters.Batch
	dialect    dialect
	extension  string
	base       ledger.Currency
	accounts   map[string]string // names in the file, by number
	dimensions []string          // of the chart, sorted
	declared   map[string]bool   // currencies

	voucher []byte // is complete before any of it is written, so that a held voucher leaves no trace
	file    *exporters.File
}

// Write implements exporters.Writer.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	if w.voucher, err = w.appendVoucher(ctx, w.voucher[:0], voucher); err != nil {
		return err
	}
	w.declared[voucher.Currency.Code()] = true
	_, err = w.file.Write(w.voucher)
	return err
}

// Close implements exporters.Writer.
func (w *writer) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return w.file.Close()
}
