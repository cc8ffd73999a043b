package executor

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var morning = time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)

func TestPlacesOfOneThatRunsAlone(t *testing.T) {
	t.Parallel()
	p := newPlaces(Limits{Runs: 2, RunsPerNamespace: 2})
	want := func(s *seat, now time.Time, what string) {
		t.Helper()
		if got := p.next(now); got != s {
			t.Fatalf("%s: got %+v, want %+v", what, got, s)
		}
	}
	long := &seat{namespace: "a", longest: time.Hour}
	suspect := &seat{namespace: "b", longest: time.Minute, alone: true}
	short, longer := &seat{namespace: "c", longest: time.Minute}, &seat{namespace: "d", longest: 2 * time.Hour}
	p.add(long, morning)
	want(long, morning, "the first")
	for _, s := range []*seat{suspect, short, longer} {
		p.add(s, morning)
	}
	want(short, morning, "one that ends before the long one does")
	want(nil, morning, "all places are taken")
	p.release(short)
	want(nil, morning, "one that would end after the long one does waits for the suspect")
	p.release(long)
	want(suspect, morning, "the suspect is alone")
	want(nil, morning, "nothing runs beside the suspect")
	p.release(suspect)
	want(longer, morning, "the one that waited")
}

// TestPlaces draws what namespaces ask for, and how long it takes, and looks at every moment.
func TestPlaces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{Runs: rapid.IntRange(1, 5).Draw(t, "runs"), RunsPerNamespace: rapid.IntRange(0, 3).Draw(t, "per namespace")}
		p := newPlaces(limits)
		now := morning
		waiting := map[*seat]time.Time{}
		places := map[string]int{}
		running := map[*seat]bool{}
		fill := func() {
			for s := p.next(now); s != nil; s = p.next(now) {
				if _, waits := waiting[s]; !waits {
					t.Fatal("a seat that does not wait got a place")
				}
				delete(waiting, s)
				running[s] = true
				places[s.namespace]++
				if len(running) > limits.Runs || places[s.namespace] > limits.perNamespace() {
					t.Fatalf("%d run, %d of them of %s; the limits are %+v", len(running), places[s.namespace], s.namespace, limits)
				}
				for other := range running {
					if other.alone && len(running) > 1 {
						t.Fatal("something runs beside one that is to run alone")
					}
				}
			}
			if len(running) == 0 && len(waiting) > 0 {
				t.Fatalf("%d wait and nothing runs", len(waiting))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) {
				s := &seat{
					namespace: fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "namespace")),
					longest:   time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds")) * time.Second,
					alone:     rapid.IntRange(0, 9).Draw(t, "suspect") == 0,
				}
				waiting[s] = now
				p.add(s, morning)
				fill()
			},
			"pass": func(*rapid.T) {
				now = now.Add(10 * time.Second)
				for s := range running {
					if !s.ends.After(now) {
						delete(running, s)
						places[s.namespace]--
						p.release(s)
					}
				}
				fill()
			},
			"cancel": func(*rapid.T) {
				for s := range waiting {
					delete(waiting, s)
					p.withdraw(s)
					break
				}
				fill()
			},
			"": func(t *rapid.T) {
				for s, since := range waiting {
					// Each namespace has a turn before another has two: those before it are as many turns, and each takes
					// no longer than the longest attempt, as long as it waits for one that runs alone.
					turns := time.Duration(len(waiting)+len(running)+1) * 2
					if now.Sub(since) > turns*110*time.Second+time.Hour {
						t.Fatalf("a seat of %s waits since %s", s.namespace, now.Sub(since))
					}
					if before := p.before(s); before < 0 || before >= len(waiting) {
						t.Fatalf("%d are before one of %d that wait", before, len(waiting))
					}
				}
			},
		})
	})
}

// TestNoNamespaceWaitsForTheRestOfAnother is the property of turns: one that comes to a queue waits for at most one attempt of
// each other namespace, however many those have.
func TestNoNamespaceWaitsForTheRestOfAnother(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPlaces(Limits{Runs: 1, RunsPerNamespace: 1})
		others := rapid.IntRange(1, 8).Draw(t, "others")
		for namespace := range others {
			for range rapid.IntRange(1, 50).Draw(t, "attempts") {
				p.add(&seat{namespace: fmt.Sprint(namespace), longest: time.Second}, morning)
			}
		}
		running := p.next(morning)
		mine := &seat{namespace: "mine", longest: time.Second}
		p.add(mine, morning)
		told := p.before(mine)
		waited := 0
		for ; running != mine; waited++ {
			p.release(running)
			running = p.next(morning)
		}
		if waited > others+1 || waited != told+1 {
			t.Fatalf("%d others ran before it, of %d namespaces; it was told %d", waited, others, told)
		}
	})
}

// TestAPlaceIsPassedOn has two namespaces keep all places for an hour, and others come.
func TestAPlaceIsPassedOn(t *testing.T) {
	t.Parallel()
	p := newPlaces(Limits{Runs: 4})
	now := morning
	of := func(namespace string) *seat { return &seat{namespace: namespace, longest: time.Hour} }
	passOn := func(last *seat, to string, wait time.Duration) {
		t.Helper()
		if is, whose, in := p.passOn(now); is != last || whose != to || in != wait {
			t.Fatalf("%+v makes room for %q in %s; want %+v, for %q in %s", is, whose, in, last, to, wait)
		}
	}
	come := func(s *seat, has bool) {
		t.Helper()
		p.add(s, now)
		if p.next(now) == s != has {
			t.Fatalf("that one of %s has a place is not %t", s.namespace, has)
		}
		now = now.Add(time.Second)
	}
	leave := func(s *seat, to string, next *seat) {
		t.Helper()
		s.leavesTo = to
		passOn(nil, "", 0) // one at a time
		p.release(s)
		if got := p.next(now); got != next {
			t.Fatalf("the place is passed on to %+v, want %+v", got, next)
		}
	}
	a1, a2, b1, b2 := of("a"), of("a"), of("b"), of("b")
	for _, s := range []*seat{a1, b1, a2} {
		come(s, true)
	}
	passOn(nil, "", 0) // there is a place
	come(b2, true)
	come(of("a"), false)
	passOn(nil, "", 0) // nobody waits who has none
	c1 := of("c")
	come(c1, false)
	passOn(b2, "c", passesOnOfSeveral-time.Second)
	now = now.Add(passesOnOfSeveral)
	passOn(b2, "c", 0)
	leave(b2, "c", c1)
	d1, e1 := of("d"), of("e")
	come(d1, false)
	passOn(a2, "d", passesOnOfSeveral-time.Second)
	now = now.Add(passesOnOfSeveral)
	leave(a2, "d", d1)
	come(e1, false)
	passOn(d1, "e", passesOn-time.Second)
	now = now.Add(passesOn)
	leave(d1, "e", e1)
	p.add(d1, now)
	passOn(e1, "d", passesOn)
	p.withdraw(d1)
	passOn(nil, "", 0)
}

// TestNobodyWaitsLongForThoseWhoStay draws how many namespaces keep places for as long as they may, and ask for the next as soon as they have lost one.
func TestNobodyWaitsLongForThoseWhoStay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPlaces(Limits{Runs: rapid.IntRange(1, 5).Draw(t, "runs"), RunsPerNamespace: rapid.IntRange(0, 3).Draw(t, "per namespace")})
		now := morning
		hogs := rapid.IntRange(1, 6).Draw(t, "hogs")
		for hog := range hogs {
			for range 5 {
				p.add(&seat{namespace: fmt.Sprint(hog), longest: time.Hour}, now)
			}
		}
		for p.next(now) != nil {
		}
		now = now.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "seconds")) * time.Second)
		mine := &seat{namespace: "mine", longest: time.Minute}
		p.add(mine, now)
		for {
			for s := p.next(now); s != nil; s = p.next(now) {
				if s == mine {
					if waited, most := now.Sub(mine.asked), time.Duration(hogs+1)*passesOn; waited > most {
						t.Fatalf("it waited for %s, want %s at most", waited, most)
					}
					return
				}
			}
			last, to, wait := p.passOn(now)
			if last == nil {
				t.Fatal("it waits for what does not end")
			}
			if now = now.Add(wait); wait == 0 {
				last.leavesTo = to
				p.release(last)
				p.add(&seat{namespace: last.namespace, longest: time.Hour}, now)
			}
		}
	})
}
