package executor

import (
	"slices"
	"time"
)

// Limits bound how many attempts run at the same time.
type Limits struct {
	// Runs at the same time.
	Runs int
	// RunsPerNamespace of them that belong to one namespace; 0 is half of all, and at least one.
	RunsPerNamespace int
}

// perNamespace is the limit of each namespace.
func (l Limits) perNamespace() int {
	if l.RunsPerNamespace > 0 {
		return l.RunsPerNamespace
	}
	return max(1, l.Runs/2)
}

// seat is what an attempt needs of the places.
type seat struct {
	namespace string
	// longest that the attempt takes once it has a place.
	longest time.Duration
	// alone: nothing else may run beside it.
	alone bool
	// ends is when the attempt, which has a place, ends at the latest.
	ends time.Time
}

// places shares a number of places between namespaces, which take turns, each up to a limit. Within a namespace the first to
// come is the first to get one. It is not safe for concurrent use.
//
// A seat that wants to be alone reserves all places from the moment on at which those that run will have ended at the latest.
// Until then others get a place if they end before that too, so that a long attempt keeps neither it nor them waiting for
// longer than its own deadline.
type places struct {
	limits   Limits
	taken    map[*seat]struct{}
	used     map[string]int // places by namespace
	waiting  map[string][]*seat
	turns    []string // the namespaces that wait, the next one first
	reserved *seat    // waits to be alone
	from     time.Time
}

func newPlaces(limits Limits) *places {
	return &places{limits: limits, taken: map[*seat]struct{}{}, used: map[string]int{}, waiting: map[string][]*seat{}}
}

// add lets a seat wait for a place.
func (p *places) add(s *seat) {
	if len(p.waiting[s.namespace]) == 0 {
		p.turns = append(p.turns, s.namespace)
	}
	p.waiting[s.namespace] = append(p.waiting[s.namespace], s)
}

// next gives a place to the seat whose turn it is, or returns nil if none may have one now.
func (p *places) next(now time.Time) *seat {
	if p.reserved != nil && len(p.taken) == 0 {
		return p.take(p.reserved, now)
	}
	if len(p.taken) >= p.limits.Runs || p.occupiedAlone() {
		return nil
	}
	for _, namespace := range p.turns {
		first := p.waiting[namespace][0]
		switch {
		case p.used[namespace] >= p.limits.perNamespace():
		case first.alone && len(p.taken) > 0:
			p.reserve(first)
		case p.reserved != nil && now.Add(first.longest).After(p.from):
		default:
			return p.take(first, now)
		}
	}
	return nil
}

// reserve keeps all places for a seat that wants to be alone. One at a time does.
func (p *places) reserve(s *seat) {
	if p.reserved != nil {
		return
	}
	p.reserved = s
	for running := range p.taken {
		if running.ends.After(p.from) {
			p.from = running.ends
		}
	}
}

func (p *places) occupiedAlone() bool {
	for running := range p.taken {
		if running.alone {
			return true
		}
	}
	return false
}

// take gives a place to a seat that waits. Its namespace has the last turn now.
func (p *places) take(s *seat, now time.Time) *seat {
	p.withdraw(s)
	if at := slices.Index(p.turns, s.namespace); at >= 0 {
		p.turns = append(slices.Delete(p.turns, at, at+1), s.namespace)
	}
	s.ends = now.Add(s.longest)
	p.taken[s] = struct{}{}
	p.used[s.namespace]++
	return s
}

// withdraw lets a seat wait no longer.
func (p *places) withdraw(s *seat) {
	if p.reserved == s {
		p.reserved, p.from = nil, time.Time{}
	}
	rest := slices.DeleteFunc(p.waiting[s.namespace], func(other *seat) bool { return other == s })
	p.waiting[s.namespace] = rest
	if len(rest) == 0 {
		delete(p.waiting, s.namespace)
		p.turns = slices.DeleteFunc(p.turns, func(namespace string) bool { return namespace == s.namespace })
	}
}

// release gives the place of a seat back.
func (p *places) release(s *seat) {
	delete(p.taken, s)
	p.used[s.namespace]--
	if p.used[s.namespace] == 0 {
		delete(p.used, s.namespace)
	}
}

// before is the number of seats that get a place before one that waits, if no other comes and none is refused its turn.
func (p *places) before(s *seat) int {
	position := slices.Index(p.waiting[s.namespace], s)
	count, later := position, false
	for _, namespace := range p.turns {
		switch {
		case namespace == s.namespace:
			later = true
		case later:
			count += min(len(p.waiting[namespace]), position)
		default:
			count += min(len(p.waiting[namespace]), position+1)
		}
	}
	return count
}
