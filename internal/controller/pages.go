package controller

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
)

// objectsOfPage is how many objects are in memory as they are stored while a list is read: an object may have more than a megabyte, and
// takes several times that while it is decoded.
const objectsOfPage = 10

// newInformer returns an informer that never has all objects as they are stored in memory. An API server that streams lists sends one
// after the other. From one that does not, Kubernetes before 1.34, a list is read in small pages, which only the storage returns: from its
// own cache the server returns all at once, whatever the limit.
func newInformer(from toolscache.ListerWatcher, object runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	unpaged := toolscache.ToListerWatcherWithContext(from)
	return toolscache.NewSharedIndexInformer(&toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return listInPages(ctx, unpaged, options)
		},
		WatchFuncWithContext: unpaged.WatchWithContext,
	}, object, resync, indexers)
}

// listInPages returns a whole list of lean objects.
func listInPages(ctx context.Context, from toolscache.ListerWithContext, options metav1.ListOptions) (runtime.Object, error) {
	options.ResourceVersion, options.ResourceVersionMatch = "", "" // the newest, and in pages
	options.Limit, options.Continue = objectsOfPage, ""
	var items []runtime.Object
	for {
		page, err := from.ListWithContext(ctx, options)
		if err != nil {
			return nil, err
		}
		list, err := meta.ListAccessor(page)
		if err != nil {
			return nil, err
		}
		err = meta.EachListItemWithAlloc(page, func(item runtime.Object) error {
			_, err := lean(item)
			items = append(items, item)
			return err
		})
		if err != nil {
			return nil, err
		}
		if options.Continue = list.GetContinue(); options.Continue == "" {
			list.SetRemainingItemCount(nil)
			return page, meta.SetList(page, items)
		}
	}
}
