package pipeline

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// layers are the files of the package from the top: each calls what is in it or below it.
var layers = []string{
	"pipeline.go", "learn.go",
	"reversal.go", "redelivery.go", "forward.go", "preview.go", "release.go", "removal.go", "reading.go", // walks
	"begin.go", "approval.go", "conclude.go", "deliver.go", "receipts.go", "original.go", "submit.go", "attach.go", "render.go", "lacking.go", // stages
	"record.go", "resolve.go", "books.go", "attempt.go", "task.go", // what an attempt knows
}

func TestCallsFlowDown(t *testing.T) {
	t.Parallel()
	files := parse(t)
	declaredIn := map[string]int{} // functions and methods, whose names differ
	for layer, file := range files {
		for _, declaration := range file.Decls {
			if function, is := declaration.(*ast.FuncDecl); is {
				declaredIn[function.Name.Name] = layer
			}
		}
	}
	calls := 0
	for layer, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			if called := calledIn(node); called != "" && !ast.IsExported(called) {
				if below, declared := declaredIn[called]; declared {
					calls++
					if below < layer {
						t.Errorf("%s calls %s, which is above it in %s", layers[layer], called, layers[below])
					}
				}
			}
			return true
		})
	}
	if calls < 100 {
		t.Errorf("%d calls were found; this test has lost sight of the others", calls)
	}
}

// parse reads the files by their layers.
func parse(t *testing.T) []*ast.File {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	parsed := make([]*ast.File, len(layers))
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		layer := slices.Index(layers, name)
		if layer < 0 {
			t.Fatalf("%s has no layer: put it where it belongs in layers, and in the comment of the package", name)
		}
		if parsed[layer], err = parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution); err != nil {
			t.Fatal(err)
		}
	}
	if missing := slices.Index(parsed, nil); missing >= 0 {
		t.Fatalf("%s does not exist", layers[missing])
	}
	return parsed
}

// calledIn returns the name of a function that is called, or of a method of the attempt, which may also be passed on.
func calledIn(node ast.Node) string {
	switch node := node.(type) {
	case *ast.SelectorExpr:
		if of, is := node.X.(*ast.Ident); is && of.Name == "a" {
			return node.Sel.Name
		}
	case *ast.CallExpr:
		switch function := node.Fun.(type) {
		case *ast.Ident:
			return function.Name
		case *ast.SelectorExpr:
			if of, is := function.X.(*ast.Ident); !is || of.Name != "a" { // those of the attempt are counted above
				return function.Sel.Name
			}
		}
	}
	return ""
}
