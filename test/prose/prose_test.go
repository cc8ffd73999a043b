// Package prose_test sees that `make lint` finds what the list of words in hack/prose is against, wherever people read.
package prose_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/test/environment"
)

// places are where sentences stand, one on a line.
var places = []struct{ name, file, before, after string }{
	{"a page", "page.md", "- ", ""},
	{"a comment", "comment.go", "package planted // ", ""},
	{"a message", "message.go", "var _ = \"", "\""},
	{"a raw text", "raw.go", "var _ = `", "`"},
}

func TestProseLinter(t *testing.T) {
	t.Parallel()
	wrong, right := sentences(t, "wrong.txt"), sentences(t, "right.txt")
	found := lint(t, append(wrong, right...))
	for _, place := range places {
		for i, sentence := range append(wrong, right...) {
			if got, want := found[place.file][i+1], i < len(wrong); got != want {
				t.Errorf("in %s %q is refused: %t, want %t", place.name, sentence, got, want)
			}
		}
	}
}

func TestEveryRuleHasASentenceThatItRefuses(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../hack/prose/Ledgerport/Words.yml")
	must(t, err)
	var rules struct{ Swap map[string]string }
	must(t, yaml.Unmarshal(content, &rules))
	if wrong := sentences(t, "wrong.txt"); len(rules.Swap) < 10 || len(wrong) < len(rules.Swap) {
		t.Errorf("hack/prose has %d rules, and testdata/wrong.txt %d sentences", len(rules.Swap), len(wrong))
	}
}

// lint returns the lines of each file that are refused when the sentences stand in it.
func lint(t *testing.T, sentences []string) map[string]map[int]bool {
	t.Helper()
	root, err := environment.ModuleRoot()
	must(t, err)
	directory := t.TempDir()
	for _, place := range places {
		var content strings.Builder
		for _, sentence := range sentences {
			content.WriteString(place.before + sentence + place.after + "\n")
		}
		must(t, os.WriteFile(filepath.Join(directory, place.file), []byte(content.String()), 0o600))
	}
	vale := exec.CommandContext(t.Context(), "go", "tool", "-modfile=hack/tools/vale/go.mod", "vale", "--no-global", "--output=line", directory)
	var problems bytes.Buffer
	vale.Dir, vale.Stderr = root, &problems
	output, err := vale.Output()
	var failed *exec.ExitError
	if !errors.As(err, &failed) || failed.ExitCode() != 1 {
		t.Fatalf("the linter ended with %v: %s", err, &problems)
	}
	found := map[string]map[int]bool{}
	for line := range strings.Lines(string(output)) {
		file, rest, _ := strings.Cut(filepath.Base(strings.SplitN(line, " ", 2)[0]), ":")
		number, err := strconv.Atoi(strings.SplitN(rest, ":", 2)[0])
		must(t, err)
		if found[file] == nil {
			found[file] = map[int]bool{}
		}
		found[file][number] = true
	}
	return found
}

func sentences(t *testing.T, file string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	must(t, err)
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
