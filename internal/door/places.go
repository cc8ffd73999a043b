package door

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/ledgerport/ledgerport/internal/share"
)

// Limits bound what is served at the same time, and for how long.
type Limits struct {
	// Transfers of files at the same time, and those of one namespace.
	Transfers, TransfersPerNamespace int64
	// Pages of vouchers and held claims at the same time, each of which may take as much memory as a block of recorded vouchers, and
	// those of one namespace.
	Pages, PagesPerNamespace int64
	// Wait for a place at most. Who waits keeps the API server, of which all of its clients have a part.
	Wait time.Duration
	// Transfer is how long one may take, and Stall how long a client may take nothing of it. Page is how long a page may take.
	Transfer, Stall, Page time.Duration
}

// DefaultLimits are those of an operator. An API server ends a request after its own --request-timeout, which is a minute unless somebody
// has set it.
var DefaultLimits = Limits{
	Transfers: 64, TransfersPerNamespace: 4, Pages: 4, PagesPerNamespace: 1,
	Wait: 5 * time.Second, Transfer: 10 * time.Minute, Stall: 30 * time.Second, Page: 10 * time.Second,
}

// mostWaiting for places at the same time, and those of one namespace. Others are told at once to ask again.
const mostWaiting, mostWaitingOfOne = 16, 4

// places are shared by namespaces, each of which has so many at most. What a namespace wants beyond those waits for its own, and for no
// place that others could have: where each has one place at most, namespaces have their turns one after the other.
type places struct {
	wait time.Duration
	all  *semaphore.Weighted
	each int64

	mu         sync.Mutex
	namespaces map[string]*namespacePlaces
	waiting    int
	held       share.Held
}

// namespacePlaces are those of one namespace, kept for as long as somebody has one or waits.
type namespacePlaces struct {
	*semaphore.Weighted
	users, waiting int
}

func newPlaces(all, each int64, wait time.Duration) *places {
	return &places{wait: wait, all: semaphore.NewWeighted(all), each: each, namespaces: map[string]*namespacePlaces{}}
}

// take waits for a place, and reports whether there was one in time. It is given back by a call of one function. The other one ends what the place is
// for, and lets it be passed on to a namespace that has none, once it was kept for long; without one it is not.
func (p *places) take(ctx context.Context, namespace string, end func()) (giveBack func(), taken bool) {
	ctx, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	own, taken := p.enter(namespace)
	if own == nil {
		return nil, false
	}
	if !taken {
		taken = own.Acquire(ctx, 1) == nil
		if taken && p.all.Acquire(ctx, 1) != nil {
			own.Release(1)
			taken = false
		}
		p.waited(own)
	}
	if !taken {
		p.leave(namespace, own)
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	place := p.held.Add(namespace, time.Now(), end)
	return func() {
		own.Release(1)
		p.leave(namespace, own)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.held.Remove(place) { // else somebody else has it
			p.all.Release(1)
		}
	}, true
}

// enter takes a place that is free, or lets a namespace wait for one; nil if too many wait. A namespace that waits already leaves as many places in the
// queue to others.
func (p *places) enter(namespace string) (own *namespacePlaces, taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if own = p.namespaces[namespace]; own == nil {
		own = &namespacePlaces{Weighted: semaphore.NewWeighted(p.each)}
	}
	switch {
	case own.take(p.all):
		taken = true
	case own.users == 0 && p.held.PassOn(namespace, time.Now()):
		taken = own.TryAcquire(1)
	case own.waiting >= mostWaitingOfOne, !share.Fits(mostWaiting, int64(p.waiting), int64(own.waiting), 1):
		return nil, false
	default:
		p.waiting++
		own.waiting++
	}
	own.users++
	p.namespaces[namespace] = own
	return own, taken
}

// take takes a place of the namespace together with one of all, and reports whether both were free.
func (n *namespacePlaces) take(all *semaphore.Weighted) bool {
	if !n.TryAcquire(1) {
		return false
	}
	if !all.TryAcquire(1) {
		n.Release(1)
		return false
	}
	return true
}

// waited says that somebody waits no more.
func (p *places) waited(own *namespacePlaces) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting--
	own.waiting--
}

func (p *places) leave(namespace string, own *namespacePlaces) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own.users--
	if own.users == 0 {
		delete(p.namespaces, namespace)
	}
}
