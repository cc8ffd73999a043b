package watch

import (
	"context"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
)

// asked is how soon something is looked at that was asked for, and how long at least after the look before: runs of many namespaces
// may meet the same fault, or one of them again and again.
const asked = 2 * time.Second

// Failing is how soon something that does not work is looked at again.
const Failing = 10 * time.Second

// Recheck says when resources of one kind are looked at again though nothing tells of a change: at an interval, less often what has worked
// for long, and soon where a run has met a fault.
type Recheck struct {
	interval, longest time.Duration
	asked             chan event.TypedGenericEvent[types.NamespacedName]
}

// NewRecheck makes a Recheck with an interval, and the longest one, of what has worked for long.
func NewRecheck(interval, longest time.Duration) *Recheck {
	return &Recheck{interval: interval, longest: longest, asked: make(chan event.TypedGenericEvent[types.NamespacedName], 1024)}
}

// restful is how many times as long something has worked as it is left alone.
const restful = 8

// After returns the time until the next look, up to a tenth sooner or later, so that many resources do not look at once.
func (r *Recheck) After(works bool) time.Duration {
	if !works {
		return spread(min(r.interval, Failing))
	}
	return spread(r.interval)
}

func spread(interval time.Duration) time.Duration {
	return interval + time.Duration((rand.Float64()-0.5)*0.2*float64(interval)) // #nosec G404 -- spreading load is no secret
}

// AfterLook is After for a look that has just ended. What has worked for long is looked at less often, up to the longest interval. A look
// that took all the time it had is no use to repeat soon: a server hangs, and as long as it hangs each look takes a worker. It is looked
// at again when it has been so for as long again.
func (r *Recheck) AfterLook(ctx context.Context, works bool, now []metav1.Condition) time.Duration {
	ready := meta.FindStatusCondition(now, v1alpha1.ConditionReady)
	if ready == nil {
		return r.After(works)
	}
	since := time.Since(ready.LastTransitionTime.Time)
	if works {
		return spread(max(r.interval, min(since/restful, r.longest)))
	}
	wait := r.After(false)
	if ctx.Err() == nil {
		return wait
	}
	return min(max(wait, since), max(wait, r.interval))
}

// Ask asks for a look soon. Where too many are asked for already, the interval will do.
func (r *Recheck) Ask(resource types.NamespacedName) {
	select {
	case r.asked <- event.TypedGenericEvent[types.NamespacedName]{Object: resource}:
	default:
	}
}

// Asks is the source of what was asked for.
func (r *Recheck) Asks() source.Source { return source.TypedChannel(r.asked, enqueueSoon()) }

// enqueueSoon enqueues the object that an event names after a while, once for all events until then.
func enqueueSoon() handler.TypedEventHandler[types.NamespacedName, reconcile.Request] {
	return handler.TypedFuncs[types.NamespacedName, reconcile.Request]{
		GenericFunc: func(_ context.Context, e event.TypedGenericEvent[types.NamespacedName], queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			queue.AddAfter(reconcile.Request{NamespacedName: e.Object}, asked)
		},
	}
}

// UntilStale shortens the wait for the next look to the time at which the sync of the credentials gets too old.
func UntilStale(wait time.Duration, found credentials.Credentials) time.Duration {
	if found.StaleAt.IsZero() {
		return wait
	}
	return min(wait, max(time.Until(found.StaleAt), time.Millisecond))
}
