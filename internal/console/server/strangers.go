package server

import (
	"container/list"
	"context"
	"net/http"
	"sync"
)

// strangerCosts is what the process holds of a request besides its header, in bytes.
const strangerCosts = 16 << 10

// strangers are requests that are being answered while nobody knows who asks. Beyond so many bytes that are held of them the connection of the
// oldest ends: an honest one is answered at once, and takes its answer.
type strangers struct {
	most int

	mu   sync.Mutex
	held int
	open list.List // of *stranger, the oldest first
}

type stranger struct {
	*guest
	size int
}

// begin counts a request until the function is called.
func (s *strangers) begin(r *http.Request) (over func()) {
	one, is := r.Context().Value(guestKey{}).(*guest)
	if !is { // such as of probes
		return func() {}
	}
	came := &stranger{one, strangerCosts + len(r.RequestURI)}
	for name, values := range r.Header {
		for _, value := range values {
			came.size += len(name) + len(value)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.open.Len() > 0 && s.held+came.size > s.most {
		oldest := s.open.Front()
		s.leave(oldest)
		_ = oldest.Value.(*stranger).Close() // whose it is hears of it by that
	}
	own := s.open.PushBack(came)
	s.held += came.size
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leave(own)
	})
}

// leave takes a request out of the count, once.
func (s *strangers) leave(place *list.Element) {
	gone := place.Value.(*stranger)
	s.open.Remove(place)
	s.held -= gone.size
	gone.size = 0
}

type knownKey struct{}

// becomesKnown has a request count no longer among those of strangers.
func becomesKnown(ctx context.Context) {
	if known, is := ctx.Value(knownKey{}).(func()); is {
		known()
	}
}
