package exportrun

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/texts"
)

// tell writes the events of a change that was recorded.
func (r *Reconciler) tell(was, run *v1alpha1.ExportRun) {
	before, status := &was.Status, &run.Status
	ready := readyCondition(run)
	wanting := before.Phase == v1alpha1.RunRetrying && status.Phase == before.Phase && ready.Reason != ReadyReason(was) // what it waits for is new
	switch {
	case ready.Reason == v1alpha1.ReasonUndecodable && run.Undecoded.Spec != "":
		report.Announce(r.Events, run, before.Conditions, false)
		return
	case status.Phase == before.Phase && status.Failures == before.Failures && !wanting:
		return
	case status.Recovered:
		r.Events.Eventf(run, nil, corev1.EventTypeNormal, v1alpha1.ReasonRecovered, "Export", "the run had ended before; its status is from the record in the database")
		return
	case status.Phase == v1alpha1.RunSucceeded:
		r.Events.Eventf(run, nil, corev1.EventTypeNormal, ready.Reason, "Export", "%s", ready.Message)
	case status.Phase == v1alpha1.RunAwaitingApproval && before.Phase != status.Phase:
		r.Events.Eventf(run, nil, corev1.EventTypeNormal, ready.Reason, "Export", "%s", ready.Message)
		return
	case ready.Reason == v1alpha1.ReasonTooManyRuns: // as the status says; there may be thousands
	case wanting || status.Failures > before.Failures || status.Phase.Finished():
		r.Events.Eventf(run, nil, corev1.EventTypeWarning, ready.Reason, "Export", "%s", ready.Message)
	}
	if status.Phase.Finished() && status.Held > 0 {
		r.Events.Eventf(run, nil, corev1.EventTypeWarning, v1alpha1.ReasonClaimsHeld, "Export", "%s", heldNote(status))
	}
}

// heldNote names held claims, as many as an event has room for.
func heldNote(status *v1alpha1.ExportRunStatus) string {
	note := strings.Builder{}
	fmt.Fprintf(&note, "%s for a later run:", texts.Count(status.Held, "claim is held and waits", "claims are held and wait"))
	named := int64(0)
	for _, held := range status.HeldClaims {
		entry := fmt.Sprintf(" %s (%s)", held.ID, held.Reason)
		if held.Message != "" {
			entry = fmt.Sprintf(" %s (%s: %s)", held.ID, held.Reason, held.Message)
		}
		if note.Len()+len(entry) > report.MaxMessage-len(" and 1000000000 more") {
			break
		}
		note.WriteString(entry)
		named++
	}
	if more := status.Held - named; more > 0 {
		fmt.Fprintf(&note, " and %d more", more)
	}
	return note.String()
}
