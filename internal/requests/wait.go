package requests

import (
	"cmp"
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// Wait returns a run as it has finished, and meanwhile passes it on whenever it changes. A connection that breaks is made again.
func Wait(ctx context.Context, cluster client.WithWatch, run *v1alpha1.ExportRun, changed func(*v1alpha1.ExportRun)) (*v1alpha1.ExportRun, error) {
	newest := run
	gone := fmt.Errorf("ExportRun %s/%s was deleted", run.Namespace, run.Name)
	present := func(store cache.Store) (bool, error) {
		if _, exists, err := store.Get(run); err != nil || !exists {
			return false, cmp.Or(err, gone)
		}
		return false, nil
	}
	_, err := watchtools.UntilWithSync(ctx, only(cluster, run), &v1alpha1.ExportRun{}, present, func(event watch.Event) (bool, error) {
		seen, is := event.Object.(*v1alpha1.ExportRun)
		switch {
		case !is:
			return false, fmt.Errorf("the API server sent %T instead of an ExportRun", event.Object)
		case event.Type == watch.Deleted || seen.UID != run.UID:
			return false, gone
		}
		newest = seen
		changed(seen)
		return seen.Status.Phase.Finished(), nil
	})
	return newest, err
}

// only lists and watches one run.
func only(cluster client.WithWatch, run *v1alpha1.ExportRun) *cache.ListWatch {
	options := func(options metav1.ListOptions) *client.ListOptions {
		return &client.ListOptions{Namespace: run.Namespace, FieldSelector: fields.OneTermEqualSelector("metadata.name", run.Name), Raw: &options}
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, given metav1.ListOptions) (runtime.Object, error) {
			var runs v1alpha1.ExportRunList
			return &runs, cluster.List(ctx, &runs, options(given))
		},
		WatchFuncWithContext: func(ctx context.Context, given metav1.ListOptions) (watch.Interface, error) {
			return cluster.Watch(ctx, &v1alpha1.ExportRunList{}, options(given))
		},
	}
}
