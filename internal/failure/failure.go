// Package failure holds the one error type by which an effect at the edge (a database, a destination, a Secret) tells a
// reconciler what to say and what to do next.
package failure

import (
	"errors"
	"fmt"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/texts"
)

// Error is a failure that a person may have to act on.
type Error struct {
	// Condition that the failure makes False, such as v1alpha1.ConditionSourceReady; empty where it concerns the run alone.
	Condition string
	// Reason is one of the reasons in package v1alpha1.
	Reason v1alpha1.Reason
	// Message says what is wrong and what to do about it, on one line. It never holds a secret, a bank account or a claimant's
	// name, and therefore never the text of an error that could quote one.
	Message string
	// Stalled is true where no retry can help until a person changes the resource or what it refers to.
	Stalled bool
	// Cause is kept for errors.Is and errors.As; its text is never shown.
	Cause error
	// Elsewhere is true of what another resource says of itself, and has an event of.
	Elsewhere bool
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Transient is a failure that may heal: it is retried with backoff.
func Transient(reason v1alpha1.Reason, cause error, format string, args ...any) *Error {
	return &Error{Reason: reason, Cause: cause, Message: texts.Printable(fmt.Sprintf(format, args...), texts.Message)}
}

// Stalled is a failure that no retry can heal.
func Stalled(reason v1alpha1.Reason, cause error, format string, args ...any) *Error {
	return &Error{Reason: reason, Cause: cause, Message: texts.Printable(fmt.Sprintf(format, args...), texts.Message), Stalled: true}
}

// Condition makes failures that make one condition False: a package whose failures are all of a kind has one.
type Condition string

// The conditions that a failure can concern.
const (
	OnSource      = Condition(v1alpha1.ConditionSourceReady)
	OnMapping     = Condition(v1alpha1.ConditionMappingReady)
	OnDestination = Condition(v1alpha1.ConditionDestinationReady)
	OnCredentials = Condition(v1alpha1.ConditionCredentialsReady)
)

// Transient is a failure of the condition that may heal.
func (c Condition) Transient(reason v1alpha1.Reason, cause error, format string, args ...any) *Error {
	failed := Transient(reason, cause, format, args...)
	failed.Condition = string(c)
	return failed
}

// Stalled is a failure of the condition that no retry can heal.
func (c Condition) Stalled(reason v1alpha1.Reason, cause error, format string, args ...any) *Error {
	failed := Stalled(reason, cause, format, args...)
	failed.Condition = string(c)
	return failed
}

// On says which condition a failure makes False. An error that is no failure, and a failure that already names a
// condition, are left as they are.
func On(condition string, err error) error {
	var failed *Error
	if !errors.As(err, &failed) || failed.Condition != "" {
		return err
	}
	named := *failed
	named.Condition = condition
	return &named
}

// From returns the failure within an error, or one with ReasonInternal whose message hides the error's text.
func From(err error) *Error {
	var failed *Error
	if errors.As(err, &failed) {
		return failed
	}
	return &Error{Reason: v1alpha1.ReasonInternal, Cause: err, Message: "an unexpected error; the operator's log has its type"}
}
