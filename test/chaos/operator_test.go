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

func TestAPanicIsFoundInLogs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ log, want string }{
		"a sound operator has none":       {"{\"msg\":\"the attempt begins\"}\n", ""},
		"one that was caught is named":    {"{\"msg\":\"the attempt panicked\",\"err\":\"panic: assignment to entry in nil map\"}\n", "some.log caught a panic"},
		"one that ended a pod is named":   {"{\"msg\":\"the attempt begins\"}\npanic: assignment to entry in nil map\n\ngoroutine 1 [running]:\n", "some.log ended by a panic"},
		"one of the runtime is named too": {"fatal error: concurrent map writes\n", "some.log ended by a panic"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := strings.Join(panicsIn(map[string][]byte{"some.log": []byte(test.log)}), "; ")
			if !strings.HasPrefix(found, test.want) || (found == "") != (test.want == "") {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}
