package watch

import (
	"context"
	"runtime"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

func TestWhatStaysAsItIsIsLookedAtLessAndLess(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx         context.Context
		works       bool
		since       time.Duration // since when Ready is as it is
		least, most time.Duration
	}{
		"what works since now, at the interval":           {t.Context(), true, 0, 270 * time.Second, 330 * time.Second},
		"what works for two hours, at an eighth of that":  {t.Context(), true, 2 * time.Hour, 810 * time.Second, 990 * time.Second},
		"what works for a year, at the longest interval":  {t.Context(), true, 8760 * time.Hour, 36 * time.Minute, 44 * time.Minute},
		"what is refused at once, soon":                   {t.Context(), false, time.Hour, 9 * time.Second, 11 * time.Second},
		"what hangs since now, soon":                      {over, false, 0, 9 * time.Second, 11 * time.Second},
		"what hangs for a minute, in another minute":      {over, false, time.Minute, time.Minute, 61 * time.Second},
		"what hangs for an hour, at the interval at last": {over, false, time.Hour, 5 * time.Minute, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := []metav1.Condition{{Type: v1alpha1.ConditionReady, LastTransitionTime: metav1.NewTime(time.Now().Add(-test.since))}}
			if wait := NewRecheck(5*time.Minute, 40*time.Minute).AfterLook(test.ctx, test.works, said); wait < test.least || wait > test.most {
				t.Errorf("it is looked at again in %s, want %s to %s", wait, test.least, test.most)
			}
		})
	}
}

func TestWhatIsAskedForAgainAndAgainIsLookedAtOnceInAWhile(t *testing.T) {
	t.Parallel()
	now := clocktesting.NewFakeClock(time.Now())
	queue := workqueue.NewTypedRateLimitingQueueWithConfig(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request](),
		workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Clock: now})
	t.Cleanup(queue.ShutDown)
	wish := event.TypedGenericEvent[types.NamespacedName]{Object: types.NamespacedName{Namespace: "theirs", Name: "claims"}}
	for range 3 {
		for range 100 {
			enqueueSoon().Generic(t.Context(), wish, queue)
		}
		if queue.Len() > 0 {
			t.Fatal("nobody waited")
		}
		for !now.HasWaiters() {
			runtime.Gosched()
		}
		now.Step(asked)
		request, _ := queue.Get()
		queue.Done(request)
		if request.NamespacedName != wish.Object || queue.Len() > 0 {
			t.Errorf("%s is looked at, and %d more; want %s alone", request, queue.Len(), wish.Object)
		}
	}
}
