// Package names_test makes sure that an exporter, or a type of destination, is named in its own folder and in the list of them all,
// and nowhere else: to add one is to touch nothing but these.
package names_test

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

	exporters "github.com/ledgerport/ledgerport/exporters/builtin"
	destinations "github.com/ledgerport/ledgerport/internal/destinations/builtin"
)

// plugins are what is added by a folder and a line: exporters, or types of destinations.
type plugins struct {
	// what one is called.
	what string
	// folder that has a folder for each, and the list in builtin.
	folder string
	// names of all.
	names []string
	// before and after say where in a line a name is one: not in a longer word.
	before, after string
	// also are where they may be named beside the places where all may.
	also []string
}

// exportersOf are not named by the ending of a file or the subtype of a media type, which formats of that kind share, but by a word or
// a package. What was booked elsewhere is read as CSV, and receipts are listed as such, which has nothing to do with the exporter.
// The console offers a list as CSV, and in German one says Sie to its reader.
func exportersOf(names []string) plugins {
	return plugins{what: "exporter", folder: "exporters/", names: names, before: `^|[^\w./-]|exporters/`, also: []string{"config/samples/", "command/adopt.go", "internal/offline/adopt.go", "internal/offline/booked.go", "internal/receipts/list.go", "internal/console/pages/audit.go", "internal/console/pages/held.yaml", "internal/console/pages/texts.yaml"}}
}

// destinationsOf are named by a word or a package, by a field of the API and by its types. They are fields of the API; the manifests,
// the chart and tools of the repository choose some, as every user does.
func destinationsOf(names []string) plugins {
	return plugins{
		what: "destination", folder: "internal/destinations/", names: names,
		before: `^|[^\w/-]|destinations/`, after: `(?:Destination|Credential\w*|External\w*)?`,
		also: []string{"api/v1alpha1/exportdestination_types.go", "api/v1alpha1/receipts_types.go", "api/v1alpha1/zz_generated.deepcopy.go", "charts/", "config/", "hack/"},
	}
}

// TestNothingElseNamesAnExporterOrADestination looks through every file of the repository that is not a folder of one of them, a list
// of them, a sample, documentation or a test.
func TestNothingElseNamesAnExporterOrADestination(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	listing, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("not a git work tree: %v", err)
	}
	files := strings.Split(strings.TrimSuffix(string(listing), "\x00"), "\x00")
	for _, p := range []plugins{exportersOf(exporters.Registry().Types()), destinationsOf(destinations.Registry(destinations.Settings{}).Types())} {
		looked, found, err := p.namedIn(os.DirFS(root), files)
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range found {
			t.Error(place)
		}
		if looked < 100 {
			t.Errorf("only %d files were looked at for %ss", looked, p.what)
		}
	}
}

func TestANameIsFoundWhereItMayNotBe(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		plugins  plugins
		contents map[string]string
		looked   int
		want     []string
	}{
		"an exporter": {exportersOf([]string{"csv", "sie"}), map[string]string{
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
		}, 6, []string{
			"cmd/main.go:1 names the exporter sie: import \"github.com/ledgerport/ledgerport/exporters/sie\"",
			"exporters/options.go:1 names the exporter SIE: // As SIE has it.",
			"exporters/sier/sier.go:1 names the exporter sie: const name = \"sie\"",
			"internal/controller/run.go:3 names the exporter sie: if run.Type == \"sie\" {",
			"internal/pipeline/testdata.txt:1 names the exporter sie: sie;csv",
		}},
		"a destination": {destinationsOf([]string{"s3", "vault"}), map[string]string{
			// Not allowed.
			"internal/references/open.go":              "package references\n\nif d.Spec.S3 != nil {\n",
			"internal/references/keys.go":              "var keys v1alpha1.VaultCredentialKeys\n",
			"internal/claims/record.go":                "schemes = []string{\"file\", \"vault\"}\n",
			"command/manager.go":                       "import \"github.com/ledgerport/ledgerport/internal/destinations/s3\"\n",
			"command/flags.go":                         "// spec.s3.endpoint is an URL\n",
			"internal/destinations/key.go":             "// as S3 has it\n",
			"internal/destinations/vaults/vaults.go":   "const name = \"vault\"\n",
			"internal/controller/destination/reads.go": "spec := v1alpha1.ExportDestinationSpec{Vault: nil}\n",
			// Allowed: the type's own, the list, its part of the API, manifests, tools, documentation and tests.
			"internal/destinations/s3/type.go":         "Name: \"s3\",\n",
			"internal/destinations/builtin/builtin.go": "s3.New(),\n",
			"api/v1alpha1/exportdestination_types.go":  "S3 *S3Destination\n",
			"api/v1alpha1/zz_generated.deepcopy.go":    "in.S3\n",
			"config/crd/bases/destinations.yaml":       "s3:\n",
			"hack/bench/apply.go":                      "S3: nil\n",
			"docs/destinations/s3.md":                  "# s3\n",
			"internal/controller/s3_test.go":           "S3: nil\n",
			// Longer words and parts of paths are no names of destinations.
			"internal/media/types.go": "s3cret vaulted tests3 service/s3 a-vault\n",
		}, 9, []string{
			"command/flags.go:1 names the destination s3: // spec.s3.endpoint is an URL",
			"command/manager.go:1 names the destination s3: import \"github.com/ledgerport/ledgerport/internal/destinations/s3\"",
			"internal/claims/record.go:1 names the destination vault: schemes = []string{\"file\", \"vault\"}",
			"internal/controller/destination/reads.go:1 names the destination Vault: spec := v1alpha1.ExportDestinationSpec{Vault: nil}",
			"internal/destinations/key.go:1 names the destination S3: // as S3 has it",
			"internal/destinations/vaults/vaults.go:1 names the destination vault: const name = \"vault\"",
			"internal/references/keys.go:1 names the destination Vault: var keys v1alpha1.VaultCredentialKeys",
			"internal/references/open.go:3 names the destination S3: if d.Spec.S3 != nil {",
		}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			tree, files := fstest.MapFS{}, []string{"removed.go"}
			for name, content := range test.contents {
				tree[name] = &fstest.MapFile{Data: []byte(content)}
				files = append(files, name)
			}
			slices.Sort(files)
			looked, found, err := test.plugins.namedIn(tree, files)
			if err != nil || looked != test.looked || !slices.Equal(found, test.want) {
				t.Errorf("%d files were looked at (%v), and found was\n%s", looked, err, strings.Join(found, "\n"))
			}
		})
	}
}

// namedIn looks for names in those of the files that may not have any. It says in how many, and returns the lines that do.
func (p plugins) namedIn(tree fs.FS, files []string) (looked int, found []string, err error) {
	named := regexp.MustCompile(`(?i)(?:` + p.before + `)(` + strings.Join(p.names, "|") + `)` + p.after + `\b`)
	for _, file := range files {
		if p.mayBeNamedIn(file) {
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
				found = append(found, fmt.Sprintf("%s:%d names the %s %s: %s", file, number+1, p.what, match[1], bytes.TrimSpace(line)))
			}
		}
	}
	return looked, found, nil
}

func (p plugins) mayBeNamedIn(file string) bool {
	folder, name := filepath.Split(file)
	switch {
	case strings.HasPrefix(folder, "docs/"), folder == "" && strings.HasSuffix(name, ".md"), strings.HasPrefix(folder, "examples/"):
		return true
	case strings.HasPrefix(folder, ".ci/"), strings.HasPrefix(folder, "test/"), strings.HasSuffix(name, "_test.go"), strings.Contains(folder, "/testdata/"):
		return true // tests, and what they need to be installed
	case name == "go.sum", name == "go.mod":
		return true
	case slices.ContainsFunc(p.also, func(place string) bool { return strings.HasPrefix(file, place) }):
		return true
	}
	below, within := strings.CutPrefix(folder, p.folder)
	first, _, _ := strings.Cut(below, "/")
	return within && (first == "builtin" || slices.Contains(p.names, first))
}
