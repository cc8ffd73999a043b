package command

import (
	"bytes"
	"errors"
	"os"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// TestTheRuntimeKeepsToTheMemoryLimitOfThePod is alone, because the limit is the whole process's.
func TestTheRuntimeKeepsToTheMemoryLimitOfThePod(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	unset := func(t *testing.T, variable string) {
		t.Setenv(variable, "") // which has it restored
		if err := os.Unsetenv(variable); err != nil {
			t.Fatal(err)
		}
	}
	const pod, own = 1000 << 20, 123 << 20
	for name, test := range map[string]struct {
		pod     memlimit.Provider
		setting string // of GOMEMLIMIT, which the runtime has read at its start
		want    int64
	}{
		"less what the runtime does not count":      {memlimit.Limit(pod), "", 900 << 20},
		"but to GOMEMLIMIT where that is set":       {memlimit.Limit(pod), "123MiB", own},
		"or goes on where the limit cannot be read": {func() (uint64, error) { return 0, errors.New("no control group") }, "", own},
	} {
		t.Run(name, func(t *testing.T) {
			unset(t, "AUTOMEMLIMIT")
			unset(t, "GOMEMLIMIT")
			if test.setting != "" {
				t.Setenv("GOMEMLIMIT", test.setting)
			}
			debug.SetMemoryLimit(own)
			limitMemory(logr.Discard(), test.pod, 4)
			if got := debug.SetMemoryLimit(-1); got != test.want {
				t.Errorf("the limit is %d MiB, want %d", got>>20, test.want>>20)
			}
		})
	}
}

// TestThePodHasMemoryForAsManyRunsAsTheFlagAllows reads the limit of config/manager.
func TestThePodHasMemoryForAsManyRunsAsTheFlagAllows(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../config/manager/manager.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	for document := range bytes.SplitSeq(content, []byte("\n---\n")) {
		if !bytes.Contains(document, []byte("kind: Deployment\n")) {
			continue
		}
		if err := yaml.Unmarshal(document, &deployment); err != nil {
			t.Fatal(err)
		}
	}
	limit := deployment.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value()
	var limits limitOptions
	limits.add(pflag.NewFlagSet("manager", pflag.ContinueOnError))
	if runtime, needed := limit*9/10, memoryFor(limits.runs.Runs); runtime < needed {
		t.Errorf("the runtime keeps to %d MiB of the pod's %d, and %d runs need %d", runtime>>20, limit>>20, limits.runs.Runs, needed>>20)
	}
}
