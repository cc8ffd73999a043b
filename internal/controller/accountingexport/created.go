package accountingexport

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// unseenWait is how long an export that is being deleted waits before it looks again for a run that the cache lacks.
const unseenWait = time.Second

// created has the name of the run of each export that was created last, until the cache has it. An export that went before that run would leave it
// without what it needs to give its claims back.
type created struct{ names sync.Map }

func (c *created) note(export types.NamespacedName, run string) { c.names.Store(export, run) }

func (c *created) forget(export types.NamespacedName) { c.names.Delete(export) }

// see forgets the run if it is among those that the cache has.
func (c *created) see(export types.NamespacedName, runs []v1alpha1.ExportRun) {
	if name, noted := c.names.Load(export); noted {
		for i := range runs {
			if runs[i].Name == name {
				c.forget(export)
			}
		}
	}
}

// unseen returns the name of the run if the API server has it and the cache does not; else it is empty.
func (c *created) unseen(ctx context.Context, api client.Reader, export *v1alpha1.AccountingExport) (name string, err error) {
	key := client.ObjectKeyFromObject(export)
	noted, is := c.names.Load(key)
	if !is {
		return "", nil
	}
	name = noted.(string)
	run := &metav1.PartialObjectMetadata{}
	run.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ExportRun"))
	err = api.Get(ctx, types.NamespacedName{Namespace: export.Namespace, Name: name}, run)
	if apierrors.IsNotFound(err) {
		c.forget(key)
		return "", nil
	}
	if err != nil || !isKept(run, export) {
		return "", err
	}
	return name, nil
}

// unseen returns the runs of an export that have not finished, and of which the cache does not have that they are of it: those that were kept a moment ago,
// for those who asked for them, and the one that was created last.
func (r *Reconciler) unseen(ctx context.Context, export *v1alpha1.AccountingExport) (names []string, err error) {
	runs, err := r.naming(ctx, export)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		listed := &runs[i]
		if metav1.IsControlledBy(listed, export) || listed.Status.Phase.Finished() {
			continue
		}
		run := &v1alpha1.ExportRun{}
		err := r.Client.Get(ctx, client.ObjectKeyFromObject(listed), run) // which waits for what was written to it
		if client.IgnoreNotFound(err) != nil {
			return nil, err
		}
		if err == nil && isKept(run, export) {
			names = append(names, run.Name)
		}
	}
	last, err := r.created.unseen(ctx, r.api, export)
	if last != "" {
		names = append(names, last)
	}
	return names, err
}

// isKept reports whether a run goes with an export, and has it stay until the claims of the run are given back.
func isKept(run client.Object, export *v1alpha1.AccountingExport) bool {
	return metav1.IsControlledBy(run, export) && controllerutil.ContainsFinalizer(run, v1alpha1.RunFinalizer)
}
