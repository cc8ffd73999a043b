// Package notify tells targets of the ends of runs, and of those that wait for an approval: which events a run has, what is said of them, and how a webhook or a mail server
// takes them. What is said never has the content of a claim, nor words of a database or an accounting system.
package notify

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// KeptFor is how long an event is tried.
const KeptFor = 72 * time.Hour

// Record puts what the targets of an export are told of a run into the status of the run, when that has ended, or begins to wait for its
// approval. It is recorded with the end or the wait, so that there is no moment at which it has come and nobody knows who is to be told.
// Each is told of once for each run.
func Record(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, now time.Time) {
	events := eventsOf(run)
	if slices.ContainsFunc(run.Status.Notifications, func(one v1alpha1.RunNotification) bool { return slices.Contains(events, one.Event) }) {
		return
	}
	for i := range export.Spec.Notify {
		target := &export.Spec.Notify[i]
		for _, event := range events {
			if wants(target, event) {
				run.Status.Notifications = append(run.Status.Notifications, v1alpha1.RunNotification{
					Target: target.Name, Event: event, State: v1alpha1.NotificationPending, At: metav1.Time{Time: now},
				})
			}
		}
	}
}

// eventsOf returns the events of a run as it is now, in their order. A preview has none, because it has done nothing; nor has a run that
// had ended before, nor one that was not let begin because there are too many.
func eventsOf(run *v1alpha1.ExportRun) (events []v1alpha1.NotificationEvent) {
	status := &run.Status
	switch {
	case status.Recovered, run.Spec.Type == v1alpha1.RunPreview, status.Phase != v1alpha1.RunSucceeded && readyReason(run) == v1alpha1.ReasonTooManyRuns:
		return nil
	case status.Phase == v1alpha1.RunAwaitingApproval:
		return append(events, v1alpha1.EventAwaitingApproval)
	case status.Phase == v1alpha1.RunSucceeded && run.Spec.Type == v1alpha1.RunReversal:
		events = append(events, v1alpha1.EventReversed)
	case status.Phase == v1alpha1.RunSucceeded && status.Claims == 0 && status.Location == "":
		events = append(events, v1alpha1.EventEmpty)
	case status.Phase == v1alpha1.RunSucceeded:
		events = append(events, v1alpha1.EventSucceeded)
	case status.Phase == v1alpha1.RunIncomplete:
		events = append(events, v1alpha1.EventIncomplete)
	case status.Phase == v1alpha1.RunFailed:
		events = append(events, v1alpha1.EventFailed)
	case status.Phase == v1alpha1.RunCancelled:
		events = append(events, v1alpha1.EventCancelled)
	default:
		return nil // it is under way
	}
	if status.Held > 0 {
		events = append(events, v1alpha1.EventClaimsHeld)
	}
	return events
}

// wants reports whether a target is told of an event.
func wants(target *v1alpha1.NotificationTarget, event v1alpha1.NotificationEvent) bool {
	if len(target.Events) == 0 {
		return event != v1alpha1.EventEmpty
	}
	return slices.Contains(target.Events, event)
}

// Pending reports whether an event of a run is still to be sent.
func Pending(run *v1alpha1.ExportRun) bool {
	for i := range run.Status.Notifications {
		if run.Status.Notifications[i].State == v1alpha1.NotificationPending {
			return true
		}
	}
	return false
}

// KeptUntil is until when a run is kept for what is still to be sent of it; zero if nothing is.
func KeptUntil(run *v1alpha1.ExportRun) (until time.Time) {
	for _, one := range run.Status.Notifications {
		if one.State == v1alpha1.NotificationPending && one.At.Add(KeptFor).After(until) {
			until = one.At.Add(KeptFor)
		}
	}
	return until
}

func readyReason(run *v1alpha1.ExportRun) v1alpha1.Reason {
	for i := range run.Status.Conditions {
		if run.Status.Conditions[i].Type == v1alpha1.ConditionReady {
			return run.Status.Conditions[i].Reason
		}
	}
	return ""
}
