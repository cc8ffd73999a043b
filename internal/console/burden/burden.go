// Package burden bounds what requests have the console hold in memory: what the API server answers, and what callers send. A tenant stores
// objects of a megabyte, and asks for them hundreds of times at once; what one holds, others cannot.
package burden

import (
	"context"
	"sync"

	"github.com/ledgerport/ledgerport/internal/console/problem"
	"github.com/ledgerport/ledgerport/internal/share"
)

// Limits of what is held, in bytes as they come over a connection. What is made of them is a few times as much.
type Limits struct {
	// All that is held, apart from the first Free bytes of each request, which come to Small at most: small ones are answered however many large
	// ones there are.
	All, Free, Small int64
	// Each caller has the process hold at most so much, and leaves as much of All and of Small to others.
	Each int64
}

// DefaultLimits are those of a server with 384 MiB. A page reads 24 MiB at most.
var DefaultLimits = Limits{All: 56 << 20, Free: 64 << 10, Small: 64 << 20, Each: 24 << 20}

// TooMuch is what is answered to who would have more held.
var TooMuch = problem.Busy("what you ask for is large, and as much is being read as may be, by you or by all; ask again when it is done")

// Scale weighs what callers have the process hold.
type Scale struct {
	limits Limits

	mu  sync.Mutex
	all held
	of  map[string]held // by callers
}

// held is what the process holds, beyond the first bytes of each request and of those.
type held struct{ large, small int64 }

func (h held) plus(other held) held { return held{h.large + other.large, h.small + other.small} }

func (h held) minus(other held) held { return held{h.large - other.large, h.small - other.small} }

func (h held) total() int64 { return h.large + h.small }

// fits reports whether so much more of one who has own may be held, of what is held of all so far.
func (l *Limits) fits(all, own, more held) bool {
	return own.total()+more.total() <= l.Each &&
		(more.large <= 0 || share.Fits(l.All, all.large, own.large, more.large)) &&
		(more.small <= 0 || share.Fits(l.Small, all.small, own.small, more.small))
}

// NewScale returns one on which nothing is.
func NewScale(limits Limits) *Scale { return &Scale{limits: limits, of: map[string]held{}} }

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

// Settle makes the load of a context as large as the answer: what was read is let go, and the answer is held until the client has taken it. It may be many
// times as long as what it was made of.
func Settle(ctx context.Context, size int64) error {
	load := from(ctx)
	if load == nil {
		return nil
	}
	load.scale.mu.Lock()
	defer load.scale.mu.Unlock()
	return load.raise(size)
}

// Make adds to the load of a context a part of the answer that is being made, while what was read is still held.
func Make(ctx context.Context, more int64) error {
	if load := from(ctx); load != nil {
		return load.Add(more)
	}
	return nil
}

func (l *Load) raise(size int64) error {
	s := l.scale
	own, more := s.of[l.caller], s.parts(size).minus(s.parts(l.held))
	if l.ended || !s.limits.fits(s.all, own, more) {
		return TooMuch
	}
	s.of[l.caller], s.all = own.plus(more), s.all.plus(more)
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
	its := s.parts(l.held)
	s.all = s.all.minus(its)
	if own := s.of[l.caller].minus(its); own.total() > 0 {
		s.of[l.caller] = own
	} else {
		delete(s.of, l.caller)
	}
}

// parts of what one request holds.
func (s *Scale) parts(size int64) held {
	small := min(size, s.limits.Free)
	return held{size - small, small}
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
