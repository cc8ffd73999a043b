package builtin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEveryExporterIsWhole(t *testing.T) {
	t.Parallel()
	types := Registry().Types()
	if len(types) == 0 {
		t.Error("there are no exporters")
	}
	repository := os.DirFS(filepath.Join("..", ".."))
	for _, exporter := range types {
		for _, problem := range lacking(t, repository, exporter) {
			t.Errorf("the exporter %s %s", exporter, problem)
		}
	}
}

// calls are what the tests of an exporter must have, each somewhere.
var calls = map[string]*regexp.Regexp{
	"has no run of conformance.Test":       regexp.MustCompile(`\bconformance\.Test\(`),
	"has no run of conformance.TestMemory": regexp.MustCompile(`\bconformance\.TestMemory\(`),
	"has no run of conformance.TestBounds": regexp.MustCompile(`\bconformance\.TestBounds\(`),
	"has no comparison with golden files":  regexp.MustCompile(`\bconformance\.Golden\w*\(`),
	"has no fuzz target func FuzzOptions":  regexp.MustCompile(`func FuzzOptions\(f \*testing\.F\) \{[^}]*conformance\.FuzzOptions\(`),
	"has no fuzz target func FuzzTexts":    regexp.MustCompile(`func FuzzTexts\w*\(f \*testing\.F\) \{[^}]*conformance\.FuzzTexts\(`),
}

// sections are what the page of an exporter must have.
var sections = map[string]*regexp.Regexp{
	"whose page has no table of options":          regexp.MustCompile(`(?s)<!-- options -->\n\| name.*<!-- /options -->`),
	"whose page has no example resource":          regexp.MustCompile("(?s)```yaml\n.*kind: AccountingExport"),
	"whose page has no output":                    regexp.MustCompile("(?s)```yaml\n.*?```.*?```"),
	"whose page does not say what its limits are": regexp.MustCompile(`(?m)^## .*(Limits|limits)`),
	"whose page does not say how to import":       regexp.MustCompile(`(?mi)^## .*(import|setting|reading)`),
}

// lacking says what an exporter of the repository lacks.
func lacking(t *testing.T, repository fs.FS, exporter string) (problems []string) {
	t.Helper()
	tests := contents(t, repository, "exporters/"+exporter+"/*_test.go")
	for problem, call := range calls {
		if !call.MatchString(tests) {
			problems = append(problems, problem)
		}
	}
	if golden := contents(t, repository, "exporters/"+exporter+"/testdata/*"); golden == "" {
		problems = append(problems, "has no golden files in testdata")
	}
	page := contents(t, repository, "docs/exporters/"+exporter+".md")
	for problem, section := range sections {
		if !section.MatchString(page) {
			problems = append(problems, problem)
		}
	}
	sample := contents(t, repository, "config/samples/*_"+exporter+".yaml")
	if !regexp.MustCompile(`(?m)^    type: ` + exporter + `$`).MatchString(sample) {
		problems = append(problems, fmt.Sprintf("has no sample config/samples/…_%s.yaml", exporter))
	}
	return problems
}

// contents returns the files of a pattern one after another.
func contents(t *testing.T, repository fs.FS, pattern string) string {
	t.Helper()
	files, err := fs.Glob(repository, pattern)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Builder{}
	for _, file := range files {
		content, err := fs.ReadFile(repository, file)
		var directory *fs.PathError
		if err != nil && !errors.As(err, &directory) { // of seeds for fuzzing
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.String()
}

func TestAnExporterThatLacksThingsIsFound(t *testing.T) {
	t.Parallel()
	empty := fstest.MapFS{"exporters/tenth/tenth_test.go": {Data: []byte("package tenth\n")}}
	if problems := lacking(t, empty, "tenth"); len(problems) != len(calls)+len(sections)+2 {
		t.Errorf("of an exporter that has nothing only this is said: %q", problems)
	}
}
