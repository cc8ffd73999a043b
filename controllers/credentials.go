package controllers

import (
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// untried are reasons for which a server has not been asked to take credentials.
var untried = []v1alpha1.Reason{
	v1alpha1.ReasonDatabaseUnreachable, v1alpha1.ReasonDestinationUnreachable, v1alpha1.ReasonHostNotAllowed, v1alpha1.ReasonHostKeyMismatch,
}

// describeCredentials says whether the credentials of a resource are in order, as far as it can be known: a server that cannot
// be reached says nothing about them.
func describeCredentials(set conditions, found credentials.Credentials, failed *failure.Error) {
	switch {
	case failed != nil && failed.Condition == v1alpha1.ConditionCredentialsReady:
		set.set(v1alpha1.ConditionCredentialsReady, metav1.ConditionFalse, failed.Reason, failed.Message)
	case found.Fallback != "":
		set.set(v1alpha1.ConditionCredentialsReady, metav1.ConditionTrue, v1alpha1.ReasonEnvironmentFallback, found.Fallback)
	case failed != nil && slices.Contains(untried, failed.Reason):
		set.set(v1alpha1.ConditionCredentialsReady, metav1.ConditionUnknown, failed.Reason, "the credentials could not be tried: "+failed.Message)
	default:
		set.set(v1alpha1.ConditionCredentialsReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "the credentials were accepted")
	}
}

// untilStale shortens the wait for the next look to the time at which the sync of the credentials gets too old.
func untilStale(wait time.Duration, found credentials.Credentials) time.Duration {
	if found.StaleAt.IsZero() {
		return wait
	}
	return min(wait, max(time.Until(found.StaleAt), time.Millisecond))
}

// fallbackWarnings writes an event about each resource whose credentials come from the operator's environment, at once and
// then every hour.
type fallbackWarnings struct {
	recorder events.EventRecorder

	mu     sync.Mutex
	warned map[types.UID]time.Time
}

func newFallbackWarnings(recorder events.EventRecorder) *fallbackWarnings {
	return &fallbackWarnings{recorder: recorder, warned: map[types.UID]time.Time{}}
}

// tell warns of a resource, if it is due.
func (f *fallbackWarnings) tell(object client.Object, found credentials.Credentials, now time.Time) {
	if found.Fallback != "" && f.due(object.GetUID(), now) {
		f.recorder.Eventf(object, nil, corev1.EventTypeWarning, v1alpha1.ReasonEnvironmentFallback, "Check", "%s", shorten("credentials are "+found.Fallback))
	}
}

func (f *fallbackWarnings) due(resource types.UID, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for warned, at := range f.warned {
		if now.Sub(at) >= time.Hour {
			delete(f.warned, warned)
		}
	}
	_, recently := f.warned[resource]
	if !recently {
		f.warned[resource] = now
	}
	return !recently
}
