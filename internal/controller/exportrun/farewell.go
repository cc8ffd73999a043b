package exportrun

import (
	"context"
	"time"

	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/executor"
)

// farewellTimeout bounds writing to the runs that are left.
const farewellTimeout = 3 * time.Second

// farewell is the last act of a process that is stopped cleanly: the runs whose attempts it leaves say so, and the next process
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
	if err := f.objects.List(ctx, &runs, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	for i := range runs.Items {
		if queued(&runs.Items[i]) { // which counts for nothing, and there may be more of them than there is time for
			continue
		}
		left := runs.Items[i].DeepCopy()
		if f.executor.Observe(string(left.UID)).Phase == executor.Running || !leave(left, f.executor.Holder()) {
			continue
		}
		if err := f.record(ctx, left); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "a run that is left does not say so", "namespace", left.Namespace, "name", left.Name)
		}
	}
	return nil
}

// record writes that a run is left. What the reconcilers wrote last may be newer than what the cache has.
func (f *farewell) record(ctx context.Context, run *v1alpha1.ExportRun) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		before := &v1alpha1.ExportRun{}
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(run), before); err != nil {
			return client.IgnoreNotFound(err)
		}
		after := before.DeepCopy()
		if after.UID != run.UID || !leave(after, f.executor.Holder()) {
			return nil
		}
		return report.Patch(ctx, f.writer, before, after)
	})
}
