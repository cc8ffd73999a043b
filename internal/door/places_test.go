package door

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ledgerport/ledgerport/internal/share"
)

// TestFewWaitForAPlace has many more ask than there are places: each that waits keeps a request of the API server.
func TestFewWaitForAPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		namespaces []string
		wait       int
	}{
		"of one namespace": {[]string{"a"}, mostWaitingOfOne},
		"of all":           {[]string{"a", "b", "c", "d", "e", "f", "g", "h"}, mostWaiting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPlaces(1, 1, 5*time.Second)
				giveBack, taken := p.take(t.Context(), "holder", nil)
				if !taken {
					t.Fatal("there is no place")
				}
				began := time.Now()
				answers := make(chan time.Duration, 100)
				for i := range cap(answers) {
					go func() {
						if _, taken := p.take(context.Background(), test.namespaces[i%len(test.namespaces)], nil); taken {
							t.Error("a place was taken twice")
						}
						answers <- time.Since(began)
					}()
				}
				waited := 0
				for range cap(answers) {
					if <-answers > 0 {
						waited++
					}
				}
				if waited > test.wait || waited < test.wait-2 { // who comes last may be one who waits for as much as is left
					t.Errorf("%d wait, want %d", waited, test.wait)
				}
				giveBack()
				if _, taken := p.take(t.Context(), "a", nil); !taken {
					t.Error("the place was not given back")
				}
			})
		})
	}
}

// TestGreedyNamespacesLeaveRoom has four namespaces have everything of their own, and as many wait as may.
func TestGreedyNamespacesLeaveRoom(t *testing.T) {
	t.Parallel()
	for name, all := range map[string]int64{"a place that is free is given at once": 5, "a place that comes free is waited for": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPlaces(all, 1, 5*time.Second)
				for _, namespace := range []string{"a", "b", "c", "d"} {
					for range 2 * mostWaitingOfOne {
						go func() {
							if giveBack, taken := p.take(context.Background(), namespace, nil); taken {
								<-time.After(time.Second)
								giveBack()
							}
						}()
					}
					synctest.Wait()
				}
				began := time.Now()
				giveBack, taken := p.take(t.Context(), "other", nil)
				if took := time.Since(began); !taken || all > 4 && took > 0 || took > time.Second {
					t.Fatalf("somebody else has a place: %t, after %s", taken, took)
				}
				giveBack()
				<-time.After(time.Minute)
				if len(p.namespaces) > 0 || p.waiting > 0 {
					t.Errorf("%d namespaces are kept in mind, and %d wait", len(p.namespaces), p.waiting)
				}
			})
		})
	}
}

// TestNamespacesThatStayMakeRoom has as many namespaces as there are places keep them with transfers that go on and on.
func TestNamespacesThatStayMakeRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(4, 4, 5*time.Second)
		keep := func(namespace string) (giveBack func(), ended <-chan struct{}) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			giveBack, taken := p.take(ctx, namespace, cancel)
			if !taken {
				t.Fatalf("%s has no place", namespace)
			}
			return giveBack, ctx.Done()
		}
		first, ended := keep("a")
		for _, namespace := range []string{"b", "c", "d"} {
			<-time.After(time.Second)
			keep(namespace)
		}
		if _, taken := p.take(t.Context(), "other", nil); taken {
			t.Error("a transfer that has just begun was ended")
		}
		<-time.After(share.PassesOnAfter)
		began := time.Now()
		giveBack, _ := keep("other")
		if waited := time.Since(began); waited > 0 {
			t.Errorf("somebody else waited for %s", waited)
		}
		<-ended
		first()
		if _, taken := p.take(t.Context(), "other", nil); taken {
			t.Error("a place was taken twice")
		}
		giveBack()
		keep("other")
	})
}
