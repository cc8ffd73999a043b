package command

import (
	"errors"
	"os"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/ledgerport/ledgerport/test/environment"
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
			limitMemory(logr.Discard(), test.pod, 4, false)
			if got := debug.SetMemoryLimit(-1); got != test.want {
				t.Errorf("the limit is %d MiB, want %d", got>>20, test.want>>20)
			}
		})
	}
}

// TestThePodHasMemoryForAsManyRunsAsTheFlagAllows reads the limits of config.
func TestThePodHasMemoryForAsManyRunsAsTheFlagAllows(t *testing.T) {
	t.Parallel()
	var limits limitOptions
	limits.add(pflag.NewFlagSet("manager", pflag.ContinueOnError))
	for directory, books := range map[string]bool{"config/default": false, "config/lockdown": false, "config/books": true} {
		objects, err := environment.Render(t.Context(), directory)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(objects, func(object *unstructured.Unstructured) bool { return object.GetKind() == "Deployment" })
		var deployment appsv1.Deployment
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(objects[at].Object, &deployment); err != nil {
			t.Fatal(err)
		}
		limit := deployment.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value()
		if kept, needed := limit*9/10, memoryFor(limits.runs.Runs, books); kept < needed {
			t.Errorf("%s: the runtime keeps to %d MiB of the pod's %d, and %d runs need %d", directory, kept>>20, limit>>20, limits.runs.Runs, needed>>20)
		}
	}
}
