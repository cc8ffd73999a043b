// Package csv writes vouchers as delimited text, as text of fixed widths or as JSON Lines: one row for each posting, with
// columns that are CEL expressions. A new flat format needs options, not code.
package csv

import (
	"cmp"
	"context"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/table"
)

// New returns the exporter of type csv.
func New() exporters.Exporter { return exporter{} }

type exporter struct{}

// Type implements exporters.Exporter.
func (exporter) Type() string { return "csv" }

// Version implements exporters.Exporter.
func (exporter) Version() string { return "2" }

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
	return table.Begin(ctx, &batch, o.layout(), sink, cmp.Or(o.FileName, batch.Run+extensions[o.Format]))
}

var extensions = map[string]string{table.Delimited: ".csv", table.Fixed: ".txt", table.JSONLines: ".jsonl"}
