package builtin

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// TestEveryTypeIsAFieldOfTheSpec sets one field of the spec after the other: those that are types make an ExportDestination of the
// type of their name and of no other.
func TestEveryTypeIsAFieldOfTheSpec(t *testing.T) {
	t.Parallel()
	var found []string
	spec := reflect.TypeFor[v1alpha1.ExportDestinationSpec]()
	for i := range spec.NumField() {
		field := spec.Field(i)
		if field.Type.Kind() != reflect.Pointer {
			continue // access, retention
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		found = append(found, name)
		var destination v1alpha1.ExportDestination
		reflect.ValueOf(&destination.Spec).Elem().Field(i).Set(reflect.New(field.Type.Elem()))
		for _, kind := range Types(Settings{}) {
			if kind.Named(&destination) != (kind.Name == name) {
				t.Errorf("spec.%s is of the type %s: %t", name, kind.Name, kind.Named(&destination))
			}
		}
	}
	slices.Sort(found)
	if types := Registry(Settings{}).Types(); !slices.Equal(found, types) {
		t.Errorf("the spec has the types %q, and the registry %q", found, types)
	}
}

func TestEveryTypeIsWhole(t *testing.T) {
	t.Parallel()
	repository := os.DirFS(filepath.Join("..", "..", ".."))
	for _, name := range Registry(Settings{}).Types() {
		for _, problem := range lacking(t, repository, name) {
			t.Errorf("the destination %s %s", name, problem)
		}
	}
}

// calls are what the tests of a type must have, each somewhere.
var calls = map[string]*regexp.Regexp{
	"has no run of conformance.Test":       regexp.MustCompile(`\bconformance\.Test\(`),
	"has no run of conformance.TestMemory": regexp.MustCompile(`\bconformance\.TestMemory\(`),
}

// sections are what the page of a type must have.
var sections = map[string]*regexp.Regexp{
	"whose page has no table of fields":               regexp.MustCompile(`(?m)^\| field \| meaning \| default \|$`),
	"whose page has no example resource":              regexp.MustCompile("(?s)```yaml\n.*kind: ExportDestination"),
	"whose page does not say how a file is written":   regexp.MustCompile(`(?m)^## How a file is written$`),
	"whose page does not say how long files are kept": regexp.MustCompile(`export-destination\.md#how-long-it-stays`),
}

// lacking says what a type of destination lacks in the repository.
func lacking(t *testing.T, repository fs.FS, name string) (problems []string) {
	t.Helper()
	tests := contents(t, repository, "internal/destinations/"+name+"/*_test.go")
	for problem, call := range calls {
		if !call.MatchString(tests) {
			problems = append(problems, problem)
		}
	}
	page := contents(t, repository, "docs/destinations/"+name+".md")
	for problem, section := range sections {
		if !section.MatchString(page) {
			problems = append(problems, problem)
		}
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
	var all []byte
	for _, file := range files {
		content, err := fs.ReadFile(repository, file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	return string(all)
}

func TestATypeThatLacksThingsIsFound(t *testing.T) {
	t.Parallel()
	empty := fstest.MapFS{"internal/destinations/fourth/fourth_test.go": {Data: []byte("package fourth\n")}}
	if problems := lacking(t, empty, "fourth"); len(problems) != len(calls)+len(sections) {
		t.Errorf("of a type that has nothing only this is said: %q", problems)
	}
}
