package conformance

import (
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

// reading reads what was put, and content that is not what it is said to be.
func reading(t testing.TB, s Subject) {
	directory, name := destinations.Directory{Destination: s.Destination, Path: path.Dir(Key)}, path.Base(Key)
	long := strings.Repeat("content ", 100_000)
	for _, content := range []string{long, "", "content"} {
		s.PutText(t, Key, content)
		if read, err := readAll(t, directory, name, Describe(content)); err != nil || read != content {
			t.Errorf("%d bytes are read, and %d were put: %v", len(read), len(content), err)
		}
		for _, other := range []string{content + "x", "other", strings.ToUpper(content) + " "} {
			if _, err := readAll(t, directory, name, Describe(other)); !destinations.IsOther(err) {
				t.Errorf("what is %d bytes long passes for %d bytes: %v", len(content), len(other), err)
			}
		}
	}
	opened, err := directory.Open(t.Context(), name, Describe("content"))
	must(t, err)
	must(t, opened.Close()) // before its end
	if _, err := directory.Open(t.Context(), "other", Describe("content")); !errors.Is(err, destinations.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, err := directory.Open(t.Context(), "../"+name, Describe("content")); !errors.Is(err, destinations.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func readAll(t testing.TB, directory destinations.Directory, name string, object destinations.Object) (string, error) {
	t.Helper()
	content, err := directory.Open(t.Context(), name, object)
	must(t, err)
	read, err := io.ReadAll(content)
	must(t, content.Close())
	return string(read), err
}
