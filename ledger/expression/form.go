package expression

import (
	"errors"
	"fmt"
	"regexp/syntax"

	celast "github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/parser"
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
	if len(celast.MatchDescendants(root, celast.FunctionMatcher("format"))) > 0 {
		return errors.New("the function format is not available; put texts together with +")
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

// checkTypes refuses what takes time without a bound within one step, which neither a deadline nor the limit of cost ends: lists that
// are doubled again and again, and comparisons of lists of such lists. Its error is for the author of the expression.
func checkTypes(ast *celast.AST) error {
	for _, kind := range ast.TypeMap() {
		for _, inner := range kind.Parameters() {
			if !scalar(inner) && kind.Kind() != types.TypeKind {
				return fmt.Errorf("the expression has a value of type %s; lists and maps may have texts, numbers, times and truth values, and all of one type", kind)
			}
		}
	}
	for _, call := range celast.MatchDescendants(celast.NavigateAST(ast), celast.FunctionMatcher(operators.Add)) {
		if ast.GetType(call.ID()).Kind() == types.ListKind && !collects(call.AsCall()) {
			return errors.New("the expression adds lists; use the macros map and filter")
		}
	}
	return nil
}

// collects reports whether an addition is the one that a macro makes of its list and the next element.
func collects(addition celast.CallExpr) bool {
	list := addition.Args()[0]
	return list.Kind() == celast.IdentKind && list.AsIdent() == parser.HiddenAccumulatorName
}

// scalar reports whether a value of a type has no parts.
func scalar(kind *types.Type) bool {
	switch kind.Kind() {
	case types.BoolKind, types.IntKind, types.UintKind, types.DoubleKind, types.StringKind, types.BytesKind, types.TimestampKind, types.DurationKind:
		return true
	default:
		return false
	}
}
