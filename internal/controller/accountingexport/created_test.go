package accountingexport

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
)

// late is a cache that has heard of no run yet.
type late struct{ has bool }

// list is that of the interceptor.
func (l *late) list(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
	if !l.has {
		return nil
	}
	return c.List(ctx, list, options...)
}

func TestAnExportStaysForARunThatTheCacheDoesNotHaveYet(t *testing.T) {
	t.Parallel()
	ctx, cache := t.Context(), &late{}
	scheme := runtime.NewScheme()
	must(t, v1alpha1.AddToScheme(scheme))
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "monthly", UID: "the-export", Finalizers: []string{v1alpha1.ExportFinalizer}}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(export).WithInterceptorFuncs(interceptor.Funcs{List: cache.list}).
		WithIndex(&v1alpha1.ExportRun{}, watch.ExportIndex, func(run client.Object) []string { return []string{run.(*v1alpha1.ExportRun).Spec.ExportRef.Name} }).Build()
	r := &Reconciler{Recorder: &report.Recorder{Client: c, Events: events.NewFakeRecorder(10)}, api: c}
	must(t, c.Get(ctx, client.ObjectKeyFromObject(export), export))
	run, err := r.create(ctx, export, newRun(export, "monthly-1"))
	must(t, err)

	must(t, c.Delete(ctx, export))
	goes := func() bool {
		must(t, c.Get(ctx, client.ObjectKeyFromObject(export), export))
		_, err := r.letGo(ctx, export)
		must(t, err)
		return apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(export), &v1alpha1.AccountingExport{}))
	}
	if goes() {
		t.Fatal("it is gone, and leaves a run that was created for it")
	}
	cache.has = true
	if goes() {
		t.Fatal("it is gone before its run has ended")
	}
	must(t, c.Get(ctx, client.ObjectKeyFromObject(run), run))
	if run.DeletionTimestamp.IsZero() {
		t.Error("its run is not ended")
	}
	run.Finalizers = nil
	must(t, c.Update(ctx, run))
	if !goes() {
		t.Error("it stays, though its run is gone")
	}
}

// TestAnExportStaysForARunOfWhichTheCacheDoesNotHaveThatItIsKept has a run that a person made, and that has got its finalizer and its owner a moment ago.
func TestAnExportStaysForARunOfWhichTheCacheDoesNotHaveThatItIsKept(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	scheme := runtime.NewScheme()
	must(t, v1alpha1.AddToScheme(scheme))
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "monthly", UID: "the-export", Finalizers: []string{v1alpha1.ExportFinalizer}}}
	kept := newRun(export, "by-hand")
	kept.Namespace, kept.Finalizers = export.Namespace, []string{v1alpha1.RunFinalizer}
	must(t, controllerutil.SetControllerReference(export, kept, scheme))
	before := func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		err := c.List(ctx, list, options...)
		runs := list.(*v1alpha1.ExportRunList)
		for i := range runs.Items {
			runs.Items[i].OwnerReferences, runs.Items[i].Finalizers = nil, nil
		}
		return err
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(export, kept).WithInterceptorFuncs(interceptor.Funcs{List: before}).
		WithIndex(&v1alpha1.ExportRun{}, watch.ExportIndex, func(run client.Object) []string { return []string{run.(*v1alpha1.ExportRun).Spec.ExportRef.Name} }).Build()
	r := &Reconciler{Recorder: &report.Recorder{Client: c, Events: events.NewFakeRecorder(10)}, api: c}
	must(t, c.Delete(ctx, export))
	must(t, c.Get(ctx, client.ObjectKeyFromObject(export), export))
	result, err := r.letGo(ctx, export)
	must(t, err)
	if err := c.Get(ctx, client.ObjectKeyFromObject(export), export); err != nil || result.RequeueAfter == 0 {
		t.Errorf("it is gone, and leaves a run that has begun with it (%v, %s)", err, result.RequeueAfter)
	}
}

func TestAnExportGoesIfItsLastRunIsGoneBeforeTheCacheHasHeardOfIt(t *testing.T) {
	t.Parallel()
	var runs created
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "monthly"}}
	runs.note(client.ObjectKeyFromObject(export), "monthly-1")
	scheme := runtime.NewScheme()
	must(t, v1alpha1.AddToScheme(scheme))
	for range 2 { // the second time nobody is asked
		if name, err := runs.unseen(t.Context(), fake.NewClientBuilder().WithScheme(scheme).Build(), export); name != "" || err != nil {
			t.Errorf("it waits for %q (%v)", name, err)
		}
	}
	if _, noted := runs.names.Load(client.ObjectKeyFromObject(export)); noted {
		t.Error("the run is remembered for ever")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
