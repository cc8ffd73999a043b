package builtin

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestNothingElseNamesAnExporter looks through every file of the repository that is not an exporter's own folder, this
// package, a sample, documentation or a test.
func TestNothingElseNamesAnExporter(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	listing, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("not a git work tree: %v", err)
	}
	files := strings.Split(strings.TrimSuffix(string(listing), "\x00"), "\x00")
	looked, found, err := namesOfExporters(os.DirFS(root), files, Registry().Types())
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range found {
		t.Error(place)
	}
	if looked < 100 {
		t.Errorf("only %d files were looked at", looked)
	}
}

func TestANameOfAnExporterIsFoundWhereItMayNotBe(t *testing.T) {
	t.Parallel()
	contents := map[string]string{
		// Not allowed.
		"internal/controller/run.go":     "package controller\n\nif run.Type == \"sie\" {\n",
		"cmd/main.go":                    "import \"github.com/ledgerport/ledgerport/exporters/sie\"\n",
		"exporters/options.go":           "// As SIE has it.\n",
		"exporters/sier/sier.go":         "const name = \"sie\"\n",
		"internal/pipeline/testdata.txt": "sie;csv\n",
		// Allowed: the exporter's own, lists, samples, documentation and tests.
		"exporters/sie/sie.go":               "package sie\n",
		"exporters/builtin/builtin.go":       "sie.New()\n",
		"README.md":                          "`sie`\n",
		"docs/exporters/sie.md":              "# sie\n",
		"config/samples/sie.yaml":            "type: sie\n",
		"examples/exporter/main.go":          "sie\n",
		"test/chaos/sie.go":                  "sie\n",
		"internal/controller/run_test.go":    "sie\n",
		"internal/pipeline/testdata/sie.txt": "sie\n",
		"go.mod":                             "require example.org/sie v1.0.0\n",
		// Endings of files, subtypes of media types and longer words are no names of exporters.
		"internal/media/types.go": "file.csv text/csv csvw sieve\n",
	}
	tree, files := fstest.MapFS{}, []string{"removed.go"}
	for name, content := range contents {
		tree[name] = &fstest.MapFile{Data: []byte(content)}
		files = append(files, name)
	}
	slices.Sort(files)
	looked, found, err := namesOfExporters(tree, files, []string{"csv", "sie"})
	want := []string{
		"cmd/main.go:1 names the exporter sie: import \"github.com/ledgerport/ledgerport/exporters/sie\"",
		"exporters/options.go:1 names the exporter SIE: // As SIE has it.",
		"exporters/sier/sier.go:1 names the exporter sie: const name = \"sie\"",
		"internal/controller/run.go:3 names the exporter sie: if run.Type == \"sie\" {",
		"internal/pipeline/testdata.txt:1 names the exporter sie: sie;csv",
	}
	if err != nil || looked != 6 || !slices.Equal(found, want) {
		t.Errorf("%d files were looked at (%v), and found was\n%s", looked, err, strings.Join(found, "\n"))
	}
}

// namesOfExporters looks for types of exporters in those of the files that may not name any. It says in how many, and returns
// the lines that do.
func namesOfExporters(tree fs.FS, files, types []string) (looked int, found []string, err error) {
	// Not as the ending of a file or the subtype of a media type, which formats of that kind share, but as a word or a package.
	named := regexp.MustCompile(`(?i)(^|[^\w./-]|exporters/)(` + strings.Join(types, "|") + `)\b`)
	for _, file := range files {
		if mayNameExporters(file, types) {
			continue
		}
		content, err := fs.ReadFile(tree, file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // removed since the last commit
		case err != nil:
			return looked, found, err
		}
		looked++
		for number, line := range bytes.Split(content, []byte("\n")) {
			if match := named.FindSubmatch(line); match != nil {
				found = append(found, fmt.Sprintf("%s:%d names the exporter %s: %s", file, number+1, match[2], bytes.TrimSpace(line)))
			}
		}
	}
	return looked, found, nil
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
