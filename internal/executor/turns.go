package executor

import (
	"sync"
	"time"
)

// turns lets so many work at the same time, of whom each namespace has so many at most. Namespaces take turns.
type turns struct {
	mu     sync.Mutex
	places *places
	ready  map[*seat]chan struct{} // of those that wait
}

func newTurns(limits Limits) *turns {
	return &turns{places: newPlaces(limits), ready: map[*seat]chan struct{}{}}
}

// wait returns when it is the turn of a namespace. The turn is over with a call of the function.
func (t *turns) wait(namespace string) (over func()) {
	own, ready := &seat{namespace: namespace}, make(chan struct{})
	t.mu.Lock()
	t.ready[own] = ready
	t.places.add(own, time.Now())
	t.begin()
	t.mu.Unlock()
	<-ready
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.places.release(own)
		t.begin()
	})
}

// begin lets those begin whose turn it is.
func (t *turns) begin() {
	for next := t.places.next(time.Now()); next != nil; next = t.places.next(time.Now()) {
		close(t.ready[next])
		delete(t.ready, next)
	}
}
