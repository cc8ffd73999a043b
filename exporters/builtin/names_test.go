package builtin

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestNothingElseNamesAnExporter looks through every file of the repository that is not an exporter's own folder, this
// package, a sample, documentation or a test.
func TestNothingElseNamesAnExporter(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	types := Registry().Types()
	// Not as the ending of a file or the subtype of a media type, which formats of that kind share, but as a word or a package.
	named := regexp.MustCompile(`(?i)(^|[^\w./-]|exporters/)(` + strings.Join(types, "|") + `)\b`)
	listing, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("not a git work tree: %v", err)
	}
	looked := 0
	for file := range strings.SplitSeq(strings.TrimSuffix(string(listing), "\x00"), "\x00") {
		if mayNameExporters(file, types) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil && !os.IsNotExist(err) { // it may have been removed since the last commit
			t.Fatal(err)
		}
		looked++
		for number, line := range bytes.Split(content, []byte("\n")) {
			if found := named.FindSubmatch(line); found != nil {
				t.Errorf("%s:%d names the exporter %s: %s", file, number+1, found[2], bytes.TrimSpace(line))
			}
		}
	}
	if looked < 100 {
		t.Errorf("only %d files were looked at", looked)
	}
}

func mayNameExporters(file string, types []string) bool {
	folder, name := filepath.Split(file)
	switch {
	case strings.HasPrefix(folder, "docs/"), file == "README.md", strings.HasPrefix(folder, "config/samples/"), strings.HasPrefix(folder, "examples/"):
		return true
	case strings.HasPrefix(folder, ".ci/"), strings.HasPrefix(folder, "test/"), strings.HasSuffix(name, "_test.go"), strings.Contains(folder, "/testdata/"):
		return true // tests, and what they need to be installed
	case name == "go.sum", name == "go.mod":
		return true
	}
	parts := strings.Split(folder, "/")
	return parts[0] == "exporters" && (parts[1] == "builtin" || slices.Contains(types, parts[1]))
}
