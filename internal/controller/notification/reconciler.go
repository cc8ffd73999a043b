// Package notification tells the targets of exports of the ends of runs, and of what waits for an approval. Its workers are its own: whatever a target does, no run waits.
package notification

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/metrics"
	"github.com/ledgerport/ledgerport/internal/notify"
	"github.com/ledgerport/ledgerport/internal/panics"
)

const (
	// longestTurn is how long one reconcile sends to a target before others have their turn.
	longestTurn = 15 * time.Second
	// again is how soon it goes on, or tries to record what an object that has changed meanwhile did not take.
	again = time.Second
	// untilExpired is how often an export is looked at of whose target nothing else comes.
	untilExpired = time.Hour
)

// Opener opens targets.
type Opener interface {
	Open(ctx context.Context, export *v1alpha1.AccountingExport, target *v1alpha1.NotificationTarget) (notify.Target, error)
}

// Reconciler sends what is recorded in runs, and records that it was taken.
type Reconciler struct {
	*report.Recorder
	Targets Opener
	// Page of a run, with {namespace}, {export} and {run} in it; empty if there is none.
	Page    string
	Metrics *metrics.Metrics
	Clock   clock.PassiveClock

	memories memories
}

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	pending := predicate.NewPredicateFuncs(func(object client.Object) bool { return notify.Pending(object.(*v1alpha1.ExportRun)) })
	ofExport := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request {
		run := object.(*v1alpha1.ExportRun)
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.ExportRef.Name}}}
	})
	return ctrl.NewControllerManagedBy(mgr).Named("notification").
		For(&v1alpha1.AccountingExport{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.ExportRun{}, ofExport, builder.WithPredicates(pending)).
		WithOptions(watch.Tellers()).Complete(r)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var export v1alpha1.AccountingExport
	if err := r.Client.Get(ctx, req.NamespacedName, &export); err != nil {
		if err = client.IgnoreNotFound(err); err == nil {
			r.memories.forget(req.NamespacedName)
		}
		return ctrl.Result{}, err
	}
	if !export.DeletionTimestamp.IsZero() || export.Undecoded.Spec != "" {
		return ctrl.Result{}, nil
	}
	var all v1alpha1.ExportRunList
	if err := r.Client.List(ctx, &all, client.InNamespace(req.Namespace), client.MatchingFields{watch.UntoldIndex: req.Name}); err != nil {
		return ctrl.Result{}, err
	}
	runs, known := untold(all.Items), r.memories.of(req.NamespacedName, &export)
	known.clean(runs)
	wait := r.tellAll(ctx, &export, runs, known)
	recorded := r.recordAll(ctx, runs, known)
	result, err := r.describe(ctx, req.NamespacedName, known)
	switch err = errors.Join(recorded, err); {
	case err != nil && !report.Conflicts(err):
		return ctrl.Result{}, err
	case err != nil || !result.IsZero():
		wait = min(wait, again)
	}
	if len(runs) == 0 && !known.failing() {
		if len(export.Spec.Notify) == 0 { // as almost all of a large fleet
			r.memories.forget(req.NamespacedName)
		}
		return ctrl.Result{}, nil
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}

// failing reports whether any target has failed lately.
func (m *memory) failing() bool {
	for _, standing := range m.targets {
		if standing.failed != nil {
			return true
		}
	}
	return false
}

// tellAll sends to all targets of an export at the same time, and returns how long it is until there is something else to do.
func (r *Reconciler) tellAll(ctx context.Context, export *v1alpha1.AccountingExport, runs []v1alpha1.ExportRun, known *memory) time.Duration {
	now := r.Clock.Now()
	queues := r.due(export, runs, known, now)
	ctx, cancel := context.WithTimeout(ctx, longestTurn)
	defer cancel()
	outcomes := make([]outcome, len(export.Spec.Notify))
	var sending sync.WaitGroup
	for i := range export.Spec.Notify {
		target := &export.Spec.Notify[i]
		standing := known.standing(target.Name)
		switch left := standing.next.Sub(now); {
		case standing.gone():
			outcomes[i].wait = untilExpired
		case left > 0:
			outcomes[i].wait = left
		default:
			sending.Go(func() { outcomes[i] = r.tell(ctx, export, target, queues[target.Name], standing) })
		}
	}
	sending.Wait()
	wait := untilExpired
	for _, came := range outcomes {
		wait = min(wait, came.wait)
		for _, mark := range came.sent {
			known.done[mark] = fate{state: v1alpha1.NotificationSent, at: metav1.Time{Time: r.Clock.Now()}}
		}
	}
	return wait
}

// outcome is what came of the turn of a target.
type outcome struct {
	sent []mark
	wait time.Duration // until the next look
}

// due returns what is to be sent to each target, and gives up what is too old, or has no target any more.
func (r *Reconciler) due(export *v1alpha1.AccountingExport, runs []v1alpha1.ExportRun, known *memory, now time.Time) map[string][]waiting {
	queues := queues(runs, known.done)
	for target, queue := range queues {
		given := slices.ContainsFunc(export.Spec.Notify, func(t v1alpha1.NotificationTarget) bool { return t.Name == target })
		queues[target] = slices.DeleteFunc(queue, func(next waiting) bool {
			if given && next.until.After(now) {
				return false
			}
			r.drop(export, next, given, known, now)
			return true
		})
	}
	return queues
}

// drop gives an event up.
func (r *Reconciler) drop(export *v1alpha1.AccountingExport, next waiting, given bool, known *memory, now time.Time) {
	known.done[next.mark] = fate{state: v1alpha1.NotificationDropped, at: metav1.Time{Time: now}}
	r.Metrics.Notified("dropped")
	why := fmt.Sprintf("it was not taken within %s", notify.KeptFor)
	if !given {
		why = "spec.notify has no such target any more"
	}
	r.Events.Eventf(export, next.of, corev1.EventTypeWarning, v1alpha1.ReasonNotificationDropped, "Notify",
		"target %s is not told of %s of ExportRun %s: %s", next.target, next.event, next.of.Name, why)
}

// tell sends what waits for a target, in its order, until it fails, or its turn is over.
func (r *Reconciler) tell(ctx context.Context, export *v1alpha1.AccountingExport, target *v1alpha1.NotificationTarget, queue []waiting, standing *standing) (o outcome) {
	opened, err := r.open(ctx, export, target)
	if err != nil {
		o.wait = r.failed(ctx, target, err, standing)
		return o
	}
	defer opened.Close()
	for _, next := range queue {
		if ctx.Err() != nil {
			o.wait = again
			return o
		}
		if err := r.Failpoints.Around(failpoint.SendNotification, func() error { return r.send(ctx, opened, export, next) }); err != nil {
			o.wait = r.failed(ctx, target, err, standing)
			return o
		}
		r.Metrics.Notified("sent")
		standing.failures, standing.failed = 0, nil
		o.sent = append(o.sent, next.mark)
	}
	if standing.failed != nil && len(queue) == 0 && configured(standing.failed) { // what was wrong with it is not any more
		standing.failures, standing.failed = 0, nil
	}
	o.wait = untilExpired
	return o
}

// open opens a target. A panic in that is the target's failure, as in sending: nothing else catches one in a goroutine of its own.
func (r *Reconciler) open(ctx context.Context, export *v1alpha1.AccountingExport, target *v1alpha1.NotificationTarget) (opened notify.Target, err error) {
	defer panics.Catch(&err)
	return r.Targets.Open(ctx, export, target)
}

// send makes the message of an event, and sends it.
func (r *Reconciler) send(ctx context.Context, to notify.Target, export *v1alpha1.AccountingExport, next waiting) (err error) {
	defer panics.Catch(&err)
	return to.Send(ctx, notify.MessageOf(next.of, export, next.event, r.Page))
}

// configured reports whether a failure is one that opening a target finds.
func configured(failed *failure.Error) bool {
	return failed.Condition == v1alpha1.ConditionCredentialsReady || slices.Contains([]v1alpha1.Reason{
		v1alpha1.ReasonMalformedKey, v1alpha1.ReasonNotEncrypted, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonTypeNotAllowed,
	}, failed.Reason)
}

// failed notes that a target has failed.
func (r *Reconciler) failed(ctx context.Context, target *v1alpha1.NotificationTarget, err error, standing *standing) time.Duration {
	var later *notify.Later
	var asked time.Duration
	if errors.As(err, &later) {
		asked = later.Wait
	}
	failed, now := failure.From(err), r.Clock.Now()
	r.Metrics.Notified("failed")
	standing.fail(failed, asked, now)
	ctrl.LoggerFrom(ctx).Info("a target of notifications does not take an event", "target", target.Name, "reason", failed.Reason, "message", failed.Message)
	var fault *panics.Error
	if errors.As(err, &fault) {
		ctrl.LoggerFrom(ctx).Error(nil, "sending to a target has ended in a panic", "target", target.Name, "kind", fault.Kind, "stack", string(fault.Stack))
	}
	if standing.gone() {
		return untilExpired
	}
	return standing.next.Sub(now)
}

// recordAll records in the runs what became of their events.
func (r *Reconciler) recordAll(ctx context.Context, runs []v1alpha1.ExportRun, known *memory) (err error) {
	for i := range runs {
		if settles(&runs[i], known.done) {
			err = errors.Join(err, r.record(ctx, &runs[i], known))
		}
	}
	return err
}

// settles reports whether there is anything of a run to record.
func settles(run *v1alpha1.ExportRun, done map[mark]fate) bool {
	return slices.ContainsFunc(run.Status.Notifications, func(one v1alpha1.RunNotification) bool {
		became, known := done[mark{run.UID, one.Target, one.Event}]
		return known && !became.recorded
	})
}

// record records it in one run, as it is now: its reconciler writes to it as well when it has just ended.
func (r *Reconciler) record(ctx context.Context, seen *v1alpha1.ExportRun, known *memory) error {
	var run v1alpha1.ExportRun
	if err := r.Client.Get(ctx, client.ObjectKeyFromObject(seen), &run); err != nil || run.UID != seen.UID {
		return client.IgnoreNotFound(err)
	}
	before := run.DeepCopy()
	if !settle(&run, known.done) {
		return nil
	}
	if err := r.Failpoints.Around(failpoint.RecordNotification, func() error { return report.Patch(ctx, r.Client, before, &run) }); err != nil {
		return err
	}
	for _, one := range run.Status.Notifications {
		if became, done := known.done[mark{run.UID, one.Target, one.Event}]; done {
			became.recorded = true
			known.done[mark{run.UID, one.Target, one.Event}] = became
		}
	}
	return nil
}

// describe says in the status of the export whether its targets take what they are told.
func (r *Reconciler) describe(ctx context.Context, name types.NamespacedName, known *memory) (ctrl.Result, error) {
	var export v1alpha1.AccountingExport // as it is now: to send takes a while
	if err := r.Client.Get(ctx, name, &export); err != nil || export.UID != known.uid || export.Generation != known.generation {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := export.DeepCopy()
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionNotified)
	is := notified(&export, known)
	if is == nil {
		meta.RemoveStatusCondition(&export.Status.Conditions, v1alpha1.ConditionNotified)
	} else {
		meta.SetStatusCondition(&export.Status.Conditions, *is)
	}
	return r.Record(ctx, before, &export, func(after *report.Afterwards) (ctrl.Result, error) {
		if is != nil && is.Status == metav1.ConditionFalse && (was == nil || was.Reason != is.Reason) {
			after.Add(func() {
				r.Events.Eventf(&export, nil, corev1.EventTypeWarning, is.Reason, "Notify", "%s", is.Message)
			})
		}
		return ctrl.Result{}, nil
	})
}

// notified is the condition of an export; nil if it has no targets.
func notified(export *v1alpha1.AccountingExport, known *memory) *metav1.Condition {
	if len(export.Spec.Notify) == 0 {
		return nil
	}
	condition := metav1.Condition{
		Type: v1alpha1.ConditionNotified, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, ObservedGeneration: export.Generation,
		Message: "the targets take what they are told",
	}
	var said []string
	for i := range export.Spec.Notify {
		name := export.Spec.Notify[i].Name
		if failed := known.standing(name).failed; failed != nil {
			if len(said) == 0 {
				condition.Status, condition.Reason = metav1.ConditionFalse, failed.Reason
			}
			said = append(said, "target "+name+": "+failed.Message)
		}
	}
	if len(said) > 0 {
		condition.Message = report.Text(strings.Join(said, "; "))
	}
	return &condition
}
