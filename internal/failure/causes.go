package failure

import (
	"errors"
	"fmt"
	"syscall"
)

// Causes names what an error came of, outermost first, for a log: the type of each error in its tree, the SQLSTATE of one of
// PostgreSQL, and the words of one of the operating system. The texts of others could quote a secret.
func Causes(err error) []string {
	if err == nil {
		return nil
	}
	var causes []string
	var failed *Error
	state, hasState := err.(interface{ SQLState() string })
	number, hasNumber := err.(syscall.Errno) //nolint:errorlint // each error of the tree is looked at
	switch {
	case hasState:
		causes = append(causes, fmt.Sprintf("%T SQLSTATE %s", err, state.SQLState()))
	case hasNumber:
		causes = append(causes, fmt.Sprintf("%T %s", err, number.Error()))
	case !errors.As(err, &failed) || error(failed) != err: //nolint:errorlint // as above
		causes = append(causes, fmt.Sprintf("%T", err))
	}
	switch wrapping := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() error }:
		return append(causes, Causes(wrapping.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, cause := range wrapping.Unwrap() {
			causes = append(causes, Causes(cause)...)
		}
	}
	return causes
}
