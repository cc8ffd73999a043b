package main

import (
	"path"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// judgeNotifications insists that the inbox was told of the end of each run, in the order in which runs of an export followed each other, and
// of none that has not come.
func (j *judgement) judgeNotifications() {
	first := map[string]int{} // where an event first came, by its id
	for at, came := range j.evidence.arrivals {
		if _, known := first[came.id]; !known {
			first[came.id] = at
		}
	}
	expected := map[string]bool{}
	ends := map[string][]*resource{} // of runs that take turns, by export
	for i := range j.evidence.resources {
		run := &j.evidence.resources[i]
		if !j.evidence.notified[run.Namespace] || !run.Status.Phase.Finished() {
			continue
		}
		events := eventsOf(run)
		for i := 1; i < len(events); i++ {
			earlier, came := first[string(run.UID)+"-"+events[i-1]]
			if later, comes := first[string(run.UID)+"-"+events[i]]; came && comes && later < earlier {
				j.note(&j.found.Untold, "%s of ExportRun %s/%s was told before %s", events[i], run.Namespace, run.Name, events[i-1])
			}
		}
		for _, event := range events {
			id := string(run.UID) + "-" + event
			expected[id] = true
			if _, came := first[id]; !came && (event != "awaitingapproval" || !cancelledBeforeItWaited(run)) {
				j.note(&j.found.Untold, "nobody was told of %s of ExportRun %s/%s, which is %s: %+v", event, run.Namespace, run.Name, run.Status.Phase, run.Status.Notifications)
			}
		}
		if run.Spec.Type.TakesTurns() && run.Status.StartedAt != nil && !run.Status.Recovered {
			export := path.Join(run.cluster, run.Namespace, run.Spec.ExportRef.Name)
			ends[export] = append(ends[export], run)
		}
	}
	for id, at := range first {
		came := j.evidence.arrivals[at]
		if !expected[id] && !j.mayHaveHappened(id) {
			j.note(&j.found.Untold, "%s of ExportRun %s/%s was told, and has not happened", came.kind, came.data.Namespace, came.data.Run)
		}
	}
	for export, runs := range ends {
		j.judgeOrder(export, runs, first)
	}
}

// mayHaveHappened reports whether an event is of a run that somebody has deleted, and that its record does not contradict.
func (j *judgement) mayHaveHappened(id string) bool {
	at := strings.LastIndex(id, "-")
	uid, event := id[:max(at, 0)], id[at+1:]
	if !j.evidence.deleted[uid] {
		return false
	}
	committed := slices.ContainsFunc(j.evidence.runs, func(run recordedRun) bool { return run.id == uid && run.state == "committed" })
	switch event {
	case "succeeded", "reversed":
		return committed
	case "failed", "cancelled":
		return !committed
	}
	return true
}

// judgeOrder looks at runs of which one had ended before the other began.
func (j *judgement) judgeOrder(export string, runs []*resource, first map[string]int) {
	for _, before := range runs {
		for _, after := range runs {
			if before == after || before.Status.CompletedAt == nil || after.Status.StartedAt.Time.Before(before.Status.CompletedAt.Add(time.Second)) { // which has no fractions
				continue
			}
			for _, event := range eventsOf(before) {
				earlier, came := first[string(before.UID)+"-"+event]
				for _, next := range eventsOf(after) {
					if later, comes := first[string(after.UID)+"-"+next]; came && comes && later < earlier {
						j.note(&j.found.Untold, "%s was told %s of ExportRun %s before %s of %s, which had ended before it began", export, next, after.Name, event, before.Name)
					}
				}
			}
		}
	}
}

// cancelledBeforeItWaited reports whether a run was cancelled when it came to wait for its approval: nobody is asked to approve it then.
func cancelledBeforeItWaited(run *resource) bool {
	return run.Status.Phase == v1alpha1.RunCancelled && !slices.ContainsFunc(run.Status.Notifications, func(one v1alpha1.RunNotification) bool {
		return one.Event == v1alpha1.EventAwaitingApproval
	})
}

// eventsOf returns the last parts of the ids of events of a run that has ended.
func eventsOf(run *resource) (events []string) {
	status := &run.Status
	refused := slices.ContainsFunc(run.Status.Conditions, func(c metav1.Condition) bool { return c.Reason == v1alpha1.ReasonTooManyRuns })
	if status.Recovered || run.Spec.Type == v1alpha1.RunPreview || refused {
		return nil
	}
	if status.Approval != nil { // it has waited for one
		events = append(events, "awaitingapproval")
	}
	switch {
	case status.Phase == v1alpha1.RunSucceeded && run.Spec.Type == v1alpha1.RunReversal:
		events = append(events, "reversed")
	case status.Phase == v1alpha1.RunSucceeded && status.Claims == 0 && status.Location == "": // of which the inbox is not told
	default:
		events = append(events, strings.ToLower(string(status.Phase)))
	}
	if status.Held > 0 {
		events = append(events, "claimsheld")
	}
	return events
}
