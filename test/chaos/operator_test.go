package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestAnOperatorThatNobodyHasEndedHasCrashed(t *testing.T) {
	t.Parallel()
	for end, want := range map[string]struct{ disturbed, undisturbed, console string }{
		"exit 0":        {"", "", ""},
		"exit 1":        {"", "exit status 1", "exit status 1"}, // it has lost its lease, which a console has not
		"exit 2":        {"exit status 2", "exit status 2", "exit status 2"},
		"kill -KILL $$": {"", "signal: killed", ""},
		"kill -SEGV $$": {"signal: segmentation fault", "signal: segmentation fault", "signal: segmentation fault"},
	} {
		t.Run("one that ended with "+end, func(t *testing.T) {
			t.Parallel()
			ended := exec.CommandContext(t.Context(), "sh", "-c", end).Run()
			if disturbed, undisturbed := crashOf(ended, false, true), crashOf(ended, true, true); disturbed != want.disturbed || undisturbed != want.undisturbed {
				t.Errorf("it ended with %q, and undisturbed with %q", disturbed, undisturbed)
			}
			if console := crashOf(ended, false, false); console != want.console {
				t.Errorf("a console ended with %q", console)
			}
		})
	}
}

func TestAPanicThatAnOperatorCaughtIsFound(t *testing.T) {
	t.Parallel()
	found := panicsIn(map[string][]byte{
		"sound.log":  []byte("{\"msg\":\"the attempt begins\"}\n"),
		"faulty.log": []byte("{\"msg\":\"the attempt panicked\",\"err\":\"panic: assignment to entry in nil map\"}\n"),
	})
	if len(found) != 1 || !strings.HasPrefix(found[0], "faulty.log caught a panic") {
		t.Errorf("found %q", found)
	}
}
