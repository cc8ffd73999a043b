// Package conformance is what every exporter must pass, and the vouchers to test one with.
package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"testing"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// Artifact is what an exporter made.
type Artifact struct {
	// Files in the order in which the exporter created them.
	Files []File
	// Written are the vouchers in the files, with their numbers.
	Written []*ledger.Voucher
	// Held are the vouchers that the format could not represent.
	Held []*ledger.Hold
}

// File is one file of an artifact.
type File struct {
	Name, MediaType string
	Content         []byte
}

// Render exports vouchers as the pipeline does: it numbers them without gaps within each fiscal year, leaves out those
// that are held, and takes a voucher's memory back as soon as it is written.
func Render(ctx context.Context, exporter exporters.Exporter, batch exporters.Batch, vouchers []*ledger.Voucher) (Artifact, error) {
	return render(ctx, exporter, batch, vouchers, &memory{})
}

func render(ctx context.Context, exporter exporters.Exporter, batch exporters.Batch, vouchers []*ledger.Voucher, sink *memory) (Artifact, error) {
	writer, err := exporter.Begin(ctx, batch, sink)
	if err != nil {
		return Artifact{}, err
	}
	r := rendering{writer: writer, next: map[int]int64{}}
	for _, voucher := range vouchers {
		if err := r.write(ctx, voucher); err != nil {
			return r.artifact, err
		}
	}
	if err := writer.Close(ctx); err != nil {
		return r.artifact, err
	}
	r.artifact.Files, err = sink.files()
	return r.artifact, err
}

// rendering is an artifact in the making.
type rendering struct {
	writer   exporters.Writer
	next     map[int]int64 // vouchers by fiscal year
	artifact Artifact
}

// write lends the voucher to the exporter, and spoils what was lent when it comes back.
func (r *rendering) write(ctx context.Context, voucher *ledger.Voucher) error {
	numbered := *voucher
	numbered.Number = r.next[voucher.FiscalYear] + 1
	numbered.Receipts = slices.Clone(voucher.Receipts)
	numbered.NameReceipts()
	lent := numbered
	lent.Postings, lent.Receipts = slices.Clone(voucher.Postings), slices.Clone(numbered.Receipts)
	err := r.writer.Write(ctx, &lent)
	for i := range lent.Postings {
		lent.Postings[i] = ledger.Posting{Text: "taken back"}
	}
	clear(lent.Receipts)
	lent = ledger.Voucher{Text: "taken back", Postings: lent.Postings, Receipts: lent.Receipts}
	var hold *ledger.Hold
	if errors.As(err, &hold) {
		if hold.ClaimID != voucher.ClaimID {
			return fmt.Errorf("the claim %q is held in place of %q", hold.ClaimID, voucher.ClaimID)
		}
		r.artifact.Held = append(r.artifact.Held, hold)
		return nil
	}
	if err == nil {
		r.next[voucher.FiscalYear]++
		r.artifact.Written = append(r.artifact.Written, &numbered)
	}
	return err
}

// Setting tells the suite more about an exporter.
type Setting func(*suite)

// ReadBack returns a strict reader of the format, written from its specification and not from the exporter: every
// artifact is read back, each voucher in it must balance, and its totals must be those of the batch.
func ReadBack(read Reader) Setting { return func(s *suite) { s.read = read } }

// suite is one exporter with options under test.
type suite struct {
	exporter exporters.Exporter
	options  []byte
	read     Reader   // may be nil
	lacks    []string // kinds of vouchers
	names    bool     // receipts
}

// Test runs the suite on an exporter with options that it accepts. TestMemory is the other half of it.
func Test(t *testing.T, exporter exporters.Exporter, options []byte, settings ...Setting) {
	s := &suite{exporter: exporter, options: options}
	for _, set := range settings {
		set(s)
	}
	t.Run("it has a type that a registry accepts, and a version", func(t *testing.T) {
		if _, err := exporters.NewRegistry(exporter); err != nil || exporter.Version() == "" {
			t.Errorf("type %q, version %q: %v", exporter.Type(), exporter.Version(), err)
		}
	})
	t.Run("it accepts the options and names the one that is wrong", s.testOptions)
	for _, currency := range []string{"SEK", "JPY", "KWD"} {
		t.Run("with books in "+currency, func(t *testing.T) { s.testBooks(t, currency) })
	}
}

func (s *suite) testBooks(t *testing.T, currency string) {
	books := Books(currency)
	batch := Batch(books, s.options)
	vouchers := Vouchers(t, books)
	whole, err := Render(t.Context(), s.exporter, batch, vouchers)
	var refused *exporters.OptionError
	switch {
	case errors.As(err, &refused):
		t.Skipf("the format has no such books: %v", refused)
	case err != nil:
		t.Fatal(err)
	case len(whole.Files) == 0 || len(whole.Written) == 0:
		t.Fatalf("%d files, %d of %d vouchers held; want something to look at", len(whole.Files), len(whole.Held), len(vouchers))
	}
	t.Run("the totals are those of the batch", func(t *testing.T) { s.testTotals(t, whole) })
	t.Run("the same vouchers render to the same bytes, also at the same time", func(t *testing.T) { s.testSameBytes(t, batch, vouchers, whole) })
	t.Run("a held voucher says why and leaves no trace", func(t *testing.T) { s.testHeld(t, batch, vouchers, whole) })
	t.Run("every kind of voucher is in the files or held", func(t *testing.T) { s.testKinds(t, currency) })
	t.Run("receipts are named in the files, attached or ignored", func(t *testing.T) { s.testReceipts(t, currency) })
	t.Run("reversing vouchers are rendered like others", func(t *testing.T) { s.testRendered(t, batch, Reversals(t, whole.Written)) })
	t.Run("no vouchers make an artifact too", func(t *testing.T) { s.testRendered(t, batch, nil) })
	t.Run("credentials appear in no file", func(t *testing.T) {
		for _, file := range whole.Files {
			if bytes.Contains(file.Content, batch.Credentials["token"]) {
				t.Errorf("%s has the token in it", file.Name)
			}
		}
	})
	t.Run("an artifact that is cancelled is never complete", func(t *testing.T) { s.testCancellation(t, batch, vouchers) })
	t.Run("a file that cannot be written is an error", func(t *testing.T) { s.testFullDisk(t, batch, vouchers, whole) })
	if currency == "SEK" { // characters do not depend on the currency
		t.Run("every character in every text is rendered or held", s.testCharacters)
		t.Run("the longest text in every field is rendered or held", s.testLongest)
	}
}

func (s *suite) testSameBytes(t *testing.T, batch exporters.Batch, vouchers []*ledger.Voucher, whole Artifact) {
	for range 4 {
		t.Run("again", func(t *testing.T) {
			t.Parallel()
			again, err := Render(t.Context(), s.exporter, batch, vouchers)
			if err != nil || !reflect.DeepEqual(again, whole) {
				t.Errorf("the artifact differs (%v)", err)
			}
		})
	}
}

// testRendered renders vouchers, and reads the artifact back.
func (s *suite) testRendered(t *testing.T, batch exporters.Batch, vouchers []*ledger.Voucher) {
	artifact, err := Render(t.Context(), s.exporter, batch, vouchers)
	if err != nil {
		t.Fatal(err)
	}
	s.testTotals(t, artifact)
}

func (s *suite) testHeld(t *testing.T, batch exporters.Batch, vouchers []*ledger.Voucher, whole Artifact) {
	held := map[string]bool{}
	for _, hold := range whole.Held {
		held[hold.ClaimID] = true
		if hold.Reason == "" || hold.Message == "" {
			t.Errorf("the hold %v lacks a reason or a message", hold)
		}
	}
	rest := slices.DeleteFunc(slices.Clone(vouchers), func(v *ledger.Voucher) bool { return held[v.ClaimID] })
	without, err := Render(t.Context(), s.exporter, batch, rest)
	if err != nil || len(without.Held) > 0 || !reflect.DeepEqual(without.Files, whole.Files) {
		t.Errorf("without the held vouchers the files differ (%v)", err)
	}
}

// testCancellation ends the context before anything, in the middle, and before Close: that and every later call fail.
func (s *suite) testCancellation(t *testing.T, batch exporters.Batch, vouchers []*ledger.Voucher) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Render(ended, s.exporter, batch, vouchers); !errors.Is(err, context.Canceled) {
		t.Errorf("before Begin: %v, want context.Canceled", err)
	}
	for _, after := range []int{1, len(vouchers) / 2, len(vouchers)} {
		ctx, cancel := context.WithCancel(t.Context())
		r := rendering{next: map[int]int64{}}
		var err error
		if r.writer, err = s.exporter.Begin(ctx, batch, &memory{}); err != nil {
			t.Fatal(err)
		}
		for i, voucher := range vouchers {
			if i == after {
				cancel()
			}
			if err := r.write(ctx, voucher); i < after && err != nil || i >= after && !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled after %d vouchers, Write of number %d: %v", after, i+1, err)
			}
		}
		cancel()
		if err := r.writer.Close(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled after %d vouchers, Close: %v, want context.Canceled", after, err)
		}
	}
}

// testFullDisk lets the disk fill up at the first byte, in the middle and at the last.
func (s *suite) testFullDisk(t *testing.T, batch exporters.Batch, vouchers []*ledger.Voucher, whole Artifact) {
	size := 0
	for _, file := range whole.Files {
		size += len(file.Content)
	}
	for _, room := range []int{0, size / 2, size - 1} {
		_, err := render(t.Context(), s.exporter, batch, vouchers, &memory{full: true, room: room})
		if !errors.Is(err, errFull) {
			t.Errorf("with room for %d of %d bytes: %v, want the error of the sink", room, size, err)
		}
	}
}

var errFull = errors.New("no room")

// memory is a sink that keeps files in memory.
type memory struct {
	created []*memoryFile
	full    bool // the next Write beyond room fails
	room    int
}

type memoryFile struct {
	sink            *memory
	name, mediaType string
	content         bytes.Buffer
	closed          bool
}

// Create implements exporters.Sink.
func (m *memory) Create(_ context.Context, name, mediaType string) (io.WriteCloser, error) {
	if err := exporters.CheckFileName("the file name", name); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(m.created, func(f *memoryFile) bool { return f.name == name }) {
		return nil, fmt.Errorf("there is a file %q already", name)
	}
	file := &memoryFile{sink: m, name: name, mediaType: mediaType}
	m.created = append(m.created, file)
	return file, nil
}

// Scratch implements exporters.Sink. It shares the room of the disk with the files.
func (m *memory) Scratch(context.Context) (exporters.Scratch, error) {
	return &memoryScratch{memoryFile{sink: m}}, nil
}

type memoryScratch struct{ file memoryFile }

// Write implements io.Writer.
func (s *memoryScratch) Write(p []byte) (int, error) { return s.file.Write(p) }

// WriteTo implements io.WriterTo.
func (s *memoryScratch) WriteTo(w io.Writer) (int64, error) { return s.file.content.WriteTo(w) }

// Write implements io.Writer.
func (f *memoryFile) Write(p []byte) (int, error) {
	if f.sink.full && len(p) > f.sink.room {
		return 0, errFull
	}
	f.sink.room -= len(p)
	return f.content.Write(p)
}

// Close implements io.Closer.
func (f *memoryFile) Close() error {
	f.closed = true
	return nil
}

func (m *memory) files() ([]File, error) {
	files := make([]File, 0, len(m.created))
	for _, file := range m.created {
		if !file.closed {
			return nil, fmt.Errorf("the file %q was not closed", file.name)
		}
		files = append(files, File{Name: file.name, MediaType: file.mediaType, Content: file.content.Bytes()})
	}
	return files, nil
}
