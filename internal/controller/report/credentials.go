package report

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/texts"
)

// untried are reasons for which a server has not been asked to take credentials.
var untried = []v1alpha1.Reason{
	v1alpha1.ReasonDatabaseUnreachable, v1alpha1.ReasonDestinationUnreachable, v1alpha1.ReasonHostNotAllowed, v1alpha1.ReasonHostKeyMismatch,
}

// DescribeCredentials reports whether the credentials of a resource are in order, as far as it can be known: a server that cannot
// be reached says nothing about them.
func DescribeCredentials(set Conditions, found credentials.Credentials, failed *failure.Error) {
	switch {
	case failed != nil && failed.Condition == v1alpha1.ConditionCredentialsReady:
		set.Set(v1alpha1.ConditionCredentialsReady, metav1.ConditionFalse, failed.Reason, failed.Message)
	case found.Fallback != "":
		set.Set(v1alpha1.ConditionCredentialsReady, metav1.ConditionTrue, v1alpha1.ReasonEnvironmentFallback, found.Fallback)
	case failed != nil && slices.Contains(untried, failed.Reason):
		set.Set(v1alpha1.ConditionCredentialsReady, metav1.ConditionUnknown, failed.Reason, "the credentials could not be tried: "+failed.Message)
	default:
		set.Set(v1alpha1.ConditionCredentialsReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "the credentials were accepted")
	}
}

// FallbackWarnings writes an event about each resource whose credentials come from the operator's environment, at once and
// then every hour.
type FallbackWarnings struct {
	recorder events.EventRecorder

	mu     sync.Mutex
	warned map[types.UID]time.Time
}

// NewFallbackWarnings makes warnings that are written with a recorder.
func NewFallbackWarnings(recorder events.EventRecorder) *FallbackWarnings {
	return &FallbackWarnings{recorder: recorder, warned: map[types.UID]time.Time{}}
}

// Warn warns of a resource, if it is due.
func (f *FallbackWarnings) Warn(object client.Object, found credentials.Credentials, now time.Time) {
	if found.Fallback != "" && f.due(object.GetUID(), now) {
		f.recorder.Eventf(object, nil, corev1.EventTypeWarning, v1alpha1.ReasonEnvironmentFallback, "Check", "%s", texts.Printable("credentials are "+found.Fallback, MaxMessage))
	}
}

func (f *FallbackWarnings) due(resource types.UID, now time.Time) bool {
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

// LogUnexpected keeps what an unexpected error came of: its message says no more than that there was one.
func LogUnexpected(ctx context.Context, failed *failure.Error) {
	if failed.Reason == v1alpha1.ReasonInternal {
		ctrl.LoggerFrom(ctx).Info("an unexpected error", "causes", failure.Causes(failed))
	}
}
