package controllers

import (
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// failingRecheck is how soon something that does not work is looked at again.
const failingRecheck = 10 * time.Second

// Recheck says when resources of one kind are looked at again though nothing tells of a change: at an interval, and at
// once where a run has met a fault.
type Recheck struct {
	interval time.Duration
	asked    chan event.TypedGenericEvent[types.NamespacedName]
}

// NewRecheck makes a Recheck with an interval.
func NewRecheck(interval time.Duration) *Recheck {
	return &Recheck{interval: interval, asked: make(chan event.TypedGenericEvent[types.NamespacedName], 1024)}
}

// After gives the time until the next look, up to a tenth sooner or later, so that many resources do not look at once.
func (r *Recheck) After(works bool) time.Duration {
	interval := r.interval
	if !works {
		interval = min(interval, failingRecheck)
	}
	return interval + time.Duration((rand.Float64()-0.5)*0.2*float64(interval)) // #nosec G404 -- spreading load is no secret
}

// Ask asks for a look at once. Where too many are asked for already, the interval will do.
func (r *Recheck) Ask(resource types.NamespacedName) {
	select {
	case r.asked <- event.TypedGenericEvent[types.NamespacedName]{Object: resource}:
	default:
	}
}

// asks is the source of what was asked for.
func (r *Recheck) asks() source.Source { return source.TypedChannel(r.asked, enqueueNamed()) }
