// Package controllers has one reconciler per kind. They orchestrate: decisions are pure functions beside them, effects are
// behind the executor, the claims database and the destinations.
package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/printable"
)

// maxMessage bounds messages of conditions (32768 in the API) and notes of events (1024).
const maxMessage = 1000

// patchStatus writes the status of an object once, and only if it differs from what was read. The API server refuses it
// where the object has changed since: an operator that was stopped and wakes up must not write what it knew before.
func patchStatus(ctx context.Context, c client.Client, before, after client.Object) error {
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	before.SetResourceVersion(after.GetResourceVersion()) // where this reconcile has changed the object itself
	return client.IgnoreNotFound(c.Status().Patch(ctx, after, unchangedSince(before)))
}

// unlessUndecodable returns what a write of a status ended with, but for one that the API server refuses because of the very field
// that does not decode: to try again would not help, and an event names the object.
func unlessUndecodable(ctx context.Context, undecoded v1alpha1.Undecoded, err error) error {
	if undecoded.Spec == "" || !apierrors.IsInvalid(err) {
		return err
	}
	ctrl.LoggerFrom(ctx).Info("an object cannot be decoded, and the API server does not write its status", "problem", undecoded.Spec)
	return nil
}

// logUnexpected keeps what an unexpected error came of: its message says no more than that there was one.
func logUnexpected(ctx context.Context, failed *failure.Error) {
	if failed.Reason == v1alpha1.ReasonInternal {
		ctrl.LoggerFrom(ctx).Info("an unexpected error", "causes", failure.Causes(failed))
	}
}

// afterwards are effects of a reconcile that wait until its status is recorded. Where that fails the next reconcile decides
// the same again, and nobody is told of it twice.
type afterwards []func()

func (a *afterwards) add(effect func()) { *a = append(*a, effect) }

func (a *afterwards) happen() {
	for _, effect := range *a {
		effect()
	}
}

// unchangedSince makes a patch that only applies to what was read.
func unchangedSince(before client.Object) client.Patch {
	return client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
}

// conditions sets the conditions of one resource for one generation.
type conditions struct {
	list       *[]metav1.Condition
	generation int64
}

func (c conditions) set(kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(c.list, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: shorten(message), ObservedGeneration: c.generation,
	})
}

// ready settles the three conditions of kstatus for a resource that works.
func (c conditions) ready(reason, message string) {
	c.set(v1alpha1.ConditionReady, metav1.ConditionTrue, reason, message)
	meta.RemoveStatusCondition(c.list, v1alpha1.ConditionReconciling)
	meta.RemoveStatusCondition(c.list, v1alpha1.ConditionStalled)
}

// progressing settles the three conditions of kstatus for a resource that does not work yet.
func (c conditions) progressing(reason, message string) {
	c.set(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, message)
	c.set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason, message)
	meta.RemoveStatusCondition(c.list, v1alpha1.ConditionStalled)
}

// stalled settles the three conditions of kstatus for a resource that a person must change.
func (c conditions) stalled(reason, message string) {
	c.set(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, message)
	c.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, reason, message)
	meta.RemoveStatusCondition(c.list, v1alpha1.ConditionReconciling)
}

// failed settles the three conditions of kstatus by what may heal the failure.
func (c conditions) failed(failed *failure.Error) {
	if failed.Stalled {
		c.stalled(failed.Reason, failed.Message)
	} else {
		c.progressing(failed.Reason, failed.Message)
	}
}

// undecodable reports whether the spec of an object does not decode, and settles its conditions then.
func (c conditions) undecodable(undecoded v1alpha1.Undecoded) bool {
	if undecoded.Spec == "" {
		return false
	}
	c.stalled(v1alpha1.ReasonUndecodable, "the API server has a value that the operator cannot decode: "+undecoded.Spec+"; correct the field, or delete the object")
	return true
}

// aspect sets one condition beside Ready from what went wrong with it, if anything did.
func (c conditions) aspect(kind string, failed *failure.Error, well string) {
	if failed == nil {
		c.set(kind, metav1.ConditionTrue, v1alpha1.ReasonReady, well)
		return
	}
	c.set(kind, metav1.ConditionFalse, failed.Reason, failed.Message)
}

// announce writes an event where Ready changed: a warning with what is wrong, or that all is well again. Credentials that
// went wrong, and runs that cannot be deleted, have their own where Ready speaks of something else.
func announce(recorder events.EventRecorder, object runtime.Object, before, after []metav1.Condition) {
	old, now := meta.FindStatusCondition(before, v1alpha1.ConditionReady), meta.FindStatusCondition(after, v1alpha1.ConditionReady)
	switch {
	case now == nil, now.Reason == v1alpha1.ReasonChecking, old != nil && old.Status == now.Status && old.Reason == now.Reason && old.Message == now.Message:
	case now.Status == metav1.ConditionFalse:
		recorder.Eventf(object, nil, corev1.EventTypeWarning, now.Reason, "Check", "%s", now.Message)
	case old != nil && old.Status == metav1.ConditionFalse && old.Reason != v1alpha1.ReasonChecking:
		recorder.Eventf(object, nil, corev1.EventTypeNormal, now.Reason, "Check", "%s", now.Message)
	}
	for _, kind := range []string{v1alpha1.ConditionCredentialsReady, v1alpha1.ConditionHistoryPruned} {
		was, is := meta.FindStatusCondition(before, kind), meta.FindStatusCondition(after, kind)
		if is != nil && is.Status == metav1.ConditionFalse && (was == nil || was.Status != is.Status || was.Reason != is.Reason) &&
			now != nil && now.Reason != is.Reason {
			recorder.Eventf(object, nil, corev1.EventTypeWarning, is.Reason, "Check", "%s", is.Message)
		}
	}
}

// shorten makes a message one line that is short enough and harmless.
func shorten(message string) string { return printable.Line(message, maxMessage) }
