package command

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

func TestExitCode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		phase             v1alpha1.RunPhase
		waited, cancelled int
	}{
		{v1alpha1.RunSucceeded, 0, exitFailed},
		{v1alpha1.RunFailed, exitFailed, 0},
		{v1alpha1.RunCancelled, exitFailed, 0},
		{v1alpha1.RunIncomplete, exitIncomplete, exitIncomplete},
	} {
		t.Run(fmt.Sprintf("says that a run is %s", test.phase), func(t *testing.T) {
			t.Parallel()
			run := &v1alpha1.ExportRun{Status: v1alpha1.ExportRunStatus{Phase: test.phase}}
			for i, err := range []error{endOf(run), endOfCancelled(run)} {
				if want := []int{test.waited, test.cancelled}[i]; (err == nil) != (want == 0) || err != nil && exitCode(errors.Join(err)) != want {
					t.Errorf("it is %v, want %d", err, want)
				}
			}
		})
	}
	if code := exitCode(errors.New("nothing could be asked for")); code != exitError {
		t.Errorf("of another error it is %d", code)
	}
}
