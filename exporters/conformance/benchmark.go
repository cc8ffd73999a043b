package conformance

import (
	"context"
	"io"
	"strconv"
	"testing"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// Benchmark exports vouchers of three lines, one of them with tax, and reports what one voucher takes.
func Benchmark(b *testing.B, exporter exporters.Exporter, options []byte) {
	books := Books("SEK")
	voucher := Map(b, books, []*ledger.Claim{ordinaryClaim(books.Currency)})[0]
	writer, err := exporter.Begin(b.Context(), Batch(books, options), discard{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		voucher.Number++
		voucher.ClaimID = "claim-" + strconv.FormatInt(voucher.Number, 10)
		if err := writer.Write(b.Context(), voucher); err != nil {
			b.Fatal(err)
		}
	}
	if err := writer.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// discard is a sink without a disk.
type discard struct{ io.Writer }

// Create implements exporters.Sink.
func (discard) Create(context.Context, string, string) (io.WriteCloser, error) {
	return discard{io.Discard}, nil
}

// Scratch implements exporters.Sink.
func (discard) Scratch(context.Context) (exporters.Scratch, error) { return discard{io.Discard}, nil }

// WriteTo implements exporters.Scratch: nothing was kept.
func (discard) WriteTo(io.Writer) (int64, error) { return 0, nil }

// Close implements io.Closer.
func (discard) Close() error { return nil }
