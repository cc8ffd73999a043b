package api

import (
	"sync"
	"time"

	"github.com/ledgerport/ledgerport/internal/share"
)

// places are shared by callers, each of whom has so many at most, and leaves as many to others. One that was kept for long is passed on to a caller
// who has none.
type places struct {
	all, each int

	mu   sync.Mutex
	held share.Held
}

func newPlaces(all, each int) *places { return &places{all: all, each: each} }

// take reports whether there is a place for a caller. It is given back by a call of one function. The other one ends what the place is for; without
// one the place is not passed on.
func (p *places) take(caller string, end func()) (giveBack func(), taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if own := p.held.Of(caller); own >= p.each || !share.Fits(int64(p.all), int64(p.held.Len()), int64(own), 1) && !p.held.PassOn(caller, now) {
		return nil, false
	}
	place := p.held.Add(caller, now, end)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.held.Remove(place)
	}, true
}
