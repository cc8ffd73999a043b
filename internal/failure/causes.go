package failure

import (
	"errors"
	"fmt"
	"syscall"
)

// mostCauses bounds how many causes of an error are named. A chart with thousands of mistakes is an error with as many.
const mostCauses = 30

// Causes names what an error came of, outermost first, for a log: the type of each error in its tree, the SQLSTATE of one of
// PostgreSQL, and the words of one of the operating system. The texts of others could quote a secret. Of many, the first are named.
func Causes(err error) []string {
	causes := appendCauses(nil, err)
	if len(causes) > mostCauses {
		causes[mostCauses] = "…"
	}
	return causes
}

func appendCauses(causes []string, err error) []string {
	if err == nil || len(causes) > mostCauses {
		return causes
	}
	var failed *Error
	state, hasState := err.(interface{ SQLState() string })
	number, hasNumber := err.(syscall.Errno) //nolint:errorlint // each error of the tree is looked at
	switch {
	case hasState:
		causes = append(causes, fmt.Sprintf("%T SQLSTATE %.5s", err, state.SQLState())) // a server's own word
	case hasNumber:
		causes = append(causes, fmt.Sprintf("%T %s", err, number.Error()))
	case !errors.As(err, &failed) || error(failed) != err: //nolint:errorlint // as above
		causes = append(causes, fmt.Sprintf("%T", err))
	}
	switch wrapping := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() error }:
		return appendCauses(causes, wrapping.Unwrap())
	case interface{ Unwrap() []error }:
		for _, cause := range wrapping.Unwrap() {
			causes = appendCauses(causes, cause)
		}
	}
	return causes
}
