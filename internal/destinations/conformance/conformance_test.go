package conformance

import (
	"context"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// shelf is a destination in memory, as simple as can be, that can be made wrong.
type shelf struct {
	fault string

	mu   sync.Mutex
	held map[string]string
}

// Faults of a shelf.
const (
	keepsHalf      = "content that fails is kept"
	keepsOld       = "an object is not replaced"
	removesForeign = "an object is removed by its name alone"
	failsToRemove  = "removing what is not there is an error"
	seesNothing    = "what is not there is an empty object"
	leavesProbes   = "a check leaves its object"
	marksAnew      = "each check writes a marker"
	marksUnasked   = "reading the marker writes one"
	forgets        = "an object that is empty is not kept"
	readsNothing   = "what is not there is read as nothing"
)

func (s *shelf) Place() string                  { return "shelf" }
func (s *shelf) Location(key string) string     { return "shelf:///" + key }
func (s *shelf) Close() error                   { return nil }
func (s *shelf) read(key string) (string, bool) { content, is := s.held[key]; return content, is }

func (s *shelf) Marker(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, is := s.read(destinations.MarkerName)
	if !is && s.fault == marksUnasked {
		s.held[destinations.MarkerName] = destinations.NewMarker()
		content, is = s.read(destinations.MarkerName)
	}
	if !is {
		return "", nil
	}
	return destinations.ReadMarker(strings.NewReader(content), s.Place())
}

func (s *shelf) Check(ctx context.Context, directory string) (destinations.Checked, error) {
	s.mu.Lock()
	if _, is := s.read(destinations.MarkerName); !is || s.fault == marksAnew {
		s.held[destinations.MarkerName] = destinations.NewMarker()
	}
	if s.fault == leavesProbes {
		s.held[directory+destinations.ProbePrefix] = ""
	}
	s.mu.Unlock()
	id, err := s.Marker(ctx)
	return destinations.Checked{Marker: id}, err
}

func (s *shelf) Put(_ context.Context, key string, _ destinations.Object, content io.Reader) error {
	all, err := io.ReadAll(content)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, is := s.read(key)
	if err == nil && (s.fault != keepsOld || !is) && (s.fault != forgets || len(all) > 0) || s.fault == keepsHalf {
		s.held[key] = string(all)
	}
	return err
}

func (s *shelf) Open(_ context.Context, key string) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, is := s.read(key)
	if !is && s.fault != readsNothing {
		return nil, destinations.ErrNotFound
	}
	return io.NopCloser(strings.NewReader(content)), nil
}

func (s *shelf) Stat(ctx context.Context, key string) (destinations.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, is := s.read(key)
	if !is && s.fault != seesNothing {
		return destinations.Object{}, destinations.ErrNotFound
	}
	return destinations.Describe(ctx, strings.NewReader(content))
}

func (s *shelf) Remove(ctx context.Context, key string, object destinations.Object) error {
	found, err := s.Stat(ctx, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.fault == failsToRemove {
		return err
	}
	if err == nil && (found.Same(object) || s.fault == removesForeign) {
		delete(s.held, key)
	}
	return nil
}

func prepare(t testing.TB, fault string) Subject {
	s := &shelf{fault: fault, held: map[string]string{}}
	return Subject{Destination: Open(t, typeOf(s), v1alpha1.ExportDestinationSpec{}, nil), Listing: func() []string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Sorted(maps.Keys(s.held))
	}}
}

func typeOf(s *shelf) destinations.Type {
	return destinations.Type{
		Name: "shelf", Scheme: "shelf", Named: func(*v1alpha1.ExportDestination) bool { return true },
		Open: func(context.Context, *v1alpha1.ExportDestination, map[string][]byte, *outbound.Policy) (destinations.Destination, error) {
			return s, nil
		},
	}
}

func TestASimpleDestinationPasses(t *testing.T) {
	t.Parallel()
	Test(t, typeOf(nil), func(t *testing.T) Subject { return prepare(t, "") })
}

// witness takes what a behaviour finds wrong.
type witness struct {
	testing.TB
	mu    sync.Mutex
	found []string
}

func (w *witness) Errorf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, fmt.Sprintf(format, args...))
}
func (w *witness) Error(args ...any)                 { w.Errorf("%s", fmt.Sprint(args...)) }
func (w *witness) Fatalf(format string, args ...any) { w.Errorf(format, args...); runtime.Goexit() }
func (w *witness) Fatal(args ...any)                 { w.Error(args...); runtime.Goexit() }

func TestADestinationThatIsWrongIsFound(t *testing.T) {
	t.Parallel()
	for fault, behaviour := range map[string]string{
		keepsHalf:      "content that fails in the middle leaves nothing",
		keepsOld:       "an object is replaced",
		removesForeign: "an object of somebody else is not removed",
		failsToRemove:  "removing what is not there is no error",
		seesNothing:    "what is not there is not found",
		leavesProbes:   "a check in a directory leaves nothing",
		marksAnew:      "a check marks a destination once",
		marksUnasked:   "a check marks a destination once",
		forgets:        "an empty object is an object",
		readsNothing:   "an object can be read, and no other is taken for it",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			w := &witness{TB: t}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				behaviours[behaviour](w, prepare(t, fault))
			}()
			<-ended
			if len(w.found) == 0 {
				t.Errorf("nothing was found where %s", behaviour)
			}
		})
	}
}
