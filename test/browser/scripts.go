// Package browser runs the scripts beside it, which drive a real browser.
package browser

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ledgerport/ledgerport/test/environment"
)

// Scripts are what a test runs them with.
type Scripts struct {
	directory, modules string
	programs           map[string]string
}

// Installed finds node, npm and chromium, and has npm install what the scripts need. Without them the test is skipped; with CI=true it fails.
func Installed(t testing.TB) *Scripts {
	t.Helper()
	root, err := environment.ModuleRoot()
	must(t, err)
	s := &Scripts{directory: filepath.Join(root, "test", "browser"), programs: map[string]string{}}
	for _, name := range []string{"node", "npm", "chromium"} {
		path, err := exec.LookPath(name)
		if err != nil && os.Getenv("CI") != "true" {
			t.Skipf("%s is missing; Debian's packages nodejs, npm and chromium have what this test needs", name)
		}
		must(t, err)
		s.programs[name] = path
	}
	s.install(t)
	return s
}

// Run runs a script with variables, such as BASE=http://localhost, and fails the test with what it has said if it fails.
func (s *Scripts) Run(t testing.TB, script string, variables ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), s.programs["node"], script) // #nosec G204 -- our own scripts
	command.Dir = s.directory
	command.Env = slices.Concat(os.Environ(), []string{"NODE_PATH=" + s.modules, "CHROMIUM=" + s.programs["chromium"]}, variables)
	if said, err := command.CombinedOutput(); err != nil {
		t.Errorf("%s: %s\n%s", script, err, said)
	}
}

// install has npm install what package-lock.json names, once for each content of it.
func (s *Scripts) install(t testing.TB) {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(s.directory, "package-lock.json"))
	must(t, err)
	sum := sha256.Sum256(lock)
	cache, err := os.UserCacheDir()
	must(t, err)
	place := filepath.Join(cache, "ledgerport", "browser", hex.EncodeToString(sum[:8]))
	s.modules = filepath.Join(place, "node_modules")
	whole := filepath.Join(place, "installed")
	if _, err := os.Stat(whole); err == nil {
		return
	}
	must(t, os.MkdirAll(place, 0o750))
	for _, name := range []string{"package.json", "package-lock.json"} {
		content, err := os.ReadFile(filepath.Join(s.directory, name)) // #nosec G304 -- our own files
		must(t, err)
		must(t, os.WriteFile(filepath.Join(place, name), content, 0o600))
	}
	command := exec.CommandContext(t.Context(), s.programs["npm"], "ci", "--ignore-scripts", "--no-audit", "--no-fund") // #nosec G204 -- our own arguments
	command.Dir = place
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %s\n%s", err, said)
	}
	must(t, os.WriteFile(whole, nil, 0o600))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
