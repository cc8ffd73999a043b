package failure_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ledgerport/ledgerport/internal/failure"
)

func TestAListingIsFlatAndShort(t *testing.T) {
	t.Parallel()
	problem := func(i int) error { return fmt.Errorf("problem %d", i) }
	var many []error
	for i := range 12 {
		many = append(many, problem(i))
	}
	for want, err := range map[string]error{
		"problem 1":                       problem(1),
		"problem 1; problem 2; problem 3": errors.Join(errors.Join(problem(1), problem(2)), nil, errors.Join(problem(3))),
		"problem 0; problem 1; problem 2; problem 3; problem 4; and 7 more": errors.Join(errors.Join(many[:7]...), errors.Join(many[7:]...)),
		"the chart: problem 1 (problem 2)":                                  fmt.Errorf("the chart: %w (%w)", problem(1), problem(2)),
	} {
		if got := failure.Listing(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if failure.Parts(nil) != nil {
		t.Error("no error has parts")
	}
}
