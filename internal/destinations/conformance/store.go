package conformance

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
)

// TestStore reads what a destination has written, as receipts are read. The keys of the login are those of TryOpen.
func TestStore(t *testing.T, of destinations.Type, spec v1alpha1.ExportDestinationSpec, login map[string][]byte) {
	t.Helper()
	writes := Open(t, of, spec, login)
	registry, err := destinations.NewRegistry(of)
	must(t, err)
	destination := &v1alpha1.ExportDestination{Spec: spec}
	destination.Namespace, destination.Name = "acme", "finance"
	store, err := registry.OpenStore(t.Context(), destination, login, Policy(t))
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })

	t.Run("an object is read as it was written, with its size", func(t *testing.T) {
		for _, content := range []string{"", "content"} {
			Subject{Destination: writes}.PutText(t, Key, content)
			size, err := store.Size(t.Context(), Key)
			if err != nil || size != int64(len(content)) {
				t.Errorf("the size is %d (%v), want %d", size, err, len(content))
			}
			opened, err := store.Open(t.Context(), Key)
			must(t, err)
			if read, err := io.ReadAll(opened); string(read) != content || err != nil {
				t.Errorf("it reads %q (%v), want %q", read, err, content)
			}
			must(t, opened.Close())
		}
	})
	t.Run("what is not there, or could mean another place, is not found", func(t *testing.T) {
		long := strings.Repeat("x", 300) // longer than the name of a file may be, and than a key where it is repeated
		for _, key := range []string{"acme/other.csv", "../secret", "/etc/passwd", "a/../" + Key, "a//b", "a\nb", "", ".", "acme/" + long, strings.Repeat(long+"/", 3) + long[:120]} {
			opened, err := store.Open(t.Context(), key)
			_, sizeErr := store.Size(t.Context(), key)
			for _, err := range []error{err, sizeErr} {
				if !errors.Is(err, destinations.ErrNotFound) {
					t.Errorf("%q: %v (%v), want ErrNotFound", key, err, opened)
				}
			}
		}
	})
	t.Run("a directory is no object", func(t *testing.T) {
		for _, err := range []error{second(store.Open(t.Context(), "acme/monthly")), second(store.Size(t.Context(), "acme/monthly"))} {
			if !errors.Is(err, destinations.ErrNotFound) && !errors.Is(err, destinations.ErrOccupied) {
				t.Errorf("%v, want ErrNotFound or ErrOccupied", err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
