package failpoint_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/ledgerport/ledgerport/internal/failpoint"
)

func TestAStepIsBetweenItsPointsAndOneThatFailedHasNoneAfterIt(t *testing.T) {
	t.Parallel()
	var reached []failpoint.Point
	hook := failpoint.Hook(func(point failpoint.Point) { reached = append(reached, point) })
	if err := hook.Around(failpoint.Commit, func() error { reached = append(reached, "done"); return nil }); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("refused")
	if err := hook.Around(failpoint.Release, func() error { return failed }); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	if want := []failpoint.Point{"commit-before", "done", "commit-after", "release-before"}; !slices.Equal(reached, want) {
		t.Errorf("reached %q, want %q", reached, want)
	}
}

func TestWithoutAHookAStepIsJustDone(t *testing.T) {
	t.Parallel()
	done := false
	if err := failpoint.FromEnvironment().Around(failpoint.Commit, func() error { done = true; return nil }); err != nil || !done {
		t.Errorf("done %t (%v)", done, err)
	}
}
