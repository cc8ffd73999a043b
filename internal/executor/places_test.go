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
	p.add(long)
	want(long, morning, "the first")
	for _, s := range []*seat{suspect, short, longer} {
		p.add(s)
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
				p.add(s)
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
				p.add(&seat{namespace: fmt.Sprint(namespace), longest: time.Second})
			}
		}
		running := p.next(morning)
		mine := &seat{namespace: "mine", longest: time.Second}
		p.add(mine)
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
