package server

import (
	"testing"
	"time"
)

func TestSeveralBusyCallersLeaveRoom(t *testing.T) {
	t.Parallel()
	limits := newLimiter(DefaultLimits)
	at := time.Now()
	for _, caller := range []string{"admin", "clerk", "application"} {
		for range 20 { // seconds, so that its pace is no limit
			at = at.Add(time.Second)
			for range DefaultLimits.Rate {
				_, _ = limits.take(caller, at)
			}
		}
	}
	for range 100 {
		if _, refused := limits.take("other", at); refused != nil {
			t.Fatalf("somebody else is refused: %s", refused.Detail)
		}
	}
}
