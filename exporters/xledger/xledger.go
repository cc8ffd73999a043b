// Package xledger writes vouchers as the file import GL02b of Xledger: delimited text whose columns are data, because
// import definitions differ from tenant to tenant.
package xledger

import (
	"cmp"
	"context"
	"slices"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/table"
	"github.com/ledgerport/ledgerport/ledger"
)

// New returns the exporter of type xledger.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "xledger" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "4" }

// PostingOptions implements exporters.Posts.
func (exporter) PostingOptions() []string { return exporters.PostingOptions(&options{}) }

// Validate implements exporters.Exporter.
func (exporter) Validate(raw []byte) error {
	_, err := decodeOptions(raw)
	return err
}

// Begin implements exporters.Exporter.
func (exporter) Begin(ctx context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	o, err := decodeOptions(batch.Options)
	if err != nil {
		return nil, err
	}
	if err := exporters.CheckTaxCodes("taxRules", o.TaxRules, batch.Books); err != nil {
		return nil, err
	}
	rows, err := table.Begin(ctx, &batch, o.layout(), sink, cmp.Or(o.FileName, batch.Run+".csv"))
	if err != nil {
		return nil, err
	}
	return &writer{rows: rows, taxRules: o.TaxRules, codes: exporters.NewSystemCodes("taxRules", o.TaxRules, batch.Books), noTaxRule: o.NoTaxRule}, nil
}

// writer leaves the tax to Xledger where it has a rule for it and arrives at the tax on the receipt.
type writer struct {
	rows      *table.Writer
	taxRules  map[string]string
	codes     exporters.SystemCodes
	noTaxRule string
	voucher   ledger.Voucher
}

// Write implements exporters.Writer.
func (w *writer) Write(ctx context.Context, voucher *ledger.Voucher) error {
	postings := slices.Grow(w.voucher.Postings[:0], len(voucher.Postings))
	w.voucher = *voucher
	gross := false // the tax posting that follows is within the one before it
	for i := range voucher.Postings {
		posting := voucher.Postings[i]
		if posting.Kind == ledger.ReverseChargePosting || posting.Kind == ledger.TaxPosting && gross {
			continue // Xledger computes it
		}
		rule, mapped := w.taxRules[posting.TaxCode]
		owed := posting.IsReverseCharge()
		if _, _, deduction := voucher.SelfAssessed(i); owed && (!mapped || deduction == ledger.DeductedInPart) {
			return exporters.Unsupported(voucher, "the tax of %s is owed by reverse charge, and its tax code has no rule in the option taxRules, or is deducted in part; add the rule, or "+
				"let the chart split the line into a part with a tax code that deducts all, and one with a tax code of deductible 0", exporters.Where(&posting))
		}
		gross = mapped && posting.Kind == ledger.ExpensePosting && exporters.ComputesTax(&posting)
		if owed || gross {
			if err := w.codes.Check(voucher, &posting); err != nil {
				return err
			}
		}
		posting.TaxCode = w.noTaxRule
		if owed {
			posting.TaxCode = rule
		}
		if gross {
			posting.TaxCode = rule
			posting.Amount += posting.TaxAmount
			posting.BaseAmount += posting.BaseTaxAmount
			posting.TaxAmount, posting.BaseTaxAmount = 0, 0
		}
		postings = append(postings, posting)
	}
	w.voucher.Postings = postings
	return w.rows.Write(ctx, &w.voucher)
}

// Close implements exporters.Writer.
func (w *writer) Close(ctx context.Context) error { return w.rows.Close(ctx) }
