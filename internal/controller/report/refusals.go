package report

import (
	"errors"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/texts"
)

const (
	// longestRefusal bounds the API server's own words within a message.
	longestRefusal = 500
	// longestRefusedWait bounds the wait until something that the API server refused is tried again.
	longestRefusedWait = 5 * time.Minute
)

// Refusal turns an error of the API server that a person must act on into a failure with its words: a quota, a policy, a
// webhook, a right that was taken away. Other errors are left as they are, because the next reconcile sees to them: the
// object has changed or is gone, or the server has no time.
func Refusal(doing string, err error) error {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return err
	}
	said := answer.Status()
	if !strings.HasPrefix(said.Message, "admission webhook") { // which may deny with any code
		switch said.Code {
		case http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return err
		}
	}
	return failure.Transient(v1alpha1.ReasonRequestRefused, err, "the API server refuses to %s: %s", doing, texts.Printable(said.Message, longestRefusal))
}

// Conflicts reports whether a write failed because the object is not as it was read. What Refusal has made of it may have a conflict for
// its cause: webhooks deny with any code.
func Conflicts(err error) bool {
	var refused *failure.Error
	return apierrors.IsConflict(err) && !errors.As(err, &refused)
}

// RefusedWait is how long to wait before what was refused is tried again: as long as it has been refused already, within
// bounds. It follows from the status, so that an operator that was restarted goes on with it.
func RefusedWait(conditions []metav1.Condition, kind string, now time.Time, shortest time.Duration) time.Duration {
	since := now
	if said := meta.FindStatusCondition(conditions, kind); said != nil && said.Reason == v1alpha1.ReasonRequestRefused {
		since = said.LastTransitionTime.Time
	}
	return min(longestRefusedWait, max(shortest, now.Sub(since)))
}

// Refused puts what the API server refused into the status of an object, and has it tried again later. It returns every other
// error.
func Refused(object Object, err error, now time.Time, shortest time.Duration) (ctrl.Result, error) {
	var refused *failure.Error
	if !errors.As(err, &refused) {
		return ctrl.Result{}, err
	}
	status := Of(object)
	wait := RefusedWait(*status.Conditions, v1alpha1.ConditionReady, now, shortest)
	status.Failed(refused)
	return ctrl.Result{RequeueAfter: wait}, nil
}

// WarnRefused writes an event about what the API server refused, if an error is that.
func WarnRefused(recorder events.EventRecorder, object client.Object, err error) {
	var refused *failure.Error
	if errors.As(err, &refused) && refused.Reason == v1alpha1.ReasonRequestRefused {
		recorder.Eventf(object, nil, corev1.EventTypeWarning, refused.Reason, "Request", "%s", texts.Printable(refused.Message, MaxMessage))
	}
}
