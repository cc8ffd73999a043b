package filesystem

import (
	"context"
	"errors"
	"io"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

// Open implements destinations.Store.
func (f *filesystem) Open(_ context.Context, key string) (io.ReadCloser, error) {
	file, err := openFile(f.root, key)
	switch {
	case missing(err):
		return nil, destinations.ErrNotFound
	case errors.Is(err, errNoFile):
		return nil, destinations.ErrOccupied
	case err != nil:
		return nil, fileFailure(err, f.path)
	}
	return file, nil
}

// Size implements destinations.Store.
func (f *filesystem) Size(_ context.Context, key string) (int64, error) {
	entry, err := f.root.Stat(key)
	switch {
	case missing(err):
		return 0, destinations.ErrNotFound
	case err != nil:
		return 0, fileFailure(err, f.path)
	case !entry.Mode().IsRegular():
		return 0, destinations.ErrOccupied
	}
	return entry.Size(), nil
}
