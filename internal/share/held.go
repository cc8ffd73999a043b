package share

import "time"

// PassesOnAfter is how long a place is kept at least, even if others need it.
const PassesOnAfter = time.Minute

// Held are places that are kept for longer than a question takes, such as those of downloads, by whom they are kept. It is not safe for
// concurrent use.
type Held struct {
	places map[*Place]struct{}
	own    map[string]int
}

// Place is one of them.
type Place struct {
	owner string
	since time.Time
	end   func()
}

// Add has a place be kept. The function ends what keeps it, and does not wait for that; without one it is not passed on.
func (h *Held) Add(owner string, now time.Time, end func()) *Place {
	if h.places == nil {
		h.places, h.own = map[*Place]struct{}{}, map[string]int{}
	}
	place := &Place{owner, now, end}
	h.places[place] = struct{}{}
	h.own[owner]++
	return place
}

// Remove gives a place back, and reports whether it was kept until now.
func (h *Held) Remove(place *Place) bool {
	if _, is := h.places[place]; !is {
		return false
	}
	delete(h.places, place)
	h.own[place.owner]--
	if h.own[place.owner] == 0 {
		delete(h.own, place.owner)
	}
	return true
}

// Len is how many are kept, and Of how many one owner keeps.
func (h *Held) Len() int { return len(h.places) }

// Of is how many one owner keeps.
func (h *Held) Of(owner string) int { return h.own[owner] }

// PassOn takes a place for somebody who keeps none, and reports whether it has: of the owners that keep most, the one that was kept longest, if that is
// long. In whichever numbers others come, and however long each of them stays, nobody else waits for longer.
func (h *Held) PassOn(to string, now time.Time) bool {
	if h.own[to] > 0 {
		return false
	}
	var last *Place
	for place := range h.places {
		if place.end == nil || now.Sub(place.since) < PassesOnAfter {
			continue
		}
		if last == nil || h.own[place.owner] > h.own[last.owner] || h.own[place.owner] == h.own[last.owner] && place.since.Before(last.since) {
			last = place
		}
	}
	if last == nil {
		return false
	}
	h.Remove(last)
	last.end()
	return true
}
