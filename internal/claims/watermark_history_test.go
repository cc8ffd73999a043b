package claims_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// setting returns a number of the environment, or what it is where nothing is set.
func setting(t *testing.T, name string, unset uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return unset
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func firstSeed(t *testing.T) uint64 { return setting(t, "LEDGERPORT_SEED", 1) }

// compareAll makes histories in a world, of which many runs have to use a watermark.
func compareAll(t *testing.T, histories uint64, w world) {
	t.Helper()
	var used, runs int
	for n := range histories {
		h := newHistory(firstSeed(t)+n, "", w)
		h.mustHold(t, firstSeed(t)+n)
		used, runs = used+h.used, runs+h.runs
	}
	t.Logf("%d histories: %d of %d runs used a watermark", histories, used, runs)
	if used*5 < runs {
		t.Errorf("%d of %d runs used a watermark: the test says little", used, runs)
	}
}

// TestWatermark makes random histories of a book with two exports, in which claims are approved now and in the past, commit late, are
// taken back, held, adopted, released and reversed while runs have read a snapshot: what runs take is compared with what a plain query
// says. Most histories are made in the model alone. LEDGERPORT_SEED begins elsewhere.
func TestWatermark(t *testing.T) {
	t.Parallel()
	seed := firstSeed(t)
	t.Run("loses and doubles no claim in any interleaving", func(t *testing.T) {
		t.Parallel()
		compareAll(t, setting(t, "LEDGERPORT_INTERLEAVINGS", 20_000), imagined{})
	})
	for _, without := range []rule{heldAreLookedUp, freeingEnds, checksAreMade, lateIsAbove} {
		t.Run("loses claims unless "+string(without), func(t *testing.T) {
			t.Parallel()
			for n := range uint64(20_000) {
				h := newHistory(seed+n, without, imagined{})
				if wrong := h.run(); wrong != "" {
					t.Logf("seed %d: %s", seed+n, wrong)
					return
				}
			}
			t.Error("the test notices nothing when this rule is taken out")
		})
	}
	t.Run("is in a database what it is in the model", func(t *testing.T) {
		t.Parallel()
		p := newProduct(t)
		compareAll(t, setting(t, "LEDGERPORT_HISTORIES", 40), p)
	})
	t.Run("loses claims in a database in which it is never time for a full check", func(t *testing.T) {
		t.Parallel()
		p := newProduct(t)
		for n := range uint64(200) {
			h := newHistory(seed+n, checksAreMade, p)
			if wrong := h.run(); wrong != "" {
				if !strings.Contains(wrong, "was lost") {
					t.Fatal(wrong)
				}
				return
			}
		}
		t.Error("the test notices nothing when the check of the past is taken out")
	})
}

// world is where a history happens beside the model. What it finds itself it returns; the model's word comes with the question.
type world interface {
	organisation()
	insert(claim, hour int, late bool)
	commitLate()
	setApproved(claim int, approved bool)
	fullCheckIsDue()
	adopt(claim int, giveBack bool)
	begin(s scope, expected []int) (plain []int)
	decide(s scope, unmapped int, model decision, may, must bool) (d decision, refused bool)
	release(s scope)
	commit(s scope)
	reverse(s scope)
}

// decision is what a run decides of, and whether it used a watermark for that.
type decision struct {
	claims    []int
	watermark bool
}

// history is a random one of an organisation.
type history struct {
	random    *rand.Rand
	world     world
	book      book
	exports   [2]export
	steps     []step
	wrong     string
	lastClaim int
	runs      int
	used      int // runs that used a watermark
	adoptions int
	hour      int          // by which all instants are said
	horizon   int          // below which a watermark may be
	unmapped  int          // claims with this remainder of four are held
	past      map[int]bool // claims that were approved below the horizon
	late      []lateClaim  // of the application's open transaction
}

type lateClaim struct{ claim, hour int }

type export struct {
	scope
	state     exportState
	run       int
	seen      book  // the snapshot of its reservation
	expected  []int // what the plain query said then
	strict    bool  // the next run must find what was approved into the past
	whole     bool  // and so must this one
	committed []int
}

type exportState int

const (
	idle exportState = iota
	reserving
	rendering
)

// step is one of a history, written when somebody reads it.
type step struct {
	hour   int
	format string
	values []any
}

func (h *history) step(format string, values ...any) {
	h.steps = append(h.steps, step{h.hour, format, values})
}

func (h *history) fail(format string, values ...any) {
	if h.wrong == "" {
		h.wrong = fmt.Sprintf(format, values...)
	}
}

func newHistory(seed uint64, without rule, w world) *history {
	h := &history{random: rand.New(rand.NewPCG(seed, 0)), world: w, book: newBook(without), hour: 1000, past: map[int]bool{}}
	for i := range h.exports {
		h.exports[i] = export{scope: scope{remainder: i}, strict: true}
		if h.random.IntN(3) == 0 {
			h.exports[i].from = 900 + h.random.IntN(150)
		}
	}
	return h
}

func (h *history) mustHold(t *testing.T, seed uint64) {
	t.Helper()
	if wrong := h.run(); wrong != "" {
		for _, step := range h.steps {
			t.Logf("hour %d: "+step.format, append([]any{step.hour}, step.values...)...)
		}
		t.Fatalf("seed %d: %s", seed, wrong)
	}
}

// run makes the history, and returns what went wrong. In the end, what is under way ends, the time of a full check comes, and the last
// runs must leave nothing.
func (h *history) run() (wrong string) {
	h.world.organisation()
	for range 20 + h.random.IntN(60) {
		h.anyAction()()
		if h.wrong != "" {
			return h.wrong
		}
	}
	first, second := &h.exports[0], &h.exports[1]
	for _, action := range []func(){
		h.endLate, h.finishes(first), h.finishes(second), h.finishes(first), h.finishes(second), h.fullCheckIsDue, h.runsToItsEnd(first), h.runsToItsEnd(second),
	} {
		action()
		if h.wrong != "" {
			break
		}
	}
	return h.wrong
}

func (h *history) finishes(e *export) func() { return func() { h.finish(e) } }

func (h *history) runsToItsEnd(e *export) func() {
	return func() {
		h.begin(e, h.hour+lookbackHours)
		e.whole = true
		h.finish(e)
	}
}

// anyAction draws one. What ends watermarks is rare, so that most live for some runs.
func (h *history) anyAction() func() {
	actions := []struct {
		weight int
		action func()
	}{
		{6, h.approve}, {3, h.backdate}, {3, h.beginLate}, {2, h.endLate}, {3, h.takeBack}, {2, h.chart}, {3, h.pass},
		{12, h.beginAny}, {16, h.finishAny}, {2, h.adopt}, {1, h.release}, {1, h.reverse}, {1, h.fullCheckIsDue},
	}
	drawn := h.random.IntN(55)
	for _, a := range actions {
		if drawn -= a.weight; drawn < 0 {
			return a.action
		}
	}
	panic("the weights come to less than is drawn")
}

// approved notes a claim that was approved at an hour, and is seen from now on.
func (h *history) approved(claim, hour int) {
	h.book.claims[claim] = approval{hour, true}
	if hour < h.horizon {
		h.past[claim] = true
	}
}

func (h *history) insert(hour int) {
	h.lastClaim++
	h.world.insert(h.lastClaim, hour, false)
	h.approved(h.lastClaim, hour)
	h.step("approve %d at %d", h.lastClaim, hour)
}

func (h *history) approve()  { h.insert(h.hour - h.random.IntN(40)) }
func (h *history) backdate() { h.insert(h.hour - h.random.IntN(200)) }

func (h *history) beginLate() {
	h.lastClaim++
	h.world.insert(h.lastClaim, h.hour, true)
	h.late = append(h.late, lateClaim{h.lastClaim, h.hour})
	h.step("approve %d, to be committed later", h.lastClaim)
}

func (h *history) endLate() {
	if len(h.late) == 0 {
		return
	}
	h.world.commitLate()
	for _, late := range h.late {
		h.approved(late.claim, late.hour)
	}
	h.late = nil
	h.step("commit")
}

// takeBack lets the application take an approval back, or give it again as it was.
func (h *history) takeBack() {
	claim, found := h.anyClaim(func(int) bool { return true })
	if !found {
		return
	}
	now := h.book.claims[claim]
	now.approved = !now.approved
	h.world.setApproved(claim, now.approved)
	h.book.claims[claim] = now
	if now.approved {
		h.approved(claim, now.hour)
	}
	h.step("claim %d is approved: %t", claim, now.approved)
}

func (h *history) anyClaim(condition func(claim int) bool) (claim int, found bool) {
	claims := slices.DeleteFunc(slices.Sorted(maps.Keys(h.book.claims)), func(claim int) bool { return !condition(claim) })
	if len(claims) == 0 {
		return 0, false
	}
	return claims[h.random.IntN(len(claims))], true
}

func (h *history) chart() {
	h.unmapped = h.random.IntN(4)
	h.step("hold remainder %d", h.unmapped)
}

func (h *history) pass() {
	h.hour += 1 + h.random.IntN(60)
	h.step("time has passed")
}

func (h *history) fullCheckIsDue() {
	if h.exports[0].state == reserving || h.exports[1].state == reserving {
		return // which may leave a watermark that is younger
	}
	if h.book.without != checksAreMade {
		h.world.fullCheckIsDue()
	}
	h.book.checks++
	h.exports[0].strict, h.exports[1].strict = true, true
	h.step("it is time to compare all")
}

func (h *history) adopt() {
	claim, found := h.anyClaim(func(claim int) bool { return h.book.bound[claim] == 0 })
	if !found {
		return
	}
	giveBack := h.random.IntN(3) == 0
	h.world.adopt(claim, giveBack)
	h.adoptions++
	h.book.adopt(claim, -h.adoptions)
	if giveBack {
		h.book.release(-h.adoptions)
	}
	h.step("adopt %d, and give it back: %t", claim, giveBack)
}

func (h *history) any() *export { return &h.exports[h.random.IntN(len(h.exports))] }

func (h *history) beginAny() { h.begin(h.any(), h.hour-h.random.IntN(2)*h.random.IntN(100)) }

// begin begins a run, unless one is under way.
func (h *history) begin(e *export, cutoff int) {
	if e.state != idle {
		return
	}
	h.runs++
	e.state, e.run, e.cutoff, e.seen = reserving, h.runs, cutoff, h.book.snapshot()
	e.expected = e.seen.plain(e.scope)
	if plain := h.world.begin(e.scope, e.expected); !slices.Equal(plain, e.expected) {
		h.fail("a plain query of the database says %v, and one of the model %v", plain, e.expected)
	}
	e.whole, e.strict = e.strict, false
	h.horizon = max(h.horizon, cutoff-lookbackHours)
	h.step("begin run %d of %d to %d", e.run, e.remainder, cutoff)
}

func (h *history) finishAny() { h.finish(h.any()) }

// finish lets a run take what it has reserved, or ends it.
func (h *history) finish(e *export) {
	switch e.state {
	case idle:
	case rendering:
		h.world.commit(e.scope)
		h.book.sequence++
		e.committed, e.state = append(e.committed, e.run), idle
		h.step("commit run %d", e.run)
	case reserving:
		h.decide(e)
	}
}

// decide lets a run take and hold claims. It may be refused where others have written since its snapshot.
func (h *history) decide(e *export) {
	var model decision
	model.claims = e.seen.found(e.scope)
	_, model.watermark = e.seen.newest(e.scope)
	var taken, held []int
	for _, claim := range model.claims {
		if claim%4 == h.unmapped {
			held = append(held, claim)
		} else {
			taken = append(taken, claim)
		}
	}
	after := h.book.snapshot()
	possible, may := after.reserve(&e.seen, e.scope, e.run, taken, held), h.book.sequence != e.seen.sequence
	decided, refused := h.world.decide(e.scope, h.unmapped, model, may, !possible)
	switch {
	case refused && !may:
		h.fail("run %d was refused, though nobody else has written", e.run)
	case refused:
		h.book.release(e.run)
		e.state, e.strict = idle, e.whole
		h.step("run %d has met another", e.run)
	case !possible:
		h.fail("run %d was not refused, though others have what it takes", e.run)
	case !slices.Equal(decided.claims, model.claims) || decided.watermark != model.watermark:
		h.fail("run %d decides of %v in the database, and of %v in the model", e.run, decided, model)
	default:
		h.book, e.state = after, rendering
		if model.watermark {
			h.used++
		}
		h.step("run %d takes %v and holds %v", e.run, taken, held)
	}
	if !refused {
		h.compare(e, decided.claims)
	}
}

// compare compares what a run decided of with what the plain query said: only what was approved into the past may be missing, and only
// until all is compared.
func (h *history) compare(e *export, decided []int) {
	at := -1
	for _, claim := range decided {
		next := slices.Index(e.expected, claim)
		if next <= at {
			h.fail("run %d takes claim %d, which it must not, or twice, or out of order", e.run, claim)
		}
		at = next
	}
	for _, claim := range e.expected {
		switch found := slices.Contains(decided, claim); {
		case found:
		case e.whole:
			h.fail("claim %d was lost by run %d (approved into the past: %t)", claim, e.run, h.past[claim])
		case !h.past[claim]:
			h.fail("claim %d waits, though it was not approved into the past", claim)
		}
	}
}

// release gives back what a run has.
func (h *history) release() {
	e := h.any()
	if e.state == idle {
		return
	}
	if e.state == reserving {
		e.strict = e.strict || e.whole
	}
	h.world.release(e.scope)
	h.book.release(e.run)
	e.state = idle
	h.step("release run %d", e.run)
}

// reverse reverses the last run of an export.
func (h *history) reverse() {
	e := h.any()
	if e.state != idle || len(e.committed) == 0 {
		return
	}
	h.world.reverse(e.scope)
	last := len(e.committed) - 1
	h.book.release(e.committed[last])
	h.step("reverse run %d", e.committed[last])
	e.committed = e.committed[:last]
}

// imagined is a world in which all is as the model has it, but that a run may be refused that need not be.
type imagined struct{}

func (imagined) organisation()         {}
func (imagined) insert(int, int, bool) {}
func (imagined) commitLate()           {}
func (imagined) setApproved(int, bool) {}
func (imagined) fullCheckIsDue()       {}
func (imagined) adopt(int, bool)       {}
func (imagined) release(scope)         {}
func (imagined) commit(scope)          {}
func (imagined) reverse(scope)         {}

func (imagined) begin(_ scope, expected []int) []int { return expected }

func (imagined) decide(_ scope, unmapped int, model decision, may, must bool) (d decision, refused bool) {
	return model, must || may && (len(model.claims)+unmapped)%16 == 0
}
