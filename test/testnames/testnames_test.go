// Package testnames_test sees that every test has a name that can be typed after -run, in a shell and in a regular expression.
package testnames_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// typable are names of which neither a shell nor a regular expression takes a character for something else. A slash would
// begin the name of a subtest.
var typable = regexp.MustCompile(`^[A-Za-z\d _.,:=%@-]+$`)

// TestNamesOfSubtests looks at the names that are written in a call of Run, or in the table that a loop around it goes through.
func TestNamesOfSubtests(t *testing.T) {
	t.Parallel()
	files, found := token.NewFileSet(), 0
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		for _, name := range names(file) {
			found++
			text, err := strconv.Unquote(name.Value)
			if err != nil {
				return err
			}
			if text != "" && !typable.MatchString(text) {
				t.Errorf("%s: the name %s cannot be typed after -run; write it with letters, digits and commas alone", files.Position(name.Pos()), name.Value)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 500 {
		t.Errorf("%d names were found; are tables written otherwise now?", found)
	}
}

// names returns the literals that name subtests of a file.
func names(file *ast.File) (found []*ast.BasicLit) {
	var loops []*ast.RangeStmt // around the node
	var nodes []ast.Node
	ast.Inspect(file, func(node ast.Node) bool {
		if node == nil {
			last := nodes[len(nodes)-1]
			nodes = nodes[:len(nodes)-1]
			if len(loops) > 0 && last == loops[len(loops)-1] {
				loops = loops[:len(loops)-1]
			}
			return true
		}
		nodes = append(nodes, node)
		switch node := node.(type) {
		case *ast.RangeStmt:
			loops = append(loops, node)
		case *ast.CallExpr:
			if run, is := node.Fun.(*ast.SelectorExpr); is && run.Sel.Name == "Run" && len(node.Args) == 2 {
				found = append(found, namedBy(node.Args[0], loops)...)
			}
		}
		return true
	})
	return found
}

// namedBy returns the literals that an argument of Run stands for.
func namedBy(argument ast.Expr, loops []*ast.RangeStmt) (found []*ast.BasicLit) {
	switch argument := argument.(type) {
	case *ast.BasicLit:
		return []*ast.BasicLit{argument}
	case *ast.Ident: // the key of a map, or an element of a list
		for _, loop := range loops {
			table := tableOf(loop)
			for _, element := range table {
				pair, isPair := element.(*ast.KeyValueExpr)
				switch {
				case isPair && isNamed(loop.Key, argument.Name):
					element = pair.Key
				case isPair || !isNamed(loop.Value, argument.Name):
					continue
				}
				found = appendText(found, element)
			}
		}
	case *ast.SelectorExpr: // a field of an element
		of, is := argument.X.(*ast.Ident)
		for _, loop := range loops {
			if !is || !isNamed(loop.Value, of.Name) {
				continue
			}
			for _, element := range tableOf(loop) {
				found = appendText(found, field(element, argument.Sel.Name))
			}
		}
	}
	return found
}

// tableOf returns the elements that a loop goes through, if they are written in the file.
func tableOf(loop *ast.RangeStmt) []ast.Expr {
	over := loop.X
	if named, is := over.(*ast.Ident); is && named.Obj != nil {
		switch declared := named.Obj.Decl.(type) {
		case *ast.AssignStmt:
			if len(declared.Lhs) == 1 && len(declared.Rhs) == 1 {
				over = declared.Rhs[0]
			}
		case *ast.ValueSpec:
			if len(declared.Names) == 1 && len(declared.Values) == 1 {
				over = declared.Values[0]
			}
		}
	}
	if literal, is := over.(*ast.CompositeLit); is {
		return literal.Elts
	}
	return nil
}

// field returns a field of an element that is written with keys, or its first one: a name stands first.
func field(element ast.Expr, name string) ast.Expr {
	literal, is := element.(*ast.CompositeLit)
	if !is || len(literal.Elts) == 0 {
		return nil
	}
	for _, element := range literal.Elts {
		pair, is := element.(*ast.KeyValueExpr)
		if !is {
			return literal.Elts[0]
		}
		if isNamed(pair.Key, name) {
			return pair.Value
		}
	}
	return nil
}

func isNamed(expression ast.Expr, name string) bool {
	identifier, is := expression.(*ast.Ident)
	return is && identifier.Name == name
}

func appendText(texts []*ast.BasicLit, expression ast.Expr) []*ast.BasicLit {
	if text, is := expression.(*ast.BasicLit); is && text.Kind == token.STRING {
		texts = append(texts, text)
	}
	return texts
}
