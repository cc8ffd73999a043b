package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestDashboardsAndRulesAreGenerated(t *testing.T) {
	t.Parallel()
	committed, generated := filepath.Join("..", "..", "config"), t.TempDir()
	if err := os.CopyFS(generated, os.DirFS(committed)); err != nil {
		t.Fatal(err)
	}
	if err := generate(generated); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, pattern := range []string{"grafana/*.json", "alerts/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(generated, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name, _ := filepath.Rel(generated, file) // both are of the same directory
			have, err := os.ReadFile(filepath.Join(committed, name))
			want, _ := os.ReadFile(file)
			compared++
			if err != nil || !bytes.Equal(have, want) {
				t.Errorf("config/%s is not what `make manifests` writes (%v)", name, err)
			}
		}
	}
	if compared != 4 {
		t.Errorf("%d files were compared", compared)
	}
}

func TestRulesOutsideOfTheirPlaceAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"kind: PrometheusRule\n", "kind: PrometheusRule\nspec:\n  groups: []\nstatus: {}\n"} {
		if plain, err := plainRules(text); err == nil {
			t.Errorf("%q becomes %q", text, plain)
		}
	}
}
