package report

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// Announce writes an event if Ready changed: a warning with what is wrong, or that all is well again. Credentials that
// went wrong, runs that cannot be deleted, and a newest run that did not succeed have their own if Ready is about something else. What
// another resource tells is not told again by each of those that refer to it: their statuses say it.
func Announce(recorder events.EventRecorder, object Object, before []metav1.Condition, toldElsewhere bool) {
	after := *object.Reported().Conditions
	old, now := meta.FindStatusCondition(before, v1alpha1.ConditionReady), meta.FindStatusCondition(after, v1alpha1.ConditionReady)
	switch {
	case toldElsewhere, now == nil, now.Reason == v1alpha1.ReasonChecking, now.Reason == v1alpha1.ReasonDeleting, old != nil && old.Status == now.Status && old.Reason == now.Reason && old.Message == now.Message:
	case now.Status == metav1.ConditionFalse:
		recorder.Eventf(object, nil, corev1.EventTypeWarning, now.Reason, "Check", "%s", now.Message)
	case old != nil && old.Status == metav1.ConditionFalse && old.Reason != v1alpha1.ReasonChecking:
		recorder.Eventf(object, nil, corev1.EventTypeNormal, now.Reason, "Check", "%s", now.Message)
	}
	for _, kind := range []string{v1alpha1.ConditionCredentialsReady, v1alpha1.ConditionHistoryPruned, v1alpha1.ConditionLastRunSucceeded} {
		was, is := meta.FindStatusCondition(before, kind), meta.FindStatusCondition(after, kind)
		if is != nil && is.Status == metav1.ConditionFalse && (was == nil || was.Status != is.Status || was.Reason != is.Reason) &&
			now != nil && now.Reason != is.Reason {
			recorder.Eventf(object, nil, corev1.EventTypeWarning, is.Reason, "Check", "%s", is.Message)
		}
	}
}
