package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheBinaryKnowsTheExporter builds and runs the operator's binary with one exporter more.
func TestTheBinaryKnowsTheExporter(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "ledgerport-inhouse")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	manifest := filepath.Join("testdata", "export.yaml")
	if out, err := exec.CommandContext(t.Context(), binary, "validate", "--partial", "-f", manifest).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), binary, "manager", "--max-concurrent-runs=0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--max-concurrent-runs is 0") {
		t.Errorf("%v: the manager does not read its flags:\n%s", err, out)
	}
}
