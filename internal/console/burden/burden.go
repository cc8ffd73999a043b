// Package burden bounds what requests have the console hold in memory: what the API server answers, and what callers send. A tenant stores
// objects of a megabyte, and asks for them hundreds of times at once; what one holds, others cannot.
package burden

import (
	"context"
	"sync"

	"github.com/ledgerport/ledgerport/internal/console/problem"
)

// Limits of what is held, in bytes as they come over a connection. What is made of them is a few times as much.
type Limits struct {
	// All that is held, apart from the first Free bytes of each request: small ones are answered however many large ones there are.
	All, Free int64
	// Each caller has the process hold at most so much.
	Each int64
}

// DefaultLimits are those of a server with 384 MiB. A page reads 24 MiB at most.
var DefaultLimits = Limits{All: 56 << 20, Free: 64 << 10, Each: 24 << 20}

// TooMuch is what is answered to who would have more held.
var TooMuch = problem.Busy("what you ask for is large, and as much is being read as may be, by you or by all; ask again when it is done")

// Scale weighs what callers have the process hold.
type Scale struct {
	limits Limits

	mu  sync.Mutex
	all int64
	of  map[string]int64 // by callers
}

// NewScale returns one on which nothing is.
func NewScale(limits Limits) *Scale { return &Scale{limits: limits, of: map[string]int64{}} }

// Load is what one request, or one watch, has the process hold.
type Load struct {
	scale  *Scale
	caller string

	// What follows is the scale's.
	held  int64
	ended bool
}

// Begin begins to weigh what is held for a caller, until the load ends.
func (s *Scale) Begin(caller string) *Load { return &Load{scale: s, caller: caller} }

// Add puts more onto the scale, unless that would be too much.
func (l *Load) Add(more int64) error {
	l.scale.mu.Lock()
	defer l.scale.mu.Unlock()
	return l.raise(l.held + more)
}

// Reach has at least so much on the scale, unless that would be too much.
func (l *Load) Reach(size int64) error {
	l.scale.mu.Lock()
	defer l.scale.mu.Unlock()
	if size <= l.held {
		return nil
	}
	return l.raise(size)
}

func (l *Load) raise(size int64) error {
	s := l.scale
	shared := max(0, size-s.limits.Free) - max(0, l.held-s.limits.Free)
	if l.ended || s.of[l.caller]+size-l.held > s.limits.Each || shared > 0 && s.all+shared > s.limits.All {
		return TooMuch
	}
	s.of[l.caller] += size - l.held
	s.all += shared
	l.held = size
	return nil
}

// End takes all of it away. What is read for it afterwards is refused.
func (l *Load) End() {
	s := l.scale
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	s.all -= max(0, l.held-s.limits.Free)
	if s.of[l.caller] -= l.held; s.of[l.caller] <= 0 {
		delete(s.of, l.caller)
	}
}

type key struct{}

// With returns a context in which what is read is put onto a load.
func With(ctx context.Context, load *Load) context.Context {
	return context.WithValue(ctx, key{}, load)
}

// from returns the load of a context; nil if what is read in it is not weighed.
func from(ctx context.Context) *Load {
	load, _ := ctx.Value(key{}).(*Load)
	return load
}

// Another returns a context with a load of its own, of the same caller, for what outlives a request. The function ends it.
func Another(ctx context.Context) (context.Context, func()) {
	load := from(ctx)
	if load == nil {
		return ctx, func() {}
	}
	another := load.scale.Begin(load.caller)
	return With(ctx, another), another.End
}
