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
	"sync"
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
	space     *SpoolSpace
	namespace string
	taken     int64        // bytes of the space
	ended     func() error // why nothing is to be written any more; nil without such a reason
	files     []*spoolFile
	contents  []*content // of the files, and what is scratch
}

// SpoolSpace is the disk that the artifacts of all attempts share. It is safe for concurrent use; nil has no bounds.
type SpoolSpace struct {
	// Attempt and Total bound what one attempt and all of them may take, in bytes. Those of one namespace may take half of all, or
	// what one attempt may: the rest is for others.
	Attempt, Total int64

	mu   sync.Mutex
	used map[string]int64 // by namespace
}

// take takes so many bytes for an attempt that has some already, or says why they are too many.
func (s *SpoolSpace) take(namespace string, more, taken int64) error {
	if s == nil {
		return nil
	}
	if taken+more > s.Attempt {
		return failure.Stalled(v1alpha1.ReasonSpoolFull, nil,
			"the artifact takes more than %d MiB, compressed, before it is delivered; run the export more often, or let whoever runs the operator raise --spool-limit", s.Attempt>>20)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := more
	for _, used := range s.used {
		all += used
	}
	switch share := max(s.Total/2, s.Attempt); {
	case all > s.Total:
		return failure.Transient(v1alpha1.ReasonSpoolFull, nil,
			"the artifacts that are being rendered take the %d MiB of --spool-total-limit; the run goes on when others have ended", s.Total>>20)
	case s.used[namespace]+more > share:
		return failure.Transient(v1alpha1.ReasonSpoolFull, nil,
			"the artifacts that are being rendered for this namespace take %d MiB, its share of --spool-total-limit; the run goes on when others of the namespace have ended", share>>20)
	}
	if s.used == nil {
		s.used = map[string]int64{}
	}
	s.used[namespace] += more
	return nil
}

// give gives bytes back that were taken.
func (s *SpoolSpace) give(namespace string, bytes int64) {
	if s == nil || bytes == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[namespace] -= bytes; s.used[namespace] == 0 {
		delete(s.used, namespace)
	}
}

// bounded writes to a file what there is room for, and nothing after the attempt's end: whatever an exporter is doing then,
// it soon writes.
type bounded struct {
	spool *spool
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
	claims.File
	*content
	hash hash.Hash
}

// Create implements exporters.Sink.
func (s *spool) Create(_ context.Context, name, mediaType string) (io.WriteCloser, error) {
	if name == "" || name == manifestName || strings.ContainsAny(name, "/\\\x00") || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("%q cannot be the name of a file of an artifact", name)
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
	spool      *spool
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
	c := &content{s, file, s2.NewWriter(bounded{s, file}, s2.WriterBlockSize(blockSize), s2.WriterConcurrency(1))}
	s.contents = append(s.contents, c)
	return c, nil
}

// Write implements io.Writer.
func (c *content) Write(p []byte) (int, error) {
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

// complete lets readers have all that was written, and frees the memory that writing takes. Nothing is written any more.
func (c *content) complete() error {
	if c.compressed == nil {
		return nil
	}
	err := c.compressed.Close()
	c.compressed = nil
	return spoolFailure(err)
}

// reader returns content that is complete, from its beginning.
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
