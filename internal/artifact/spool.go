// Package artifact keeps what is delivered: its files, on local disk until they are, the figures that they come to, and the
// manifest that says what they are. It knows of no run, database or destination.
package artifact

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
	"github.com/ledgerport/ledgerport/internal/failure"
)

// File is one file of an artifact.
type File struct {
	Name      string `json:"name"`
	MediaType string `json:"mediaType"`
	// Size in bytes.
	Size int64 `json:"size"`
	// SHA256 in hexadecimal.
	SHA256 string `json:"sha256"`
}

// Spool keeps an artifact on local disk until it is whole, its totals are checked and its hash is recorded.
type Spool struct {
	directory string
	space     *Space
	namespace string
	taken     int64        // bytes of the space
	ended     func() error // why nothing is to be written any more; nil without such a reason
	files     []*spoolFile
	contents  []*Content // of the files, and what is scratch
}

// NewSpool keeps an artifact of a namespace in a directory, as far as the space has room, and until ended returns an error. The
// directory is the system's for temporary files if it is empty, and a space that is nil has no bounds.
func NewSpool(directory string, space *Space, namespace string, ended func() error) *Spool {
	return &Spool{directory: directory, space: space, namespace: namespace, ended: ended}
}

// bounded writes to a file what there is room for, and nothing after the attempt's end: whatever an exporter is doing then,
// it soon writes.
type bounded struct {
	spool *Spool
	file  *os.File
}

// Write implements io.Writer.
func (b bounded) Write(p []byte) (int, error) {
	if err := b.spool.space.take(b.spool.namespace, int64(len(p)), b.spool.taken); err != nil {
		return 0, err
	}
	b.spool.taken += int64(len(p))
	return b.file.Write(p)
}

type spoolFile struct {
	File
	*Content
	hash hash.Hash
}

// Create implements exporters.Sink.
func (s *Spool) Create(_ context.Context, name, mediaType string) (io.WriteCloser, error) {
	if name == "" || name == ManifestName || strings.ContainsAny(name, "/\\\x00") || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("%q cannot be the name of a file of an artifact", name)
	}
	if slices.ContainsFunc(s.files, func(f *spoolFile) bool { return f.Name == name }) {
		return nil, fmt.Errorf("the artifact has a file %q already", name)
	}
	return s.Add(name, mediaType)
}

// Add begins a file that no exporter writes.
func (s *Spool) Add(name, mediaType string) (io.WriteCloser, error) {
	content, err := s.NewContent()
	if err != nil {
		return nil, err
	}
	file := &spoolFile{File: File{Name: name, MediaType: mediaType}, Content: content, hash: sha256.New()}
	s.files = append(s.files, file)
	return file, nil
}

// Write implements io.Writer.
func (f *spoolFile) Write(p []byte) (int, error) {
	n, err := f.Content.Write(p)
	f.hash.Write(p[:n])
	f.Size += int64(n)
	return n, err
}

// Close implements io.Closer: the file is complete, and can be read.
func (f *spoolFile) Close() error {
	f.SHA256 = hex.EncodeToString(f.hash.Sum(nil))
	return f.Complete()
}

// Scratch implements exporters.Sink.
func (s *Spool) Scratch(context.Context) (exporters.Scratch, error) {
	content, err := s.NewContent()
	return &scratch{content}, err
}

// scratch is content that an exporter copies into a file of its artifact.
type scratch struct{ *Content }

// WriteTo implements io.WriterTo.
func (s *scratch) WriteTo(w io.Writer) (int64, error) {
	if err := s.Complete(); err != nil {
		return 0, err
	}
	return io.Copy(w, s.Reader())
}

// Content is on disk, compressed: accounting formats repeat themselves, and what goes to the disk is a fraction of what is written.
type Content struct {
	spool      *Spool
	file       *os.File
	compressed *s2.Writer // nil once the content is complete
}

// blockSize is what is compressed at once, in bytes, and held in memory twice for each content that is being written: a payment
// order has one for each currency.
const blockSize = 64 << 10

// NewContent makes a file without a name, so that nothing is left of it when the process ends, however it ends.
func (s *Spool) NewContent() (*Content, error) {
	file, err := os.CreateTemp(s.directory, "ledgerport-spool-")
	if err != nil {
		return nil, spoolFailure(err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, spoolFailure(errors.Join(err, file.Close()))
	}
	c := &Content{s, file, s2.NewWriter(bounded{s, file}, s2.WriterBlockSize(blockSize), s2.WriterConcurrency(1))}
	s.contents = append(s.contents, c)
	return c, nil
}

// Write implements io.Writer.
func (c *Content) Write(p []byte) (int, error) {
	if c.compressed == nil {
		return 0, os.ErrClosed
	}
	if c.spool.ended != nil {
		if err := c.spool.ended(); err != nil {
			return 0, err
		}
	}
	n, err := c.compressed.Write(p)
	return n, spoolFailure(err)
}

// Complete lets readers have all that was written, and frees the memory that writing takes. Nothing is written any more.
func (c *Content) Complete() error {
	if c.compressed == nil {
		return nil
	}
	err := c.compressed.Close()
	c.compressed = nil
	return spoolFailure(err)
}

// Reader returns content that is complete, from its beginning.
func (c *Content) Reader() io.Reader {
	return s2.NewReader(io.NewSectionReader(c.file, 0, math.MaxInt64), s2.ReaderMaxBlockSize(blockSize))
}

// Empty reports whether there are no files.
func (s *Spool) Empty() bool { return len(s.files) == 0 }

// Reader returns a file that is complete, from its beginning, by its place in Files.
func (s *Spool) Reader(file int) io.Reader { return s.files[file].Reader() }

// Files describes the files, in the order in which they were created.
func (s *Spool) Files() []File {
	records := make([]File, 0, len(s.files))
	for _, file := range s.files {
		records = append(records, file.File)
	}
	return records
}

// DropManifest takes the manifest away from the files of an artifact that is not complete yet.
func (s *Spool) DropManifest() {
	s.files = slices.DeleteFunc(s.files, func(f *spoolFile) bool { return f.Name == ManifestName })
}

// Discard frees the disk.
func (s *Spool) Discard() {
	for _, content := range s.contents {
		_ = content.file.Close() // nothing can be lost: the content is either delivered or not wanted
	}
	s.files, s.contents = nil, nil
	s.space.give(s.namespace, s.taken)
	s.taken = 0
}

func spoolFailure(err error) error {
	var failed *failure.Error
	switch {
	case err == nil, errors.As(err, &failed):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return failure.Transient(v1alpha1.ReasonSpoolFull, err,
			"the operator's spool directory is full; give its volume more room")
	}
	return failure.Transient(v1alpha1.ReasonExporterFailed, err,
		"the operator's spool directory cannot be written; see --spool-directory")
}
