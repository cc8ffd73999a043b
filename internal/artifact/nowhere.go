package artifact

import (
	"context"
	"io"

	"github.com/ledgerport/ledgerport/exporters"
)

// Nowhere is a sink of files that nobody reads.
type Nowhere struct{}

// Create implements exporters.Sink.
func (Nowhere) Create(context.Context, string, string) (io.WriteCloser, error) { return Nowhere{}, nil }

// Scratch implements exporters.Sink.
func (Nowhere) Scratch(context.Context) (exporters.Scratch, error) { return Nowhere{}, nil }

// Write implements io.Writer.
func (Nowhere) Write(content []byte) (int, error) { return len(content), nil }

// WriteTo implements io.WriterTo.
func (Nowhere) WriteTo(io.Writer) (int64, error) { return 0, nil }

// Close implements io.Closer.
func (Nowhere) Close() error { return nil }
