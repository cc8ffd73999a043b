package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/klauspost/compress/s2"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// spool keeps an artifact on local disk until it is whole, its totals are checked and its hash is on record.
type spool struct {
	directory string
	files     []*spoolFile
	contents  []*content // of the files, and what is scratch
}

type spoolFile struct {
	claims.File
	*content
	hash hash.Hash
}

// Create implements exporters.Sink.
func (s *spool) Create(_ context.Context, name, mediaType string) (io.WriteCloser, error) {
	if name == "" || name == manifestName || strings.ContainsAny(name, "/\\\x00") || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("%q can not be the name of a file of an artifact", name)
	}
	if slices.ContainsFunc(s.files, func(f *spoolFile) bool { return f.Name == name }) {
		return nil, fmt.Errorf("the artifact has a file %q already", name)
	}
	return s.create(name, mediaType)
}

func (s *spool) create(name, mediaType string) (*spoolFile, error) {
	content, err := s.newContent()
	if err != nil {
		return nil, err
	}
	file := &spoolFile{File: claims.File{Name: name, MediaType: mediaType}, content: content, hash: sha256.New()}
	s.files = append(s.files, file)
	return file, nil
}

// Write implements io.Writer.
func (f *spoolFile) Write(p []byte) (int, error) {
	n, err := f.content.Write(p)
	f.hash.Write(p[:n])
	f.Size += int64(n)
	return n, err
}

// Close implements io.Closer: the file is complete, and can be read.
func (f *spoolFile) Close() error {
	f.SHA256 = hex.EncodeToString(f.hash.Sum(nil))
	return f.complete()
}

// Scratch implements exporters.Sink.
func (s *spool) Scratch(context.Context) (exporters.Scratch, error) { return s.scratch() }

func (s *spool) scratch() (*scratch, error) {
	content, err := s.newContent()
	return &scratch{content}, err
}

// scratch is content that an exporter copies into a file of its artifact.
type scratch struct{ *content }

// WriteTo implements io.WriterTo.
func (s *scratch) WriteTo(w io.Writer) (int64, error) {
	if err := s.complete(); err != nil {
		return 0, err
	}
	return io.Copy(w, s.reader())
}

// content is on disk, compressed: accounting formats repeat themselves, and what goes to the disk is a fraction of what is written.
type content struct {
	file       *os.File
	compressed *s2.Writer // nil once the content is complete
}

// blockSize is what is compressed at once, in bytes, and held in memory twice for each content that is being written: a payment
// order has one for each currency.
const blockSize = 64 << 10

// newContent makes a file without a name, so that nothing is left of it when the process ends, however it ends.
func (s *spool) newContent() (*content, error) {
	file, err := os.CreateTemp(s.directory, "ledgerport-spool-")
	if err != nil {
		return nil, spoolFailure(err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, spoolFailure(errors.Join(err, file.Close()))
	}
	c := &content{file, s2.NewWriter(file, s2.WriterBlockSize(blockSize), s2.WriterConcurrency(1))}
	s.contents = append(s.contents, c)
	return c, nil
}

// Write implements io.Writer.
func (c *content) Write(p []byte) (int, error) {
	if c.compressed == nil {
		return 0, os.ErrClosed
	}
	n, err := c.compressed.Write(p)
	return n, spoolFailure(err)
}

// complete lets readers have all that was written, and frees the memory that writing takes. Nothing is written any more.
func (c *content) complete() error {
	if c.compressed == nil {
		return nil
	}
	err := c.compressed.Close()
	c.compressed = nil
	return spoolFailure(err)
}

// reader gives content that is complete, from its beginning.
func (c *content) reader() io.Reader {
	return s2.NewReader(io.NewSectionReader(c.file, 0, math.MaxInt64), s2.ReaderMaxBlockSize(blockSize))
}

// records describes the files, in the order in which they were created.
func (s *spool) records() []claims.File {
	records := make([]claims.File, 0, len(s.files))
	for _, file := range s.files {
		records = append(records, file.File)
	}
	return records
}

// discard frees the disk.
func (s *spool) discard() {
	for _, content := range s.contents {
		_ = content.file.Close() // nothing can be lost: the content is either delivered or not wanted
	}
	s.files, s.contents = nil, nil
}

func spoolFailure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return failure.Transient(v1alpha1.ReasonExporterFailed, err,
			"the operator's spool directory is full; give its volume more room")
	}
	return failure.Transient(v1alpha1.ReasonExporterFailed, err,
		"the operator's spool directory can not be written; see --spool-directory")
}
