package conformance

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

// occupants are what else than a file can have an object's name, and what Stat says of each.
var occupants = map[string]struct {
	make func(at string) error
	says error
}{
	"a directory":                      {func(at string) error { return os.Mkdir(at, 0o777) }, destinations.ErrOccupied}, // #nosec G301 -- of a test, for a server with another user
	"a pipe":                           {func(at string) error { return syscall.Mkfifo(at, 0o666) }, destinations.ErrOccupied},
	"a link to nothing":                {func(at string) error { return os.Symlink("nowhere", at) }, destinations.ErrOccupied},
	"a link to a file":                 {func(at string) error { return os.Symlink("/etc/hostname", at) }, destinations.ErrOccupied},
	"a link to itself":                 {func(at string) error { return os.Symlink(filepath.Base(at), at) }, destinations.ErrOccupied},
	"a file in place of the directory": {func(at string) error { return replace(filepath.Dir(at), os.Create) }, destinations.ErrNotFound},
	"a pipe in place of the directory": {func(at string) error {
		return errors.Join(os.Remove(filepath.Dir(at)), syscall.Mkfifo(filepath.Dir(at), 0o666))
	}, destinations.ErrNotFound},
	"a file in place of the export's":   {func(at string) error { return replace(filepath.Dir(filepath.Dir(at)), os.Create) }, destinations.ErrNotFound},
	"nothing in place of the directory": {func(at string) error { return os.Remove(filepath.Dir(at)) }, destinations.ErrNotFound},
}

// TestOccupied is for destinations whose objects are files, in a directory that the test sees. It has what is no file where an object
// should be: that is told from an object and from nothing, and stays, so that a run can end.
func TestOccupied(t *testing.T, prepare func(*testing.T) (d destinations.Destination, directory string)) {
	t.Helper()
	for name, occupant := range occupants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, directory := prepare(t)
			at := filepath.Join(directory, filepath.FromSlash(Key))
			must(t, os.MkdirAll(filepath.Dir(at), 0o777)) // #nosec G301 -- as above
			must(t, occupant.make(at))
			if found, err := d.Stat(t.Context(), Key); !errors.Is(err, occupant.says) {
				t.Errorf("found %+v (%v), want %v", found, err, occupant.says)
			}
			must(t, d.Remove(t.Context(), Key, Describe("content")))
			if _, err := os.Lstat(at); (err == nil) != errors.Is(occupant.says, destinations.ErrOccupied) {
				t.Errorf("after the removal: %v", err)
			}
		})
	}
}

// replace removes an empty directory, with one in it, and makes something else of its name.
func replace(directory string, by func(string) (*os.File, error)) error {
	if err := os.RemoveAll(directory); err != nil {
		return err
	}
	file, err := by(directory)
	if err != nil {
		return err
	}
	return file.Close()
}
