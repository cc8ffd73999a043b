// Package report puts what reconcilers have found where people see it: conditions, the status in one write, and events. What the
// API server refuses is a finding too.
package report

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/texts"
)

// MaxMessage bounds messages of conditions (32768 in the API) and notes of events (1024).
const MaxMessage = 1000

// Text fits into the message of a condition.
func Text(message string) string { return texts.Printable(message, MaxMessage) }

// Conditions sets the conditions of one object for its generation.
type Conditions struct {
	v1alpha1.Reported
	Generation int64
}

// Of returns what sets the conditions of an object.
func Of(object Object) Conditions { return Conditions{object.Reported(), object.GetGeneration()} }

// Set sets one condition. The status then speaks of this generation.
func (c Conditions) Set(kind string, status metav1.ConditionStatus, reason, message string) {
	*c.ObservedGeneration = c.Generation
	meta.SetStatusCondition(c.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: Text(message), ObservedGeneration: c.Generation,
	})
}

// Ready settles the three conditions of kstatus for a resource that works.
func (c Conditions) Ready(reason, message string) {
	c.Set(v1alpha1.ConditionReady, metav1.ConditionTrue, reason, message)
	meta.RemoveStatusCondition(c.Conditions, v1alpha1.ConditionReconciling)
	meta.RemoveStatusCondition(c.Conditions, v1alpha1.ConditionStalled)
}

// Progressing settles the three conditions of kstatus for a resource that does not work yet.
func (c Conditions) Progressing(reason, message string) {
	c.Set(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, message)
	c.Set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason, message)
	meta.RemoveStatusCondition(c.Conditions, v1alpha1.ConditionStalled)
}

// Stalled settles the three conditions of kstatus for a resource that a person must change.
func (c Conditions) Stalled(reason, message string) {
	c.Set(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, message)
	c.Set(v1alpha1.ConditionStalled, metav1.ConditionTrue, reason, message)
	meta.RemoveStatusCondition(c.Conditions, v1alpha1.ConditionReconciling)
}

// Failed settles the three conditions of kstatus by what may heal the failure.
func (c Conditions) Failed(failed *failure.Error) {
	if failed.Stalled {
		c.Stalled(failed.Reason, failed.Message)
	} else {
		c.Progressing(failed.Reason, failed.Message)
	}
}

// Undecodable reports whether the spec of an object does not decode, and settles its conditions then.
func (c Conditions) Undecodable() bool {
	if c.Undecoded == "" {
		return false
	}
	c.Stalled(v1alpha1.ReasonUndecodable, "the API server has a value that the operator cannot decode: "+c.Undecoded+"; correct the field, or delete the object")
	return true
}

// Aspect sets one condition beside Ready from what went wrong with it, if anything did.
func (c Conditions) Aspect(kind string, failed *failure.Error, well string) {
	if failed == nil {
		c.Set(kind, metav1.ConditionTrue, v1alpha1.ReasonReady, well)
		return
	}
	c.Set(kind, metav1.ConditionFalse, failed.Reason, failed.Message)
}
