package sftp

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/panics"
)

// Open implements destinations.Reader. The connection lasts until the content is closed, or has been read to its end.
func (s *fileServer) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	content, into := io.Pipe()
	opened := make(chan error, 2) // is told once or twice, and asked once
	go func() {
		err := s.send(ctx, key, into, opened)
		cancel()
		_ = into.CloseWithError(err) // it returns nil
		opened <- err
	}()
	if err := <-opened; err != nil {
		return nil, err
	}
	return &reading{content, cancel}, nil
}

// send writes the content of a key, and tells when it has begun. It reads one packet after the other: the goroutines of the library that
// would read ahead catch no panic.
func (s *fileServer) send(ctx context.Context, key string, into io.Writer, opened chan<- error) (err error) {
	defer panics.Catch(&err)
	return s.session(ctx, func(client *remoteFiles) error {
		name := s.remote(key)
		entry, err := client.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return destinations.ErrNotFound
		case err != nil:
			return err
		case !entry.Mode().IsRegular():
			return destinations.ErrOccupied
		}
		file, err := client.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // only read
		opened <- nil
		_, err = io.Copy(into, struct{ io.Reader }{file})
		return err
	})
}

// reading is content that is on its way.
type reading struct {
	*io.PipeReader
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (r *reading) Close() error {
	r.cancel()
	return r.PipeReader.Close()
}
