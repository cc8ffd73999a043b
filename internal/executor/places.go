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
	// asked is since when the attempt waits, began when it had a place, and ends when it ends at the latest.
	asked, began, ends time.Time
	// leavesTo is the namespace for which the attempt, which has a place, was told to make room; empty if it was not.
	leavesTo string
}

// What a namespace has while another one has no place, and none has become free, passes on: a place beside others of it soon, and its only one after
// as long as an attempt that runs alone may take.
const (
	passesOnOfSeveral = time.Minute
	passesOn          = 5 * time.Minute
)

// places shares a number of places between namespaces, which take turns, each up to a limit. Within a namespace the first to
// come is the first to get one. It is not safe for concurrent use.
//
// If all places are taken, nobody has been given one for a while, and a namespace waits that has none, the seat that was given a place last makes room, of
// the namespaces that have most: those that end neither by themselves nor soon keep all others waiting for no longer than that, and in whichever
// numbers they come, all places but one are kept by who has them.
//
// A seat that wants to be alone reserves all places from the moment on at which those that run will have ended at the latest, or else make room.
// Until then others get a place if they end before that too, so that a long attempt keeps neither it nor them waiting for long.
type places struct {
	limits   Limits
	taken    map[*seat]struct{}
	used     map[string]int // places by namespace
	waiting  map[string][]*seat
	turns    []string // the namespaces that wait, the next one first
	reserved *seat    // waits to be alone
	from     time.Time
	given    time.Time // when somebody was given a place last
}

func newPlaces(limits Limits) *places {
	return &places{limits: limits, taken: map[*seat]struct{}{}, used: map[string]int{}, waiting: map[string][]*seat{}}
}

// add lets a seat wait for a place.
func (p *places) add(s *seat, now time.Time) {
	s.asked = now
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
			p.reserve(first, now)
		case p.delays(first, now):
		default:
			return p.take(first, now)
		}
	}
	return nil
}

// reserve keeps all places for a seat that wants to be alone. One at a time does.
func (p *places) reserve(s *seat, now time.Time) {
	if p.reserved != nil {
		return
	}
	p.reserved = s
	for running := range p.taken {
		if running.ends.After(p.from) {
			p.from = running.ends
		}
	}
	if latest := now.Add(passesOn); p.from.After(latest) {
		p.from = latest
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
	s.began, s.ends, p.given = now, now.Add(s.longest), now
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

// release gives the place of a seat back. It is the turn of whom it was told to make room for.
func (p *places) release(s *seat) {
	if at := slices.Index(p.turns, s.leavesTo); at >= 0 {
		p.turns = slices.Insert(slices.Delete(p.turns, at, at+1), 0, s.leavesTo)
	}
	delete(p.taken, s)
	p.used[s.namespace]--
	if p.used[s.namespace] == 0 {
		delete(p.used, s.namespace)
	}
}

// passOn returns the seat that makes room for a namespace that has no place, which one that is, and in what time; nil if none does.
func (p *places) passOn(now time.Time) (last *seat, to string, wait time.Duration) {
	if p.reserved != nil {
		return p.passAllOn(now)
	}
	if len(p.taken) < p.limits.Runs || p.occupiedAlone() {
		return nil, "", 0
	}
	for s := range p.taken {
		if s.leavesTo != "" {
			return nil, "", 0 // it does not take long
		}
		if last == nil || p.sooner(s, last) {
			last = s
		}
	}
	due := passesOn
	if p.used[last.namespace] > 1 {
		due = passesOnOfSeveral
	}
	for _, namespace := range p.turns {
		first := p.waiting[namespace][0]
		if p.used[namespace] > 0 || first.alone {
			continue
		}
		since := p.given
		if first.asked.After(since) {
			since = first.asked
		}
		if left := max(0, since.Add(due).Sub(now)); to == "" || left < wait {
			to, wait = namespace, left
		}
	}
	if to == "" {
		return nil, "", 0
	}
	return last, to, wait
}

// passAllOn is passOn for a seat that is to be alone, for which all others make room, one after the other.
func (p *places) passAllOn(now time.Time) (last *seat, to string, wait time.Duration) {
	for s := range p.taken {
		if s.leavesTo == "" {
			return s, p.reserved.namespace, max(0, p.from.Sub(now))
		}
	}
	return nil, "", 0
}

// delays reports whether an attempt might keep one waiting that is to be alone.
func (p *places) delays(s *seat, now time.Time) bool {
	return p.reserved != nil && now.Add(s.longest).After(p.from)
}

// sooner reports whether a seat makes room rather than another one.
func (p *places) sooner(s, than *seat) bool {
	if own, other := p.used[s.namespace], p.used[than.namespace]; own != other {
		return own > other
	}
	return s.began.After(than.began)
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
