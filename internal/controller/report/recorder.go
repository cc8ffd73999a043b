package report

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
)

// Object is an object of this API.
type Object interface {
	client.Object
	Reported() v1alpha1.Reported
}

// Recorder lets reconcilers change the status of an object, and records what they made of it in one write.
type Recorder struct {
	Client client.Client
	Events events.EventRecorder
	// Failpoints lets tests end or stop the process around the write, which is Step; nil in production.
	Failpoints failpoint.Hook
	Step       failpoint.Step
}

// Check reconciles an object of a kind whose status says no more than whether it works. It calls check for one that exists, is not
// being deleted, and decodes.
func (r *Recorder) Check(ctx context.Context, name types.NamespacedName, object Object, check func() (ctrl.Result, error)) (ctrl.Result, error) {
	if err := r.Client.Get(ctx, name, object); err != nil || !object.GetDeletionTimestamp().IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	return r.Report(ctx, object, func(*Afterwards) (ctrl.Result, error) {
		if Of(object).Undecodable() {
			return ctrl.Result{}, nil
		}
		return check()
	})
}

// Report records the change of a status, and announces it with an event if Ready changed.
func (r *Recorder) Report(ctx context.Context, object Object, change func(*Afterwards) (ctrl.Result, error)) (ctrl.Result, error) {
	before := object.DeepCopyObject().(Object)
	return r.Record(ctx, before, object, func(after *Afterwards) (ctrl.Result, error) {
		after.Add(func() { Announce(r.Events, object, *before.Reported().Conditions, false) })
		return change(after)
	})
}

// Record records the change of a status from what it was before, also if it came with an error. Then come the effects that
// waited for it.
func (r *Recorder) Record(ctx context.Context, before, object Object, change func(*Afterwards) (ctrl.Result, error)) (ctrl.Result, error) {
	var after Afterwards
	result, err := change(&after)
	unrecorded := r.Failpoints.Around(r.Step, func() error { return Refusal("record the status", Patch(ctx, r.Client, before, object)) })
	WarnRefused(r.Events, object, unrecorded)
	if unrecorded = unlessUndecodable(ctx, object, unrecorded); unrecorded == nil {
		after.happen()
	}
	return ending(result, err, unrecorded)
}

// staleness is how long a reconcile waits, at most, for the change of its object that it had not seen: the change itself wakes it.
const staleness = time.Second

// ending is what a reconcile ends with. It is no error that something was not written because an object has changed since it was
// read: the next reconcile decides on the object as it is.
func ending(result ctrl.Result, err, unrecorded error) (ctrl.Result, error) {
	switch {
	case err == nil && unrecorded == nil:
		return result, nil
	case stale(err) && stale(unrecorded):
		return ctrl.Result{RequeueAfter: staleness}, nil
	default:
		return ctrl.Result{}, errors.Join(err, unrecorded) // with an error, controller-runtime decides when
	}
}

// stale reports whether an error, if there is one, says only that an object has changed since it was read.
func stale(err error) bool {
	return err == nil || Conflicts(err)
}

// Afterwards are effects of a reconcile that wait until its status is recorded. If that fails the next reconcile decides
// the same again, and nobody is told of it twice.
type Afterwards []func()

// Add lets an effect wait.
func (a *Afterwards) Add(effect func()) { *a = append(*a, effect) }

func (a *Afterwards) happen() {
	for _, effect := range *a {
		effect()
	}
}

// Patch writes the status of an object once, and only if it differs from what was read. The API server refuses it
// if the object has changed since: an operator that was stopped and wakes up must not write what it knew before.
func Patch(ctx context.Context, c client.Client, before, after Object) error {
	if equality.Semantic.DeepEqual(before.Reported().Status, after.Reported().Status) {
		return nil
	}
	before.SetResourceVersion(after.GetResourceVersion()) // where this reconcile has changed the object itself
	return client.IgnoreNotFound(c.Status().Patch(ctx, after, statusSince(before)))
}

// unlessUndecodable returns what a write of a status ended with, but for one that the API server refuses because of the very field
// that does not decode: to try again would not help, and an event names the object.
func unlessUndecodable(ctx context.Context, object Object, err error) error {
	undecoded := object.Reported().Undecoded
	if undecoded == "" || !apierrors.IsInvalid(err) {
		return err
	}
	ctrl.LoggerFrom(ctx).Info("an object cannot be decoded, and the API server does not write its status", "problem", undecoded)
	return nil
}
