package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheVersionIsThatOfTheOperatorsTag has a repository whose newest tag is one of the API's own module, as each release makes one.
func TestTheVersionIsThatOfTheOperatorsTag(t *testing.T) {
	t.Setenv("MAKEFLAGS", "") // of a make that runs this
	repository := t.TempDir()
	makefile, err := os.ReadFile("../../Makefile")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(repository, "Makefile"), makefile, 0o600))
	git := func(arguments ...string) {
		t.Helper()
		command(t, repository, "git", append([]string{"-c", "user.name=test", "-c", "user.email=test@example.com"}, arguments...)...)
	}
	git("init", "--quiet")
	git("add", "Makefile")
	git("commit", "--quiet", "--message=Release v1.2.3")
	version := func(target string) string {
		t.Helper()
		return command(t, repository, "make", "--silent", "--dry-run", target)
	}
	git("tag", "api/v9.9.9")
	if said := version("build"); strings.Contains(said, "9.9.9") {
		t.Errorf("without a tag of its own, the operator has the version of the API:\n%s", said)
	}
	git("tag", "v1.2.3")
	git("tag", "--annotate", "--message=newer", "api/v1.2.4")
	for target, want := range map[string]string{"build": "command.version=v1.2.3'", "image": "-version='v1.2.3'", "release": "-version='v1.2.3'", "chart": "--app-version='v1.2.3'", "site": "-version='v1.2.3'"} {
		if said := version(target); !strings.Contains(said, want) {
			t.Errorf("make %s does not have %q:\n%s", target, want, said)
		}
	}
}
