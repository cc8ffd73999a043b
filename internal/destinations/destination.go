// Package destinations puts artifacts where an ExportDestination says: whole or not at all.
package destinations

import (
	"context"
	"errors"
	"io"
	"net/url"
)

var (
	// ErrNotFound says that a destination has no object of that key.
	ErrNotFound = errors.New("no such object at the destination")
	// ErrOccupied says that something other than an object has the key: a directory, a link, a pipe.
	ErrOccupied = errors.New("something other than a file has the name at the destination")
)

// Destination keeps objects under keys such as acme/monthly/monthly-29871360/monthly-29871360.csv: path elements
// separated by slashes, checked by ValidateKey. All methods honour the context's end and return *failure.Error for
// whatever a person may have to act on. A Destination is safe for concurrent use.
type Destination interface {
	// Place says in words which destination the spec names: kind, server, region, user, bucket and path.
	Place() string
	// Marker reads the random id that the first check gave the destination; empty if it has none. It writes nothing. What has
	// another marker is another destination, whatever its name.
	Marker(ctx context.Context) (string, error)
	// Check does in a directory what a run does there, and leaves nothing but the marker: it makes a directory below it, writes,
	// reads back and removes a small object, so that a later Put can be expected to work. The directory is a key, or empty for
	// the destination itself.
	Check(ctx context.Context, directory string) (Checked, error)
	// Put stores the content under the key, whole or not at all: nothing is visible under the key before Put
	// returns nil, and nothing remains where it returns an error. An object that is there already is replaced.
	// The content must have exactly the size and hash of the object, or Put fails.
	Put(ctx context.Context, key string, object Object, content io.Reader) error
	// Stat describes the object of that key, its hash read from the destination, or returns an error that is ErrNotFound or
	// ErrOccupied.
	Stat(ctx context.Context, key string) (Object, error)
	// Remove removes the object of that key if it has the size and hash of one, looked at in the same step. Anything else that
	// has the key stays. It is no error if there is none. What an unfinished Put has hidden beside it is removed in any case.
	Remove(ctx context.Context, key string, object Object) error
	// Location is the URL of a key, for people. It begins with the scheme of the type.
	Location(key string) string
	// Close frees what the destination holds open.
	Close() error
}

// Checked is what a check found that does not stop a run.
type Checked struct {
	// Marker of the destination; empty if it cannot have one.
	Marker string
	// Notes say what does not work, and no run needs, for people.
	Notes []string
}

// LocationEnd is what the location of a key ends with, at every destination.
func LocationEnd(key string) string { return (&url.URL{Path: "/" + key}).EscapedPath() }

// Object describes what is stored under a key.
type Object struct {
	// Size in bytes.
	Size int64
	// SHA256 of the content, in hexadecimal.
	SHA256 string
	// MediaType, such as text/csv; charset=utf-8. Files do not keep it.
	MediaType string
}

// Same reports whether two objects have the same content.
func (o Object) Same(other Object) bool { return o.Size == other.Size && o.SHA256 == other.SHA256 }
