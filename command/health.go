package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// kinds that the operator works with, by the names of their resources.
var kinds = map[string]client.Object{
	"accountingexports":  &v1alpha1.AccountingExport{},
	"chartsofaccounts":   &v1alpha1.ChartOfAccounts{},
	"claimsources":       &v1alpha1.ClaimSource{},
	"exportdestinations": &v1alpha1.ExportDestination{},
	"exportruns":         &v1alpha1.ExportRun{},
}

// crdOf is the name of the CustomResourceDefinition of a resource.
func crdOf(resource string) string { return resource + "." + v1alpha1.GroupVersion.Group }

const (
	// servedFor is how long an answer of the API server about the kinds that it serves is taken for true.
	servedFor = time.Second
	// missingRecheck is how often an operator that cannot begin looks for the kinds that it misses.
	missingRecheck = 2 * time.Second
)

// kindWatch knows whether the cluster has the operator's kinds. The reconcilers are set up when all are there, and the
// operator is ready while they are and its caches have seen them.
type kindWatch struct {
	manager ctrl.Manager
	asking  discovery.ServerResourcesInterface
	setup   func() error
	log     logr.Logger
	begun   chan struct{} // closed when the reconcilers were set up

	mu      sync.Mutex
	asked   time.Time
	missing []string // names of CRDs
}

// addKinds calls setup when the cluster has all kinds for the first time. The operator is ready while all checks that are returned pass, which ask
// whether it has them still.
func addKinds(mgr ctrl.Manager, setup func() error) (map[string]healthz.Checker, error) {
	config := rest.CopyConfig(mgr.GetConfig())
	config.Timeout = servedFor // a probe does not wait longer
	asking, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	ready := map[string]healthz.Checker{}
	w := &kindWatch{manager: mgr, asking: asking, setup: setup, log: mgr.GetLogger(), begun: make(chan struct{})}
	for resource, kind := range kinds {
		ready[crdOf(resource)] = func(request *http.Request) error { return w.ready(request.Context(), resource, kind) }
	}
	return ready, mgr.Add(w)
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica fills its caches.
func (w *kindWatch) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable: it waits until the cluster has all kinds, and sets the reconcilers up.
func (w *kindWatch) Start(ctx context.Context) error {
	tick := time.NewTicker(missingRecheck)
	defer tick.Stop()
	for len(w.look(ctx)) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	if err := w.setup(); err != nil {
		return err
	}
	close(w.begun)
	return nil
}

// ready tells why the operator cannot work on a kind.
func (w *kindWatch) ready(ctx context.Context, resource string, kind client.Object) error {
	if slices.Contains(w.look(ctx), crdOf(resource)) {
		return fmt.Errorf("CustomResourceDefinition %s is missing: apply config/crd", crdOf(resource))
	}
	select {
	case <-w.begun:
	default:
		return errors.New("waits for other CustomResourceDefinitions before it begins")
	}
	informer, err := w.manager.GetCache().GetInformer(ctx, kind, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	if !informer.HasSynced() {
		return fmt.Errorf("the cache has not seen all %s yet", resource)
	}
	return nil
}

// look returns the names of the CRDs that the cluster lacks. While the API server does not answer, its last answer counts.
func (w *kindWatch) look(ctx context.Context) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.asked) < servedFor {
		return w.missing
	}
	served, err := w.asking.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil && !apierrors.IsNotFound(err) {
		if ctx.Err() == nil && w.asked.IsZero() {
			w.log.Error(err, "asking the API server which kinds it serves")
			return []string{"(unknown)"}
		}
		return w.missing
	}
	w.asked = time.Now()
	var missing []string
	for resource := range kinds {
		if served == nil || !slices.ContainsFunc(served.APIResources, func(has metav1.APIResource) bool { return has.Name == resource }) {
			missing = append(missing, crdOf(resource))
		}
	}
	slices.Sort(missing)
	if !slices.Equal(missing, w.missing) {
		w.tell(missing)
	}
	w.missing = missing
	return missing
}

func (w *kindWatch) tell(missing []string) {
	if len(missing) == 0 {
		w.log.Info("the cluster has all CustomResourceDefinitions again")
		return
	}
	w.log.Error(nil, "the operator is not ready: CustomResourceDefinitions are missing; apply config/crd", "missing", strings.Join(missing, ", "))
}
