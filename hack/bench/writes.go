package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

// writersAtOnce is how many clients make the writes of runs again: as many as attempts run at the same time.
const writersAtOnce = 4

// writesAlone is what API server and etcd take for the writes of a run, in milliseconds of processors, when nobody reads, watches or runs anything: what is
// written of each run is written once more, by a client that does nothing else, while no operator runs.
func (g *ground) writesAlone(ctx context.Context) (apiServer, etcd float64, err error) {
	var runs v1alpha1.ExportRunList
	var exports v1alpha1.AccountingExportList
	if err := errors.Join(g.api.List(ctx, &runs), g.api.List(ctx, &exports)); err != nil {
		return 0, 0, err
	}
	of := map[client.ObjectKey]*v1alpha1.AccountingExport{}
	for i := range exports.Items {
		of[client.ObjectKeyFromObject(&exports.Items[i])] = &exports.Items[i]
	}
	apiServerPid, etcdPid, err := g.controlPlane.Pids()
	if err != nil {
		return 0, 0, err
	}
	took := func() (apiServer, etcd time.Duration) {
		apiServer, one := environment.CPU(apiServerPid)
		etcd, other := environment.CPU(etcdPid)
		err = errors.Join(err, one, other)
		return apiServer, etcd
	}
	apiServerBefore, etcdBefore := took()
	work := make(chan *v1alpha1.ExportRun)
	failed := make([]error, writersAtOnce)
	var writers sync.WaitGroup
	for writer := range writersAtOnce {
		writers.Go(func() {
			for run := range work {
				key := client.ObjectKey{Namespace: run.Namespace, Name: run.Spec.ExportRef.Name}
				failed[writer] = errors.Join(failed[writer], g.writeAgain(ctx, run, of[key]))
			}
		})
	}
	for i := range runs.Items {
		work <- &runs.Items[i]
	}
	close(work)
	writers.Wait()
	apiServerAfter, etcdAfter := took()
	each := func(took time.Duration) float64 {
		return round(float64(took) / float64(time.Millisecond) / float64(len(runs.Items)))
	}
	return each(apiServerAfter - apiServerBefore), each(etcdAfter - etcdBefore), errors.Join(append(failed, err)...)
}

// writeAgain makes another run of an export, with the six writes that one takes: the run, that it has begun, that it has ended, its finalizer that goes, the
// status of its export, and an event.
func (g *ground) writeAgain(ctx context.Context, run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) error {
	if export == nil {
		return fmt.Errorf("the run %s is of no export", run.Name)
	}
	again := &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: run.Namespace, Name: run.Name + "-again", Labels: run.Labels, Annotations: run.Annotations,
			OwnerReferences: run.OwnerReferences, Finalizers: []string{v1alpha1.RunFinalizer},
		},
		Spec: run.Spec,
	}
	if err := g.api.Create(ctx, again); err != nil {
		return err
	}
	begun := again.DeepCopy()
	begun.Status = v1alpha1.ExportRunStatus{Phase: v1alpha1.RunRunning, StartedAt: run.Status.StartedAt, Conditions: run.Status.Conditions}
	if err := g.api.Status().Patch(ctx, begun, client.MergeFrom(again)); err != nil {
		return err
	}
	ended := begun.DeepCopy()
	ended.Status = *run.Status.DeepCopy()
	if err := g.api.Status().Patch(ctx, ended, client.MergeFrom(begun)); err != nil {
		return err
	}
	free := ended.DeepCopy()
	free.Finalizers = nil
	if err := g.api.Patch(ctx, free, client.MergeFrom(ended)); err != nil {
		return err
	}
	told := export.DeepCopy()
	told.Status.LastRun.Name = again.Name
	if err := g.api.Status().Patch(ctx, told, client.MergeFrom(export)); err != nil {
		return err
	}
	return g.api.Create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: run.Namespace, Name: again.Name},
		InvolvedObject: corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ExportRun", Namespace: run.Namespace, Name: again.Name, UID: again.UID},
		Type:           corev1.EventTypeNormal, Reason: "Succeeded", Message: "exported 50 claims", Source: corev1.EventSource{Component: "bench"},
		FirstTimestamp: metav1.Now(), LastTimestamp: metav1.Now(), Count: 1,
	})
}
