package watch

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ledgerport/ledgerport/internal/fairqueue"
)

const (
	// workers reconcile objects of one kind at the same time, while one of them waits for the API server.
	workers = 4
	// concurrentChecks lets other resources be looked at while one hangs, and checksPerNamespace those of other namespaces while
	// many of one do.
	concurrentChecks   = 8
	checksPerNamespace = 2
	// tellers send notifications at the same time, tellersPerNamespace those of one namespace, to servers that may hang.
	tellers             = 16
	tellersPerNamespace = 2
	// CheckTimeout bounds one look at a database or destination.
	CheckTimeout = 10 * time.Second
	// reconcileTimeout bounds every reconcile: one that waits for something that never comes is tried again, and frees its worker.
	reconcileTimeout = 5 * time.Minute
	// soonest and latest are when a reconcile that has failed is tried again.
	soonest, latest = 5 * time.Millisecond, 1000 * time.Second
)

// Workers are the options of a controller whose reconciles wait for nothing but the API server. What some thirty runs take is
// within a namespace's burst.
func Workers() controller.Options {
	return options(fairqueue.Limits{Workers: workers, PerNamespace: 2, Share: 0.25, Burst: 3 * time.Second})
}

// Compilers are the options of a controller whose reconciles may take all of a core.
func Compilers() controller.Options {
	return options(fairqueue.Limits{Workers: workers, PerNamespace: 1})
}

// Checkers are the options of a controller whose reconciles wait for servers of others.
func Checkers() controller.Options {
	return options(fairqueue.Limits{Workers: concurrentChecks, PerNamespace: checksPerNamespace})
}

// Tellers are the options of a controller whose reconciles wait for servers of others and that nobody waits for.
func Tellers() controller.Options {
	return options(fairqueue.Limits{Workers: tellers, PerNamespace: tellersPerNamespace})
}

func options(limits fairqueue.Limits) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: limits.Workers, NewQueue: fairqueue.New(limits), ReconciliationTimeout: reconcileTimeout,
		// By object alone: of a rate for all, a tenant whose objects fail by the thousand would take the turns of hours to come.
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](soonest, latest),
	}
}
