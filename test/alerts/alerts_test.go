// Package alerts_test runs promtool over the alerts that are installed with config/prometheus.
package alerts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestAlertsFireWhenTheyShouldAndOnlyThen(t *testing.T) {
	t.Parallel()
	tests, err := os.ReadFile("rules_test.yaml")
	must(t, err)
	promtool(t, tests)
}

// promtool checks the alerts and runs unit tests of them.
func promtool(t *testing.T, tests []byte) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatal("promtool is not on PATH; Debian has it in the package prometheus")
	case err != nil:
		t.Skip("promtool is not on PATH, so the alerts were not tested; Debian has it in the package prometheus")
	}
	directory := t.TempDir()
	write(t, filepath.Join(directory, "rules.yaml"), rules(t))
	write(t, filepath.Join(directory, "rules_test.yaml"), tests)
	for _, arguments := range [][]string{{"check", "rules", "rules.yaml"}, {"test", "rules", "rules_test.yaml"}} {
		command := exec.CommandContext(t.Context(), tool, arguments...)
		command.Dir = directory
		if said, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", arguments, err, said)
		}
	}
}

// rules returns the groups of the PrometheusRule as a file of Prometheus.
func rules(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../../config/prometheus/rules.yaml")
	must(t, err)
	var rule struct {
		Spec map[string]any `json:"spec"`
	}
	must(t, yaml.Unmarshal(text, &rule))
	groups, err := yaml.Marshal(rule.Spec)
	must(t, err)
	return groups
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	must(t, os.WriteFile(path, content, 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
