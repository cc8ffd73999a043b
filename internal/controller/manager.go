package controller

import (
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/internal/nesting"
)

// NewManager returns a manager whose client and cache are for objects of tenants who do not trust each other: nothing that one stores
// ends the lists and watches of all, the cache keeps of each object what is read, of a large one a part, and never has many of them whole
// at once, and no List waits for another tenant's writes. A reconcile sees what the one before it wrote.
func NewManager(config *rest.Config, options ctrl.Options) (ctrl.Manager, error) {
	config = rest.CopyConfig(config)
	config.Wrap(nesting.Limit)
	if options.Client.Cache == nil {
		options.Client.Cache = &client.CacheOptions{}
	}
	options.Client.Cache.EnableReadYourWritesConsistency = ptr.To(true)
	options.NewClient = NewClient
	options.Cache.DefaultTransform = lean
	options.Cache.NewInformer = newInformer
	return ctrl.NewManager(config, options)
}
