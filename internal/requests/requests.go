// Package requests is what a person asks of a cluster with the command: a run of an export, that it ends, or that an export begins
// none. The person's own identity is used, and the API server decides.
package requests

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// Request is a run that a person asks for.
type Request struct {
	Type   v1alpha1.RunType
	Export string
	// Name of the ExportRun; empty lets the API server make one that is free.
	Name string
	// Of names the run that is reversed or delivered again.
	Of string
	// Claims alone are exported, previewed or reversed; none is all.
	Claims []string
	// Cutoff is zero for the time at which the run is created.
	Cutoff time.Time
	// Destination of a redelivery; nil is that of the export.
	Destination *v1alpha1.NamespacedReference
	// By is the name of the user that asks, as Kubernetes knows it; empty if that is not known.
	By string
	// Reason why it is asked for; empty if there is none.
	Reason string
}

// Run returns the ExportRun that asks for it.
func (r Request) Run(namespace string) *v1alpha1.ExportRun {
	run := &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: r.Name, Labels: map[string]string{v1alpha1.ExportLabel: r.Export}, Annotations: r.annotations()},
		Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: r.Export}, Type: r.Type, DestinationRef: r.Destination},
	}
	if r.Name == "" {
		run.GenerateName = r.Export + "-"
		if r.Type != v1alpha1.RunExport {
			run.GenerateName += strings.ToLower(string(r.Type)) + "-"
		}
	}
	switch r.Type {
	case v1alpha1.RunReversal:
		run.Spec.Reverses = &v1alpha1.RunReference{Name: r.Of}
	case v1alpha1.RunRedeliver:
		run.Spec.Redelivers = &v1alpha1.RunReference{Name: r.Of}
	default: // of no other run
	}
	if len(r.Claims) > 0 {
		run.Spec.Claims = &v1alpha1.NamedClaims{IDs: r.Claims}
	}
	if !r.Cutoff.IsZero() {
		run.Spec.Cutoff = &metav1.Time{Time: r.Cutoff.UTC().Truncate(time.Second)} // as it is stored
	}
	return run
}

// annotations say who asks, and why.
func (r Request) annotations() map[string]string {
	said := map[string]string{v1alpha1.RequestedByAnnotation: Stamp(r.By), v1alpha1.ReasonAnnotation: r.Reason}
	maps.DeleteFunc(said, func(_, text string) bool { return text == "" })
	return said
}

// Create asks for a run of an export that exists. A run of the given name that asks for the same is taken for the answer, so that a
// request whose answer was lost can be repeated.
func Create(ctx context.Context, cluster client.Client, namespace string, request Request) (*v1alpha1.ExportRun, error) {
	var export v1alpha1.AccountingExport
	if err := cluster.Get(ctx, types.NamespacedName{Namespace: namespace, Name: request.Export}, &export); err != nil {
		return nil, explained(err)
	}
	run := request.Run(namespace)
	err := cluster.Create(ctx, run)
	if request.Name == "" || !apierrors.IsAlreadyExists(err) {
		return run, explained(err)
	}
	existing := &v1alpha1.ExportRun{}
	if err := cluster.Get(ctx, client.ObjectKeyFromObject(run), existing); err != nil {
		return nil, explained(err)
	}
	asked := existing.Spec.DeepCopy()
	asked.Cancel = false
	if !equality.Semantic.DeepEqual(*asked, run.Spec) {
		return nil, fmt.Errorf("ExportRun %s/%s exists, and asks for something else; give another name", namespace, request.Name)
	}
	return existing, nil
}

// ExportOf returns the name of the export that a run belongs to: as given, or else as its ExportRun has it.
func ExportOf(ctx context.Context, cluster client.Client, run types.NamespacedName, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	var found v1alpha1.ExportRun
	err := cluster.Get(ctx, run, &found)
	if apierrors.IsNotFound(err) {
		return "", fmt.Errorf("ExportRun %s does not exist; if the limits of history have deleted it, name its export with --export: the database still has the run", run)
	}
	return found.Spec.ExportRef.Name, explained(err)
}

// Cancel asks a run that has not finished to end and to give its claims back. By is the name of the user that does, if it is known. A run
// that is cancelled already stays as it is.
func Cancel(ctx context.Context, cluster client.Client, key types.NamespacedName, by string) (*v1alpha1.ExportRun, error) {
	run := &v1alpha1.ExportRun{}
	if err := cluster.Get(ctx, key, run); err != nil {
		return nil, explained(err)
	}
	if run.Status.Phase.Finished() {
		return nil, fmt.Errorf("ExportRun %s has ended as %s, and cannot be cancelled%s", key, run.Status.Phase, instead(run))
	}
	if run.Spec.Cancel {
		return run, nil
	}
	change := map[string]any{"spec": map[string]any{"cancel": true}}
	if by != "" {
		change["metadata"] = map[string]any{"annotations": map[string]any{v1alpha1.CancelledByAnnotation: Stamp(by)}}
	}
	return run, explained(merge(ctx, cluster, run, change))
}

// Approve approves what a run waits with, as somebody has seen it: the digest is that of the status that was shown. By is the name of the
// user that does.
func Approve(ctx context.Context, cluster client.Client, seen *v1alpha1.ExportRun, by string) (*v1alpha1.ExportRun, error) {
	key := client.ObjectKeyFromObject(seen)
	switch {
	case seen.Status.Approval == nil:
		return nil, fmt.Errorf("ExportRun %s does not wait for an approval", key)
	case seen.Status.Approval.Given():
		return nil, fmt.Errorf("ExportRun %s was approved by %s", key, seen.Status.Approval.ApprovedBy)
	case seen.Status.Phase != v1alpha1.RunAwaitingApproval:
		return nil, fmt.Errorf("ExportRun %s is %s, and does not wait for an approval", key, seen.Status.Phase)
	}
	said := map[string]any{v1alpha1.ApprovedAnnotation: seen.Status.Approval.Digest}
	if by != "" {
		said[v1alpha1.ApprovedByAnnotation] = Stamp(by)
	}
	run := seen.DeepCopy()
	return run, explained(merge(ctx, cluster, run, map[string]any{"metadata": map[string]any{"annotations": said}}))
}

// merge changes a part of an object.
func merge(ctx context.Context, cluster client.Client, object client.Object, change map[string]any) error {
	patch, err := json.Marshal(change)
	if err != nil {
		return err
	}
	return cluster.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch))
}

// instead says what takes back a run that cannot be cancelled.
func instead(run *v1alpha1.ExportRun) string {
	if run.Status.Phase == v1alpha1.RunSucceeded && cmp.Or(run.Spec.Type, v1alpha1.RunExport) == v1alpha1.RunExport && run.Status.Claims > 0 {
		return "; \"ledgerport reverse " + run.Name + "\" takes back what it exported"
	}
	return ""
}

// Suspend lets an export begin no runs for slots and requests, or lets it begin them again.
func Suspend(ctx context.Context, cluster client.Client, key types.NamespacedName, suspend bool) (*v1alpha1.AccountingExport, error) {
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	patch := fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, suspend)
	return export, explained(cluster.Patch(ctx, export, client.RawPatch(types.MergePatchType, patch)))
}

// explained adds what a person cannot know to an error of the API server.
func explained(err error) error {
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("the cluster does not have the kinds of Ledgerport: %w", err)
	}
	return err
}
