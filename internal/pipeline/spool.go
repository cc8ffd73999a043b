package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// spool keeps an artifact on local disk until it is whole, its totals are checked and its hash is on record. Its files
// have no name, so that nothing is left of them when the process ends, however it ends.
type spool struct {
	directory string
	files     []*spoolFile
	scratches []*os.File
}

type spoolFile struct {
	claims.File
	content *os.File
	hash    hash.Hash
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
	content, err := s.unnamed()
	if err != nil {
		return nil, err
	}
	file := &spoolFile{File: claims.File{Name: name, MediaType: mediaType}, content: content, hash: sha256.New()}
	s.files = append(s.files, file)
	return file, nil
}

// Scratch implements exporters.Sink.
func (s *spool) Scratch(context.Context) (exporters.Scratch, error) { return s.scratch() }

func (s *spool) scratch() (*scratch, error) {
	content, err := s.unnamed()
	if err != nil {
		return nil, err
	}
	s.scratches = append(s.scratches, content)
	return &scratch{content: content}, nil
}

// unnamed makes a file that is gone when it is closed.
func (s *spool) unnamed() (*os.File, error) {
	content, err := os.CreateTemp(s.directory, "ledgerport-spool-")
	if err != nil {
		return nil, spoolFailure(err)
	}
	return content, os.Remove(content.Name())
}

// scratch is content on disk that an exporter copies into a file of its artifact.
type scratch struct {
	content *os.File
	size    int64
}

// Write implements io.Writer.
func (s *scratch) Write(p []byte) (int, error) {
	n, err := s.content.Write(p)
	s.size += int64(n)
	if err != nil {
		return n, spoolFailure(err)
	}
	return n, nil
}

// WriteTo implements io.WriterTo.
func (s *scratch) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, s.reader()) }

// reader gives the content from its beginning.
func (s *scratch) reader() io.Reader { return io.NewSectionReader(s.content, 0, s.size) }

// Write implements io.Writer.
func (f *spoolFile) Write(p []byte) (int, error) {
	n, err := f.content.Write(p)
	f.hash.Write(p[:n])
	f.Size += int64(n)
	if err != nil {
		return n, spoolFailure(err)
	}
	return n, nil
}

// Close implements io.Closer: the file is complete, and can be read.
func (f *spoolFile) Close() error {
	f.SHA256 = hex.EncodeToString(f.hash.Sum(nil))
	return nil
}

// reader gives the content from its beginning.
func (f *spoolFile) reader() io.Reader {
	return io.NewSectionReader(f.content, 0, f.Size)
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
	for _, file := range s.files {
		_ = file.content.Close() // nothing can be lost: the content is either delivered or not wanted
	}
	for _, content := range s.scratches {
		_ = content.Close() // what was wanted of it was copied
	}
	s.files, s.scratches = nil, nil
}

func spoolFailure(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return failure.Transient(v1alpha1.ReasonExporterFailed, err,
			"the operator's spool directory is full; give its volume more room")
	}
	return failure.Transient(v1alpha1.ReasonExporterFailed, err,
		"the operator's spool directory can not be written; see --spool-directory")
}
