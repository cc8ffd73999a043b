package failpoint_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryPointHasACrashTest: crash tests go through the lists of points, so every step must be in a list, and every list
// in a crash test.
func TestEveryPointHasACrashTest(t *testing.T) {
	t.Parallel()
	steps, lists := declared(t)
	crashTests := read(t, "../pipeline/crash_*test.go", "../controller/notification/property_test.go", "../../test/chaos/crash_test.go")
	for list, listed := range lists {
		if !bytes.Contains(crashTests, []byte("failpoint."+list+"()")) {
			t.Errorf("no crash test goes through %s", list)
		}
		steps = slices.DeleteFunc(steps, func(step string) bool { return slices.Contains(listed, step) })
	}
	if len(steps) > 0 || len(lists) == 0 {
		t.Errorf("steps %q are in no list of points", steps)
	}
}

// declared returns the steps of this package, and its lists of points with the steps that each names.
func declared(t *testing.T) (steps []string, lists map[string][]string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "failpoint.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	lists = map[string][]string{}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if value, is := spec.(*ast.ValueSpec); is && d.Tok == token.CONST {
					steps = append(steps, value.Names[0].Name)
				}
			}
		case *ast.FuncDecl:
			if name := d.Name.Name; d.Recv == nil && strings.HasSuffix(name, "Points") {
				ast.Inspect(d.Body, func(n ast.Node) bool {
					if identifier, is := n.(*ast.Ident); is {
						lists[name] = append(lists[name], identifier.Name)
					}
					return true
				})
			}
		}
	}
	return steps, lists
}

func read(t *testing.T, patterns ...string) (content []byte) {
	t.Helper()
	for _, pattern := range patterns {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("there are no files %s (%v)", pattern, err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			content = append(content, text...)
		}
	}
	return content
}
