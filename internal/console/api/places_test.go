package api

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ledgerport/ledgerport/internal/share"
)

// TestCallersThatStayMakeRoom has as many callers as it takes keep all places for half an hour, as downloads and streams that drip do.
func TestCallersThatStayMakeRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(64, 8)
		for caller := range 20 {
			for range 8 {
				ctx, cancel := context.WithCancel(t.Context())
				if giveBack, taken := p.take(fmt.Sprint("caller ", caller), cancel); taken {
					go func() {
						<-ctx.Done()
						giveBack()
					}()
				}
			}
		}
		if _, taken := p.take("other", nil); taken {
			t.Fatal("there was a place left")
		}
		<-time.After(share.PassesOnAfter)
		giveBack, taken := p.take("other", func() {})
		if !taken {
			t.Fatal("somebody else has no place after a minute")
		}
		if _, taken := p.take("other", func() {}); taken {
			t.Error("somebody who has a place was given another's")
		}
		giveBack()
		giveBack()
		synctest.Wait()
		if kept := p.held.Len(); kept != 63 {
			t.Errorf("%d places are kept, want that one was given back once", kept)
		}
	})
}
