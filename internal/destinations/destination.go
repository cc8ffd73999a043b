// Package destinations puts artifacts where an ExportDestination says: whole or not at all.
package destinations

import (
	"context"
	"errors"
	"io"
)

// ErrNotFound says that a destination has no object of that key.
var ErrNotFound = errors.New("no such object at the destination")

// Destination keeps objects under keys such as acme/monthly/monthly-29871360/monthly-29871360.csv: path elements
// separated by slashes, checked by ValidateKey. All methods honour the context's end and return *failure.Error for
// whatever a person may have to act on. A Destination is safe for concurrent use.
type Destination interface {
	// Check writes, reads back and removes a small object, so that a later Put can be expected to work.
	Check(ctx context.Context) error
	// Put stores what content gives under the key, whole or not at all: nothing is visible under the key before Put
	// returns nil, and nothing remains where it returns an error. An object that is there already is replaced.
	// The content must have exactly the size and hash of the object, or Put fails.
	Put(ctx context.Context, key string, object Object, content io.Reader) error
	// Stat describes the object of that key, its hash read from the destination, or returns an error that is ErrNotFound.
	Stat(ctx context.Context, key string) (Object, error)
	// Remove removes the object of that key. It is no error if there is none.
	Remove(ctx context.Context, key string) error
	// Location is the URL of a key, for people: file:///…, s3://bucket/… or sftp://user@host/….
	Location(key string) string
	// Close frees what the destination holds open.
	Close() error
}

// Object describes what is stored under a key.
type Object struct {
	// Size in bytes.
	Size int64
	// SHA256 of the content, in hexadecimal.
	SHA256 string
	// MediaType, such as text/csv; charset=utf-8. Files do not keep it.
	MediaType string
}
