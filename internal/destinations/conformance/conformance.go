// Package conformance is what every type of destination must pass.
package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

// Subject is an empty destination under test, with a view of what is really there.
type Subject struct {
	destinations.Destination
	// Listing returns every key, in order, hidden ones and unfinished uploads included.
	Listing func() []string
}

// Key is that of the object that tests put.
const Key = "acme/monthly/monthly-1/monthly-1.csv"

// Test puts a type through all that is promised of destinations, each on a destination of its own.
func Test(t *testing.T, of destinations.Type, prepare func(*testing.T) Subject) {
	t.Helper()
	for name, behaviour := range behaviours {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			behaviour(t, prepare(t))
		})
	}
	t.Run("a location names the key", func(t *testing.T) {
		t.Parallel()
		if at := prepare(t).Location(Key); !strings.HasSuffix(at, destinations.LocationEnd(Key)) || !strings.HasPrefix(at, of.Scheme+"://") {
			t.Errorf("location %q", at)
		}
	})
}

// behaviours are what every destination does, each of an empty one.
var behaviours = map[string]func(testing.TB, Subject){
	"a check leaves nothing":                              checkLeavesNothing,
	"an object is there with its hash":                    objectIsThere,
	"an object is replaced":                               objectIsReplaced,
	"an object can be read, and no other is taken for it": reading,
	"what is not there is not found":                      nothingIsNotFound,
	"removing what is not there is no error":              removing,
	"content that fails in the middle leaves nothing":     failingContent,
	"content that fails at once leaves nothing":           contentFailingAtOnce,
	"content that is not as announced leaves nothing":     otherContent,
	"a cancelled upload leaves nothing":                   cancelledUpload,
	"a cancelled upload leaves what was there before":     cancelledReplacement,
	"two writers at once leave one whole object":          twoWriters,
	"a large object arrives whole":                        largeObject,
	"an empty object is an object":                        emptyObject,
	"a key that could mean another place is refused":      badKeys,
	"an object of somebody else is not removed":           foreignObject,
	"a check marks a destination once":                    marking,
	"checks at once agree on a marker":                    markingAtOnce,
	"a check in a directory leaves nothing":               checkInADirectory,
}

func checkLeavesNothing(t testing.TB, s Subject) {
	must(t, Check(t.Context(), s))
	s.Holds(t)
}

func objectIsThere(t testing.TB, s Subject) {
	s.PutText(t, Key, "content")
	found, err := s.Stat(t.Context(), Key)
	if err != nil || found.SHA256 != Describe("content").SHA256 || found.Size != 7 {
		t.Errorf("found %+v (%v)", found, err)
	}
	s.Holds(t, Key)
}

func objectIsReplaced(t testing.TB, s Subject) {
	s.PutText(t, Key, "old")
	s.PutText(t, Key, "new content")
	if found, err := s.Stat(t.Context(), Key); err != nil || found.SHA256 != Describe("new content").SHA256 {
		t.Errorf("found %+v (%v), want the new content", found, err)
	}
	s.Holds(t, Key)
}

func nothingIsNotFound(t testing.TB, s Subject) {
	if _, err := s.Stat(t.Context(), Key); !errors.Is(err, destinations.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func removing(t testing.TB, s Subject) {
	s.PutText(t, Key, "content")
	for range 2 {
		must(t, s.Remove(t.Context(), Key, Describe("content")))
	}
	s.Holds(t)
}

func failingContent(t testing.TB, s Subject) {
	broken := errors.New("the disk is on fire")
	content := io.MultiReader(bytes.NewReader(make([]byte, 10<<20)), failingReader{broken})
	if err := s.Put(t.Context(), Key, destinations.Object{Size: 11 << 20}, content); !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's error", err)
	}
	s.Holds(t)
}

// contentFailingAtOnce fails as a database may that is asked before the first byte, and whose connection has ended.
func contentFailingAtOnce(t testing.TB, s Subject) {
	refused := fmt.Errorf("asking the database: %w", io.EOF)
	for _, content := range []string{"", "content"} {
		if err := s.Put(t.Context(), Key, Describe(content), failingReader{refused}); !errors.Is(err, refused) {
			t.Errorf("got %v, want the reader's error", err)
		}
	}
	s.Holds(t)
}

func otherContent(t testing.TB, s Subject) {
	for _, announced := range []destinations.Object{{Size: 7, SHA256: Describe("another").SHA256}, {Size: 8, SHA256: Describe("content").SHA256}} {
		if err := s.Put(t.Context(), Key, announced, strings.NewReader("content")); err == nil {
			t.Errorf("content that is not %+v was taken", announced)
		}
	}
	s.Holds(t)
}

func cancelledUpload(t testing.TB, s Subject) {
	cancelInTheMiddle(t, s)
	s.Holds(t)
}

func cancelledReplacement(t testing.TB, s Subject) {
	s.PutText(t, Key, "before")
	cancelInTheMiddle(t, s)
	s.Holds(t, Key)
	if found, err := s.Stat(t.Context(), Key); err != nil || found.SHA256 != Describe("before").SHA256 {
		t.Errorf("found %+v (%v), want what was there before", found, err)
	}
}

func cancelInTheMiddle(t testing.TB, s Subject) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	content := make([]byte, 30<<20)
	reader := io.MultiReader(bytes.NewReader(content[:20<<20]), CallReader(cancel), bytes.NewReader(content[20<<20:]))
	if err := s.Put(ctx, Key, Describe(string(content)), reader); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func twoWriters(t testing.TB, s Subject) {
	contents := []string{strings.Repeat("a", 6<<20), strings.Repeat("b", 6<<20)}
	var writers sync.WaitGroup
	for _, content := range contents {
		writers.Go(func() {
			if err := s.Put(t.Context(), Key, Describe(content), strings.NewReader(content)); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	found, err := s.Stat(t.Context(), Key)
	if err != nil || found.SHA256 != Describe(contents[0]).SHA256 && found.SHA256 != Describe(contents[1]).SHA256 {
		t.Errorf("found %+v (%v), want one of the two", found, err)
	}
	s.Holds(t, Key)
}

func largeObject(t testing.TB, s Subject) {
	content := strings.Repeat("0123456789abcdef", 40<<16)
	s.PutText(t, Key, content)
	if found, err := s.Stat(t.Context(), Key); err != nil || found.Size != int64(len(content)) {
		t.Errorf("found %+v (%v), want %d bytes", found, err, len(content))
	}
}

func emptyObject(t testing.TB, s Subject) {
	s.PutText(t, Key, "")
	if found, err := s.Stat(t.Context(), Key); err != nil || found.Size != 0 || found.SHA256 != Describe("").SHA256 {
		t.Errorf("found %+v (%v)", found, err)
	}
}

func badKeys(t testing.TB, s Subject) {
	for _, bad := range []string{"", "/etc/passwd", "../up", "a/../../up", "a//b", "a/./b", ".hidden", "a\\b", "a\nb", strings.Repeat("x", 1025), "a/\xff"} {
		if err := s.Put(t.Context(), bad, Describe("x"), strings.NewReader("x")); err == nil {
			t.Errorf("the key %.20q was taken", bad)
		}
		if _, err := s.Stat(t.Context(), bad); err == nil || errors.Is(err, destinations.ErrNotFound) {
			t.Errorf("the key %.20q was looked up: %v", bad, err)
		}
		if err := s.Remove(t.Context(), bad, Describe("x")); err == nil {
			t.Errorf("the key %.20q was removed", bad)
		}
	}
	s.Holds(t)
}

// foreignObject is under a name that a run has, and has other content than is recorded.
func foreignObject(t testing.TB, s Subject) {
	s.PutText(t, Key, "another's")
	for _, object := range []destinations.Object{Describe("content"), {Size: Describe("another's").Size}, {SHA256: Describe("another's").SHA256}, {}} {
		must(t, s.Remove(t.Context(), Key, object))
		s.Holds(t, Key)
	}
	must(t, s.Remove(t.Context(), Key, Describe("another's")))
	s.Holds(t)
}

func marking(t testing.TB, s Subject) {
	if id, err := s.Marker(t.Context()); id != "" || err != nil {
		t.Fatalf("before the first check the marker is %q (%v)", id, err)
	}
	s.Holds(t)
	first, err := s.Check(t.Context(), "")
	must(t, err)
	s.PutText(t, Key, "content")
	again, err := s.Check(t.Context(), "acme/monthly")
	must(t, err)
	id, err := s.Marker(t.Context())
	if len(id) != 26 || first.Marker != id || again.Marker != id || err != nil {
		t.Errorf("the checks found %q and %q, and there is %q (%v)", first.Marker, again.Marker, id, err)
	}
	if have := s.Listing(); !slices.Contains(have, destinations.MarkerName) {
		t.Errorf("there are %q", have)
	}
}

func markingAtOnce(t testing.TB, s Subject) {
	var checks sync.WaitGroup
	markers := make([]string, 4)
	for i := range markers {
		checks.Go(func() {
			checked, err := s.Check(t.Context(), "")
			if err != nil {
				t.Error(err)
			}
			markers[i] = checked.Marker
		})
	}
	checks.Wait()
	if different := slices.Compact(slices.Sorted(slices.Values(markers))); len(different) != 1 || different[0] == "" {
		t.Errorf("the checks found %q", markers)
	}
	s.Holds(t)
}

func checkInADirectory(t testing.TB, s Subject) {
	_, err := s.Check(t.Context(), "acme/monthly")
	must(t, err)
	s.Holds(t)
	for _, bad := range []string{"..", "/", "a/../../b", ".hidden", "a//b"} {
		if _, err := s.Check(t.Context(), bad); err == nil {
			t.Errorf("the directory %q was checked", bad)
		}
	}
}
