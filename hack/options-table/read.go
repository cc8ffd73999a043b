package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// row is one option.
type row struct {
	name, kind, standard, meaning string
}

// reader knows the types of one package.
type reader struct {
	positions *token.FileSet
	types     map[string]ast.Expr
}

// readOptions returns the options of the exporter in a folder, in the order of its struct.
func readOptions(folder string) ([]row, error) {
	r := &reader{positions: token.NewFileSet(), types: map[string]ast.Expr{}}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if name := entry.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			if err := r.read(filepath.Join(folder, name)); err != nil {
				return nil, err
			}
		}
	}
	options, ok := r.types["options"].(*ast.StructType)
	if !ok {
		return nil, fmt.Errorf("%s has no type options struct", folder)
	}
	return r.rows(options, "", false)
}

func (r *reader) read(path string) error {
	file, err := parser.ParseFile(r.positions, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range general.Specs {
			if named, ok := spec.(*ast.TypeSpec); ok {
				r.types[named.Name.Name] = named.Type
			}
		}
	}
	return nil
}

// rows returns the fields of a struct, and of the structs within. In the elements of a list, no default holds.
func (r *reader) rows(fields *ast.StructType, prefix string, inList bool) (rows []row, err error) {
	for _, field := range fields.Fields.List {
		found, err := r.field(field, prefix, inList)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.positions.Position(field.Pos()), err)
		}
		rows = append(rows, found...)
	}
	return rows, nil
}

func (r *reader) field(field *ast.Field, prefix string, inList bool) ([]row, error) {
	var tag reflect.StructTag
	if field.Tag != nil {
		text, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			return nil, err
		}
		tag = reflect.StructTag(text)
	}
	name, _, _ := strings.Cut(tag.Get("json"), ",")
	meaning := strings.Join(strings.Fields(field.Doc.Text()), " ")
	kind, inner, err := r.kind(field.Type)
	_, hasDefault := tag.Lookup("default")
	switch {
	case err != nil:
		return nil, err
	case name == "" || name == "-":
		return nil, fmt.Errorf("an option needs a name in its json tag")
	case meaning == "":
		return nil, fmt.Errorf("the option %s needs a comment: it is the meaning on the exporter's page", name)
	case inList && hasDefault:
		return nil, fmt.Errorf("the option %s is in the elements of a list, where a default does not hold", name)
	}
	if tag.Get("posts") == "true" {
		meaning += " A reversal has it as the reversed run had it."
	}
	rows := []row{{name: prefix + name, kind: kind, standard: standard(tag, kind), meaning: meaning}}
	if inner == nil {
		return rows, nil
	}
	list := strings.HasPrefix(kind, "list")
	prefix += name
	if list {
		prefix += "[]"
	}
	within, err := r.rows(inner, prefix+".", inList || list)
	return append(rows, within...), err
}

// standard says what holds where the option is left out.
func standard(tag reflect.StructTag, kind string) string {
	if value, ok := tag.Lookup("default"); ok {
		return code(value)
	}
	switch {
	case tag.Get("required") == "true":
		return "required"
	case tag.Get("absent") != "":
		return strings.ReplaceAll(tag.Get("absent"), "<", `\<`)
	case kind == "boolean":
		return code("false")
	}
	return ""
}

func code(text string) string {
	if text == "" {
		return "empty"
	}
	return "`" + text + "`"
}

var basic = map[string]string{"string": "string", "bool": "boolean", "int": "integer", "int64": "integer"}

// kind names a type, and returns the struct in it, if any.
func (r *reader) kind(expression ast.Expr) (string, *ast.StructType, error) {
	switch e := expression.(type) {
	case *ast.Ident:
		if name, ok := basic[e.Name]; ok {
			return name, nil, nil
		}
		if named, ok := r.types[e.Name]; ok {
			return r.kind(named)
		}
	case *ast.StarExpr:
		return r.kind(e.X)
	case *ast.StructType:
		return "object", e, nil
	case *ast.ArrayType:
		of, inner, err := r.kind(e.Elt)
		return "list of " + plural(of), inner, err
	case *ast.MapType:
		of, inner, err := r.kind(e.Value)
		if inner != nil {
			return "", nil, fmt.Errorf("a map of objects cannot be shown as rows; make it a list")
		}
		return "map of " + plural(of), nil, err
	}
	return "", nil, fmt.Errorf("an option cannot be of the type %T", expression)
}

func plural(kind string) string {
	first, rest, _ := strings.Cut(kind, " ")
	return strings.TrimSpace(first + "s " + rest)
}
