package helm_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ledgerport/ledgerport/command"
	"github.com/ledgerport/ledgerport/exporters/builtin"
)

// program returns the command manager, whose flags the chart has as values.
func program(t *testing.T) *cobra.Command {
	t.Helper()
	found, _, err := command.New(builtin.Registry()).Find([]string{"manager"})
	must(t, err)
	return found
}

func TestEveryFlagIsAValue(t *testing.T) {
	t.Parallel()
	given, want, never := map[string]any{}, program(t).Flags(), map[string]any{}
	want.VisitAll(func(flag *pflag.Flag) {
		if flag.Name == "help" {
			return
		}
		value, text := sample(flag)
		given[camel(flag.Name)], never[camel(flag.Name)] = value, nil
		if text == flag.DefValue {
			t.Errorf("--%s is tested with its default", flag.Name)
		}
		must(t, want.Set(flag.Name, text))
	})
	defaults := load(t).Values["flags"].(map[string]any)
	if have, flags := slices.Sorted(maps.Keys(defaults)), slices.Sorted(maps.Keys(given)); !slices.Equal(have, flags) {
		t.Fatalf("values.yaml has the flags\n%s\nand the program\n%s\ncall `make manifests`", have, flags)
	}

	args := arguments(t, render(t, releaseName, map[string]any{"flags": given}))
	have := program(t).Flags()
	if len(args) != len(given)+1 || args[0] != "manager" {
		t.Errorf("%d values become the arguments %q", len(given), args)
	}
	must(t, have.Parse(args[1:]))
	want.VisitAll(func(flag *pflag.Flag) {
		if got := have.Lookup(flag.Name).Value.String(); got != flag.Value.String() {
			t.Errorf("--%s becomes %s, want %s", flag.Name, got, flag.Value)
		}
	})

	if args := arguments(t, render(t, releaseName, map[string]any{"flags": never, "replicas": 1})); !slices.Equal(args, []string{"manager"}) {
		t.Errorf("without any flag the arguments are %q", args)
	}
}

// sample is a value that a flag does not have by default, as the chart and as a command line has it.
func sample(flag *pflag.Flag) (value any, text string) {
	switch kind := flag.Value.Type(); {
	case kind == "bool" && flag.DefValue == "true":
		return false, "false"
	case kind == "bool":
		return true, "true"
	case kind == "int":
		return 1000000, "1000000"
	case kind == "float64":
		return 0.25, "0.25"
	case kind == "duration":
		return "7m", "7m"
	case kind == "stringSlice":
		return []any{"one", "two"}, "one,two"
	case flag.Name == "log-level":
		return "debug", "debug"
	case strings.HasSuffix(flag.Name, "-address"):
		return "127.0.0.1:9090", "127.0.0.1:9090"
	case strings.HasSuffix(flag.Name, "-endpoint"):
		return "https://collector:4317", "https://collector:4317"
	case strings.HasSuffix(flag.Name, "-limit"):
		return "3Gi", "3Gi"
	case strings.HasSuffix(flag.Name, "-root"), strings.HasSuffix(flag.Name, "-directory"), strings.HasSuffix(flag.Name, "-certificates"):
		return "/elsewhere", "/elsewhere"
	default:
		return "a name", "a name"
	}
}

// camel is the name of a flag as a value has it.
func camel(name string) string {
	words := strings.Split(name, "-")
	for i, word := range words[1:] {
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}

func TestPortsAndMountsFollowTheFlags(t *testing.T) {
	t.Parallel()
	pod := manager(t, render(t, releaseName, values(t, `
flags: {metricsBindAddress: ":9443", healthProbeBindAddress: "0", filesystemRoot: /files, receiptsRoot: /documents, spoolDirectory: /render}
exports: {existingClaim: delivered}
receipts: {existingClaim: documents}
`)))
	container := pod["containers"].([]any)[0].(map[string]any)
	ports := container["ports"].([]any)
	if len(ports) != 1 || ports[0].(map[string]any)["containerPort"] != int64(9443) {
		t.Errorf("the ports are %v", ports)
	}
	if container["livenessProbe"] != nil || container["readinessProbe"] != nil {
		t.Error("without an address for probes there are some")
	}
	mounts := map[string]string{}
	for _, mount := range container["volumeMounts"].([]any) {
		mounts[mount.(map[string]any)["name"].(string)] = mount.(map[string]any)["mountPath"].(string)
	}
	if want := (map[string]string{"spool": "/render", "tmp": "/tmp", "exports": "/files", "receipts": "/documents"}); !maps.Equal(mounts, want) {
		t.Errorf("the volumes are mounted at %v, want %v", mounts, want)
	}
}
