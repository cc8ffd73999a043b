package executor

import (
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// passOn has an attempt make room for a namespace that has no place, now or when it is time.
func (e *InProcess) passOn() {
	if e.passing != nil {
		e.passing.Stop()
		e.passing = nil
	}
	for now := time.Now(); ; {
		last, to, wait := e.places.passOn(now)
		if last == nil {
			return
		}
		if wait > 0 {
			e.passing = time.AfterFunc(wait, func() {
				e.mu.Lock()
				defer e.mu.Unlock()
				if !e.stopping {
					e.passOn()
				}
			})
			return
		}
		last.leavesTo = to
		e.makeRoom(last, now.Sub(last.began).Round(time.Second))
	}
}

// makeRoom ends the attempt that has a place. One that has not begun with it loses it soon if it does not begin.
func (e *InProcess) makeRoom(last *seat, had time.Duration) {
	for _, a := range e.attempts {
		if &a.seat == last {
			a.log.Info("the attempt makes room for a namespace that has no place, or for one that runs alone", "seconds", had.Seconds())
			a.cancel(failure.Transient(v1alpha1.ReasonPlacePassedOn, nil,
				"the attempt had its place for %s while runs of namespaces waited that had none, or one that runs alone, and made room; the run goes on when it has a place again", had))
		}
	}
}
