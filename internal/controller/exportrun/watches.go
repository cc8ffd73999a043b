package exportrun

import (
	"cmp"
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
)

// enqueueRunsOfExport enqueues the unfinished runs of an export when it changes.
func enqueueRunsOfExport(c client.Client) watch.Finder {
	return watch.NewFanout[client.Object](func(ctx context.Context, export types.NamespacedName) []reconcile.Request {
		var requests []reconcile.Request
		runs := runsOf(ctx, c, export.Namespace, export.Name)
		for i := range runs {
			if !runs[i].Status.Phase.Finished() {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&runs[i])})
			}
		}
		return requests
	})
}

// runsOf returns the runs of an export. They are the cache's own, to be read only.
func runsOf(ctx context.Context, c client.Client, namespace, export string) []v1alpha1.ExportRun {
	var runs v1alpha1.ExportRunList
	err := c.List(ctx, &runs, client.InNamespace(namespace), client.MatchingFields{watch.ExportIndex: export})
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing the runs of an export")
	}
	return runs.Items
}

// enqueueRunsAt enqueues the finished runs that have delivered to a destination, and those of the exports that deliver to it, of which
// an operator before this one has not noted where: whether their artifacts go with them is for the destination to say.
func enqueueRunsAt(c client.Client) watch.Finder {
	return watch.NewFanout[client.Object](func(ctx context.Context, destination types.NamespacedName) (requests []reconcile.Request) {
		var delivered v1alpha1.ExportRunList
		key := destination.String()
		if err := c.List(ctx, &delivered, client.MatchingFields{watch.RunDestinationIndex: key}); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "listing the runs that have delivered to a destination")
		}
		for i := range delivered.Items {
			if delivered.Items[i].Status.Phase.Finished() {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&delivered.Items[i])})
			}
		}
		for _, export := range watch.ExportRequests(ctx, c, client.MatchingFields{watch.DestinationIndex: key}) {
			runs := runsOf(ctx, c, export.Namespace, export.Name)
			for i := range runs {
				if runs[i].Status.Phase.Finished() && runs[i].Status.DestinationRef == nil {
					requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&runs[i])})
				}
			}
		}
		return requests
	}).Later()
}

// enqueueNextRun enqueues the run whose turn it is when another run of the export no longer keeps it waiting. The others go on
// waiting: to wake all of them each time would take a time that grows with the square of their number.
func enqueueNextRun(c client.Client) watch.Finder {
	waiting := watch.NewFanout[client.Object](func(ctx context.Context, export types.NamespacedName) []reconcile.Request {
		if next := nextOf(runsOf(ctx, c, export.Namespace, export.Name)); next != nil {
			return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(next)}}
		}
		return nil
	})
	ask := func(ended *v1alpha1.ExportRun) {
		waiting.Ask(types.NamespacedName{Namespace: ended.Namespace, Name: ended.Spec.ExportRef.Name}, true)
	}
	return nextRun{waiting, handler.Funcs{
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			before, after := e.ObjectOld.(*v1alpha1.ExportRun), e.ObjectNew.(*v1alpha1.ExportRun)
			if keepsWaiting(before) && (!keepsWaiting(after) || before.UID != after.UID) {
				ask(after)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			if ended := e.Object.(*v1alpha1.ExportRun); keepsWaiting(ended) {
				ask(ended)
			}
		},
	}}
}

// nextRun asks for the next run where one ends.
type nextRun struct {
	source.Source
	handler.Funcs
}

// moreThanTold passes on what changes anything of a run but what its status tells of its waiting. Nothing is decided by that, and a run that
// was looked at because it had told how many are before it would tell that anew: thousands of them, as fast as the API server writes.
var moreThanTold = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	was, isRun := e.ObjectOld.(*v1alpha1.ExportRun)
	is, areRuns := e.ObjectNew.(*v1alpha1.ExportRun)
	if !isRun || !areRuns || was.ResourceVersion == is.ResourceVersion { // a look at all of them
		return true
	}
	before, after := *was, *is
	after.ResourceVersion, after.ManagedFields = before.ResourceVersion, before.ManagedFields
	after.Status.Conditions, after.Status.ObservedGeneration = before.Status.Conditions, before.Status.ObservedGeneration
	before.Status.Phase, after.Status.Phase = cmp.Or(before.Status.Phase, v1alpha1.RunPending), cmp.Or(after.Status.Phase, v1alpha1.RunPending)
	return !equality.Semantic.DeepEqual(&before, &after)
}}

// readinessChanged passes on what changes whether the references of an export are ready, or what its waiting runs say of one
// that is not.
var readinessChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, was := e.ObjectOld.(*v1alpha1.AccountingExport)
	after, is := e.ObjectNew.(*v1alpha1.AccountingExport)
	return was && is && !equality.Semantic.DeepEqual(unready(before), unready(after))
}}

// retentionChanged passes on edits of whether artifacts go with their runs.
var retentionChanged = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false }, // at the start every run is looked at
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, was := e.ObjectOld.(*v1alpha1.ExportDestination)
		after, is := e.ObjectNew.(*v1alpha1.ExportDestination)
		return was && is && before.Spec.Retention != after.Spec.Retention
	},
}
