package expression

import (
	"errors"
	"fmt"
	"regexp/syntax"

	celast "github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
)

const (
	// maxNesting bounds how deep lists, maps and macros lie in each other: the time and memory that it takes to find out their
	// types grows with the fourth power of that.
	maxNesting = 8
	// maxPattern bounds a regular expression, in characters after its repetitions are written out.
	maxPattern = 2000
)

// checkForm refuses what would be costly to compile, before it is. Its error is for the author of the expression.
func checkForm(ast *celast.AST) error {
	root := celast.NavigateAST(ast)
	if deep := nesting(root); deep > maxNesting {
		return fmt.Errorf("the expression has lists, maps or macros in each other, %d deep, more than %d", deep, maxNesting)
	}
	for _, call := range celast.MatchDescendants(root, celast.FunctionMatcher(overloads.Matches)) {
		if err := checkPattern(call.AsCall().Args()); err != nil {
			return err
		}
	}
	return nil
}

func nesting(e celast.NavigableExpr) (deepest int) {
	for _, child := range e.Children() {
		deepest = max(deepest, nesting(child))
	}
	switch e.Kind() {
	case celast.ListKind, celast.MapKind, celast.StructKind, celast.ComprehensionKind:
		deepest++
	default:
	}
	return deepest
}

// checkPattern bounds the last argument of matches. It must be in the expression itself: a pattern that a claim has could be any.
func checkPattern(arguments []celast.Expr) error {
	if len(arguments) == 0 {
		return nil // CEL says that it is missing
	}
	last := arguments[len(arguments)-1]
	if last.Kind() != celast.LiteralKind {
		return errors.New("the pattern of matches must be a text in quotation marks, not computed")
	}
	pattern, isText := last.AsLiteral().(types.String)
	parsed, err := syntax.Parse(string(pattern), syntax.Perl)
	if !isText || err != nil {
		return nil //nolint:nilerr // CEL says what is wrong
	}
	if size := patternSize(parsed); size > maxPattern {
		return fmt.Errorf("the pattern of matches has %d characters, its repetitions written out, more than %d", size, maxPattern)
	}
	return nil
}

func patternSize(pattern *syntax.Regexp) int {
	size := 1 + len(pattern.Rune)
	for _, part := range pattern.Sub {
		size += patternSize(part)
	}
	if pattern.Op == syntax.OpRepeat {
		size *= max(1, pattern.Min, pattern.Max)
	}
	return size
}
