package claims_test

import (
	"cmp"
	"maps"
	"slices"
)

// lookbackHours is how far below the newest claims a watermark is.
const lookbackHours = 48

// book is what a snapshot of the database has of one organisation and book, as far as it decides what a run takes. With its methods it
// is decision 28 in small: histories compare it with the plain query a million times, and the database with it as often as there is time.
// Instants are hours, and claims are numbered in the order of their ids.
type book struct {
	claims   map[int]approval
	bound    map[int]int // by claim: the run, or the adoption, that it is exported by
	held     map[int]heldClaim
	promises []promise
	sequence int // of the ledger
	freed    int // sequence of the newest step that has freed claims
	checks   int // how often it has become time for a full check
	without  rule
}

type approval struct {
	hour     int
	approved bool
}

type heldClaim struct{ run, remainder int }

// promise is the watermark that a run has left.
type promise struct {
	remainder int // its scope
	hour      int
	sequence  int // of the snapshot that it speaks of
	checks    int // the full check that it goes back to
}

// rule is one that nothing is lost by. A test takes each out.
type rule string

const (
	heldAreLookedUp rule = "claims that are held are looked up below the watermark"
	freeingEnds     rule = "a step that frees claims ends the watermarks before it"
	checksAreMade   rule = "a watermark goes back to a full check, and ends when the next one is due"
	lateIsAbove     rule = "the watermark is below what commits late"
)

// scope is what a run may take: claims with one remainder of two, approved from an hour on.
type scope struct{ remainder, from, cutoff int }

func (s scope) selects(claim int) bool { return claim%2 == s.remainder }

func newBook(without rule) book {
	return book{claims: map[int]approval{}, bound: map[int]int{}, held: map[int]heldClaim{}, without: without}
}

func (b *book) snapshot() book {
	seen := *b
	seen.claims, seen.bound, seen.held, seen.promises = maps.Clone(b.claims), maps.Clone(b.bound), maps.Clone(b.held), slices.Clone(b.promises)
	return seen
}

// plain returns what a run has to decide of, in the words of the contract.
func (b *book) plain(s scope) []int {
	return b.where(func(claim int, a approval) bool { return b.free(s, claim, a) })
}

func (b *book) free(s scope, claim int, a approval) bool {
	_, bound := b.bound[claim]
	return a.approved && a.hour < s.cutoff && a.hour >= s.from && s.selects(claim) && !bound
}

// found returns what a run does decide of: all of it without a watermark, and with one what is above it, or held.
func (b *book) found(s scope) []int {
	newest, found := b.newest(s)
	return b.where(func(claim int, a approval) bool {
		_, held := b.held[claim]
		return b.free(s, claim, a) && (!found || a.hour >= newest.hour || held && b.without != heldAreLookedUp)
	})
}

func (b *book) where(condition func(int, approval) bool) []int {
	var claims []int
	for claim, a := range b.claims {
		if condition(claim, a) {
			claims = append(claims, claim)
		}
	}
	slices.SortFunc(claims, func(x, y int) int { return cmp.Or(cmp.Compare(b.claims[x].hour, b.claims[y].hour), cmp.Compare(x, y)) })
	return claims
}

// newest returns the highest watermark of a scope that still holds.
func (b *book) newest(s scope) (newest promise, found bool) {
	for _, p := range b.promises {
		holds := (p.sequence >= b.freed || b.without == freeingEnds) && (p.checks == b.checks || b.without == checksAreMade)
		if p.remainder == s.remainder && holds && (!found || p.hour > newest.hour) {
			newest, found = p, true
		}
	}
	return newest, found
}

// reserve takes and holds claims for a run that has read a snapshot of the book, and leaves its promise; or reports that it cannot,
// because of what others have written since.
func (b *book) reserve(seen *book, s scope, run int, taken, held []int) (reserved bool) {
	settled := seen.settled(s, taken, held)
	for _, claim := range taken {
		if _, bound := b.bound[claim]; bound {
			return false
		}
	}
	for _, claim := range settled {
		if b.held[claim] != seen.held[claim] {
			return false
		}
	}
	for _, claim := range settled {
		delete(b.held, claim)
	}
	for _, claim := range taken {
		b.bound[claim] = run
	}
	for _, claim := range held {
		b.held[claim] = heldClaim{run, s.remainder}
	}
	b.sequence++
	b.promises = append(b.promises, seen.promise(s))
	return true
}

// settled returns the claims whose holds a run ends: those that are exported, and those of its own scope that no later run will find. It
// writes the holds of what it holds itself as well.
func (b *book) settled(s scope, taken, held []int) []int {
	return slices.DeleteFunc(slices.Collect(maps.Keys(b.held)), func(claim int) bool {
		_, bound := b.bound[claim]
		later := b.claims[claim].approved && b.claims[claim].hour >= s.cutoff
		return !bound && !slices.Contains(taken, claim) && !slices.Contains(held, claim) && (b.held[claim].remainder != s.remainder || later)
	})
}

func (b *book) promise(s scope) promise {
	left := promise{s.remainder, s.cutoff - lookbackHours, b.sequence, b.checks}
	if b.without == lateIsAbove {
		left.hour = s.cutoff
	}
	if used, found := b.newest(s); found {
		left.checks = used.checks
	}
	return left
}

// release frees what a run or an adoption has.
func (b *book) release(run int) {
	before := len(b.bound)
	maps.DeleteFunc(b.bound, func(_, by int) bool { return by == run })
	b.sequence++
	if len(b.bound) < before {
		b.freed = b.sequence
	}
}

// adopt binds a claim that another system has booked, which is not held any more.
func (b *book) adopt(claim, adoption int) {
	b.bound[claim] = adoption
	delete(b.held, claim)
	b.sequence++
}
