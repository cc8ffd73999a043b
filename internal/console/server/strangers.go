package server

import (
	"container/list"
	"context"
	"net/http"
	"sync"
)

// mostStrangers are requests that are being answered while nobody knows yet who asks: more than the tokens that wait to be looked at, and the forms
// that are being read.
const mostStrangers = mostWaiting + 2*mostForms

// strangers are requests of whom nothing is known. For one more the connection of the oldest is ended: an honest one is answered at once, and
// takes its answer.
type strangers struct {
	mu   sync.Mutex
	open list.List // of *guest, the oldest first
}

// begin counts a request until the function is called.
func (s *strangers) begin(r *http.Request) (over func()) {
	one, is := r.Context().Value(guestKey{}).(*guest)
	if !is { // such as of probes
		return func() {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open.Len() >= mostStrangers {
		oldest := s.open.Front()
		s.open.Remove(oldest)
		_ = oldest.Value.(*guest).Close() // whose it is hears of it by that
	}
	own := s.open.PushBack(one)
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open.Remove(own) // nothing, if it was ended
	})
}

type knownKey struct{}

// becomesKnown has a request count no longer among those of strangers.
func becomesKnown(ctx context.Context) {
	if known, is := ctx.Value(knownKey{}).(func()); is {
		known()
	}
}
