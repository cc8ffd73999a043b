package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

const (
	fewVouchers, manyVouchers = 10_000, 100_000
	// memorySlack is what a longer artifact may take more than a shorter one, in bytes: buffers, not vouchers. Six bytes
	// kept of each voucher are more.
	memorySlack = 512 << 10
	// sampleEvery is how much is written between two looks at the heap, in bytes.
	sampleEvery = 1 << 20
)

// TestMemory checks that an exporter takes no more memory for 100,000 vouchers than for 10,000: it measures what is live on
// the heap all through the artifact. The heap is the process's, so the test that calls it must not be parallel.
func TestMemory(t *testing.T, exporter exporters.Exporter, options []byte) {
	t.Setenv("LEDGERPORT_CONFORMANCE", "memory") // panics in a parallel test
	few, many := memoryOf(t, exporter, options, fewVouchers), memoryOf(t, exporter, options, manyVouchers)
	if many > few+memorySlack {
		t.Errorf("%d vouchers take %s on the heap, %d take %s: an artifact must not keep its vouchers (Sink.Scratch is for a body whose head comes last)",
			fewVouchers, kib(few), manyVouchers, kib(many))
	}
}

// memoryOf returns the most that was live on the heap while so many vouchers were exported, more than before, in bytes.
func memoryOf(t *testing.T, exporter exporters.Exporter, options []byte, vouchers int) uint64 {
	books := Books("SEK")
	claim := ordinaryClaim(books.Currency)
	claim.Description = "Customer visit" // what every format has
	for i := range claim.Lines {
		claim.Lines[i].Description, claim.Lines[i].Dimensions = "Train", nil
	}
	voucher := Map(t, books, []*ledger.Claim{claim})[0]
	sink := &measuring{directory: t.TempDir()}
	sink.sample()
	before := sink.peak
	writer, err := exporter.Begin(t.Context(), Batch(books, options), sink)
	if err != nil {
		t.Fatal(err)
	}
	for i := range vouchers {
		voucher.Number, voucher.ClaimID = int64(i+1), "claim-"+strconv.Itoa(i)
		if err := writer.Write(t.Context(), voucher); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	sink.sample()
	runtime.KeepAlive(writer)
	return sink.peak - before
}

func kib(bytes uint64) string { return fmt.Sprintf("%d KiB", bytes>>10) }

// measuring is a sink on disk that looks at the heap while it is written.
type measuring struct {
	directory string
	files     int
	unseen    int    // bytes since the last look
	peak      uint64 // of what was live on the heap, in bytes
}

// Create implements exporters.Sink.
func (m *measuring) Create(context.Context, string, string) (io.WriteCloser, error) { return m.open() }

// Scratch implements exporters.Sink.
func (m *measuring) Scratch(context.Context) (exporters.Scratch, error) { return m.open() }

func (m *measuring) open() (*measuredFile, error) {
	m.files++
	file, err := os.Create(filepath.Join(m.directory, strconv.Itoa(m.files)))
	return &measuredFile{sink: m, file: file}, err
}

// sample looks at what is live on the heap. What is more than ever before has to be seen by two cycles of the garbage
// collector: one alone may count what became garbage while it ran.
func (m *measuring) sample() {
	if live := collect(); live > m.peak {
		m.peak = max(m.peak, min(live, collect()))
	}
	m.unseen = 0
}

// collect collects garbage, and returns what is still in use, in bytes.
func collect() uint64 {
	runtime.GC()
	return liveHeap()
}

type measuredFile struct {
	sink *measuring
	file *os.File
}

// Write implements io.Writer.
func (f *measuredFile) Write(p []byte) (int, error) {
	if f.sink.unseen += len(p); f.sink.unseen >= sampleEvery {
		f.sink.sample()
	}
	return f.file.Write(p)
}

// WriteTo implements exporters.Scratch.
func (f *measuredFile) WriteTo(w io.Writer) (int64, error) {
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.Copy(w, io.LimitReader(f.file, math.MaxInt64)) // without it, files would copy past Write
	return n, errors.Join(err, f.file.Close())
}

// Close implements io.Closer.
func (f *measuredFile) Close() error { return f.file.Close() }
