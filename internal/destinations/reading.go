package destinations

import (
	"context"
	"errors"
	"io"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Reader is a destination whose objects can be read again.
type Reader interface {
	// Open returns the content of the object of a key, or an error that is ErrNotFound or ErrOccupied. What it has is whatever the
	// server sends: it may be more than was put there, and need not end.
	Open(ctx context.Context, key string) (io.ReadCloser, error)
}

// Open implements Reader.
func (g guarded) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if ValidateKey(key) != nil {
		return nil, ErrNotFound
	}
	reader, reads := g.Destination.(Reader)
	if !reads {
		return nil, failure.OnDestination.Stalled(v1alpha1.ReasonInvalidSpec, nil, "a destination of this type cannot be read")
	}
	content, err := reader.Open(ctx, key)
	return content, used(err)
}

// Open returns the content of a name in the directory. It ends with an error instead of its end if it is not that of the object.
func (d Directory) Open(ctx context.Context, name string, object Object) (io.ReadCloser, error) {
	key, err := d.Key(name)
	reader, reads := d.Destination.(Reader)
	if err != nil || !reads {
		return nil, ErrNotFound
	}
	content, err := reader.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	return verified{newVerifier(contextReader{ctx, content}, object), content}, nil
}

// verified is content that is compared with what was recorded of it.
type verified struct {
	*verifier
	io.Closer
}

// Read implements io.Reader.
func (v verified) Read(p []byte) (int, error) {
	n, err := v.verifier.Read(p)
	if errors.Is(err, errContent) {
		err = v.err
	}
	return n, err
}
