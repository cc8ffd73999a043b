package door

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
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
				giveBack, taken := p.take(t.Context(), "holder")
				if !taken {
					t.Fatal("there is no place")
				}
				began := time.Now()
				answers := make(chan time.Duration, 100)
				for i := range cap(answers) {
					go func() {
						if _, taken := p.take(context.Background(), test.namespaces[i%len(test.namespaces)]); taken {
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
				if waited != test.wait {
					t.Errorf("%d wait, want %d", waited, test.wait)
				}
				giveBack()
				if _, taken := p.take(t.Context(), "a"); !taken {
					t.Error("the place was not given back")
				}
			})
		})
	}
}
