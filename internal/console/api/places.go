package api

import (
	"sync"

	"github.com/ledgerport/ledgerport/internal/share"
)

// places are shared by callers, each of whom has so many at most, and leaves as many to others.
type places struct {
	all, each int

	mu     sync.Mutex
	taken  int
	shares map[string]int
}

func newPlaces(all, each int) *places {
	return &places{all: all, each: each, shares: map[string]int{}}
}

// take reports whether there is a place for a caller. It is given back by a call of the function.
func (p *places) take(caller string) (giveBack func(), taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if own := p.shares[caller]; own >= p.each || !share.Fits(int64(p.all), int64(p.taken), int64(own), 1) {
		return nil, false
	}
	p.taken++
	p.shares[caller]++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.taken--
		p.shares[caller]--
		if p.shares[caller] == 0 {
			delete(p.shares, caller)
		}
	}), true
}
