// Package panics turns a panic into an error, so that a fault in the code that processes one resource ends that and not the
// process, which works for all of them.
package panics

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Error is a panic that was caught. Neither its text nor its stack quotes a value: one may be of a claim.
type Error struct {
	// Kind is what the Go runtime says, or else the type of the value that the panic was called with.
	Kind string
	// Stack of the goroutine, for the log.
	Stack []byte
}

// Error implements error.
func (e *Error) Error() string { return "panic: " + e.Kind }

// Catch catches a panic into an error. It must be deferred itself: defer panics.Catch(&err). Every goroutine needs its own.
func Catch(err *error) { //nolint:gocritic // a deferred function can set a result only so
	value := recover()
	if value == nil {
		return
	}
	kind := fmt.Sprintf("%T", value)
	if fault, own := value.(runtime.Error); own {
		kind = fault.Error()
	}
	*err = &Error{Kind: kind, Stack: debug.Stack()}
}
