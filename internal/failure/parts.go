package failure

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// joinedType is what errors.Join returns: its text is that of its parts, one to a line.
var joinedType = reflect.TypeOf(errors.Join(errors.ErrUnsupported))

// Parts returns the errors that were joined, and those that were joined of these, in their order; an error that is not joined alone.
func Parts(err error) (parts []error) {
	if err == nil {
		return nil
	}
	joined, several := err.(interface{ Unwrap() []error })
	if !several || reflect.TypeOf(err) != joinedType {
		return []error{err}
	}
	for _, part := range joined.Unwrap() {
		parts = append(parts, Parts(part)...)
	}
	return parts
}

// Listing puts the first few of joined errors on one line, and says how many more there are.
func Listing(err error) string {
	const most = 5
	var texts []string
	parts := Parts(err)
	for _, part := range parts[:min(most, len(parts))] {
		texts = append(texts, part.Error())
	}
	if more := len(parts) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}
