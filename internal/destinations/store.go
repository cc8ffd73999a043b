package destinations

import (
	"context"
	"errors"
	"io"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// Store is where others keep objects: a destination that is read, and not written. It is safe for concurrent use.
type Store interface {
	// Open returns the content of the object of a key, or an error that is ErrNotFound or ErrOccupied. What it has is whatever the
	// server sends: it may be more than Size has said, and need not end.
	Open(ctx context.Context, key string) (io.ReadCloser, error)
	// Size is that of the object of a key in bytes, without its content being read, or an error that is ErrNotFound or ErrOccupied.
	Size(ctx context.Context, key string) (int64, error)
	// Location of the object of a key, as a URL.
	Location(key string) string
	// Close frees what the store holds open.
	Close() error
}

// OpenStore opens what an ExportDestination of these types would write to, to be read. Keys that could mean another place than they
// say are not found.
func (r *Registry) OpenStore(ctx context.Context, destination *v1alpha1.ExportDestination, login map[string][]byte, policy *outbound.Policy) (Store, error) {
	t, err := r.Of(destination)
	if err != nil {
		return nil, err
	}
	opened, err := t.Open(ctx, destination, login, policy)
	if err != nil {
		return nil, err
	}
	store, reads := opened.(Store)
	if !reads {
		return nil, errors.Join(failure.Stalled(v1alpha1.ReasonInvalidSpec, nil, "destinations of type %s cannot be read", t.Name), opened.Close())
	}
	return guardedStore{store}, nil
}

// guardedStore finds nothing under a key that a destination would not take.
type guardedStore struct{ Store }

// Open implements Store.
func (g guardedStore) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if ValidateKey(key) != nil {
		return nil, ErrNotFound
	}
	return g.Store.Open(ctx, key)
}

// Size implements Store.
func (g guardedStore) Size(ctx context.Context, key string) (int64, error) {
	if ValidateKey(key) != nil {
		return 0, ErrNotFound
	}
	return g.Store.Size(ctx, key)
}
