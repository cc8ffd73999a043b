package exportrun

import (
	"context"
	"math"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/executor"
)

// farewellTimeout bounds writing to the runs that are left.
const farewellTimeout = 3 * time.Second

// farewell is the last act of a process that is stopped cleanly: the runs whose attempts it leaves report it, and the next process
// does not take them for lost.
type farewell struct {
	objects  client.Reader // a cache
	api      client.Reader
	writer   client.Client
	executor executor.Executor
	patience time.Duration // with attempts that are under way
}

// Start implements manager.Runnable.
func (f *farewell) Start(ctx context.Context) error {
	<-ctx.Done()
	select {
	case <-f.executor.Stopped():
	case <-time.After(f.patience): // those that are still under way then count as lost
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellTimeout)
	defer cancel()
	var runs v1alpha1.ExportRunList
	if err := f.objects.List(ctx, &runs); err != nil {
		return err
	}
	var writers sync.WaitGroup // all at once: one whose owner edits it all the time takes none of the others' time
	for i := range runs.Items {
		run := &runs.Items[i]
		if queued(current(run)) { // which counts for nothing, and there may be more of them than there is time for
			continue
		}
		if f.executor.Observe(string(run.UID)).Phase == executor.Running || leftBy(f.executor.Holder(), run) == nil {
			continue
		}
		writers.Go(func() {
			if err := f.record(ctx, run); err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "a run that is left does not report it", "namespace", run.Namespace, "name", run.Name)
			}
		})
	}
	writers.Wait()
	return nil
}

// untilTheTimeIsOver has a write tried again for as long as there is time: a tenant that edits a run a hundred times a second would have its attempt
// count as lost otherwise.
var untilTheTimeIsOver = wait.Backoff{Duration: 5 * time.Millisecond, Factor: 1, Jitter: 1, Steps: math.MaxInt}

// record writes that a run is left. What the reconcilers wrote last may be newer than what the cache has.
func (f *farewell) record(ctx context.Context, run *v1alpha1.ExportRun) error {
	return retry.RetryOnConflict(untilTheTimeIsOver, func() error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		before := &v1alpha1.ExportRun{}
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(run), before); err != nil {
			return client.IgnoreNotFound(err)
		}
		after := leftBy(f.executor.Holder(), before)
		if after == nil || after.UID != run.UID {
			return nil
		}
		return report.Patch(ctx, f.writer, before, after)
	})
}

// leftBy returns a run as a process that is stopped leaves it; nil if there is nothing to leave. Most have ended long ago, and are as many as their
// owners like: of those nothing is copied.
func leftBy(holder string, run *v1alpha1.ExportRun) *v1alpha1.ExportRun {
	run = current(run)
	if !heldBy(run, holder) {
		return nil
	}
	after := run.DeepCopy()
	leave(after, holder)
	return after
}
