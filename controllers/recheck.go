package controllers

import (
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// failingRecheck is how soon something that does not work is looked at again.
const failingRecheck = 10 * time.Second

// Recheck is how often databases, destinations and Secrets are looked at again though nothing tells of a change.
type Recheck time.Duration

// After gives the time until the next look, up to a tenth sooner or later, so that many resources do not look at once.
func (r Recheck) After(works bool) time.Duration {
	interval := time.Duration(r)
	if !works {
		interval = min(interval, failingRecheck)
	}
	return interval + time.Duration((rand.Float64()-0.5)*0.2*float64(interval)) // #nosec G404 -- spreading load is no secret
}

// stampCheck records the time of a check, but only where the status changes anyway: a look that finds nothing new
// writes nothing.
func stampCheck[S any](before, after S, at **metav1.Time, now time.Time) {
	if *at == nil || !equality.Semantic.DeepEqual(before, after) {
		*at = &metav1.Time{Time: now}
	}
}
