package table

import (
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/ledgerport/ledgerport/texts"
)

// functions are what expressions have beyond CEL: the arithmetic of decimals, date(x, pattern), left(text, n) and
// right(text, n).
func functions() []cel.EnvOption {
	return append(decimalFunctions(),
		cel.Function("date",
			cel.Overload("date_string", []*cel.Type{cel.StringType, cel.StringType}, cel.StringType, cel.BinaryBinding(formatDate)),
			cel.Overload("date_timestamp", []*cel.Type{cel.TimestampType, cel.StringType}, cel.StringType, cel.BinaryBinding(formatDate))),
		cel.Function("left",
			cel.Overload("left_string_int", []*cel.Type{cel.StringType, cel.IntType}, cel.StringType, cel.BinaryBinding(left))),
		cel.Function("right",
			cel.Overload("right_string_int", []*cel.Type{cel.StringType, cel.IntType}, cel.StringType, cel.BinaryBinding(right))),
		cel.ASTValidators(datePatterns{}))
}

// left returns the first characters of a text, or all of it where it is shorter.
func left(text, count ref.Val) ref.Val {
	t, isText := text.(types.String)
	n, isInt := count.(types.Int)
	if !isText || !isInt {
		return types.MaybeNoSuchOverloadErr(text)
	}
	return types.String(texts.CutCharacters(string(t), int(n)))
}

// right returns the last characters of a text, or all of it where it is shorter.
func right(text, count ref.Val) ref.Val {
	t, isText := text.(types.String)
	n, isInt := count.(types.Int)
	if !isText || !isInt {
		return types.MaybeNoSuchOverloadErr(text)
	}
	at := len(t)
	for ; n > 0 && at > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(string(t[:at]))
		at -= size
	}
	return t[at:]
}

// formatDate writes a date (YYYY-MM-DD, or nothing) or an instant by a pattern.
func formatDate(date, pattern ref.Val) ref.Val {
	p, ok := pattern.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(pattern)
	}
	var at time.Time
	switch d := date.(type) {
	case types.Timestamp:
		at = d.Time
	case types.String:
		if d == "" {
			return d
		}
		var err error
		if at, err = time.Parse(time.DateOnly, string(d)); err != nil {
			return types.NewErr("not a date of the form YYYY-MM-DD")
		}
	default:
		return types.MaybeNoSuchOverloadErr(date)
	}
	formatted, err := appendDate(nil, at, string(p))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.String(formatted)
}

// dateParts are the parts of a pattern, longer ones first, with their layouts.
var dateParts = []struct{ part, layout string }{
	{"YYYY", "2006"}, {"YY", "06"}, {"MM", "01"}, {"DD", "02"}, {"hh", "15"}, {"mm", "04"}, {"ss", "05"},
}

// appendDate writes a date by a pattern of YYYY, YY, MM, DD, hh, mm, ss and anything that is no letter.
func appendDate(to []byte, at time.Time, pattern string) ([]byte, error) {
	for pattern != "" {
		i := slices.IndexFunc(dateParts, func(p struct{ part, layout string }) bool {
			return len(pattern) >= len(p.part) && pattern[:len(p.part)] == p.part
		})
		if i >= 0 {
			to = at.AppendFormat(to, dateParts[i].layout)
			pattern = pattern[len(dateParts[i].part):]
			continue
		}
		character, size := utf8.DecodeRuneInString(pattern)
		if character >= 'a' && character <= 'z' || character >= 'A' && character <= 'Z' {
			return nil, fmt.Errorf("a date pattern is made of YYYY, YY, MM, DD, hh, mm, ss and characters that are no letters, not of %q", character)
		}
		to = append(to, pattern[:size]...)
		pattern = pattern[size:]
	}
	return to, nil
}

// datePatterns finds a wrong pattern where it is written, before any claim is held for it.
type datePatterns struct{}

// Name implements cel.ASTValidator.
func (datePatterns) Name() string { return "ledgerport.date_patterns" }

// Validate implements cel.ASTValidator.
func (datePatterns) Validate(_ *cel.Env, _ cel.ValidatorConfig, checked *ast.AST, issues *cel.Issues) {
	for _, call := range ast.MatchDescendants(ast.NavigateAST(checked), ast.FunctionMatcher("date")) {
		pattern := call.AsCall().Args()[1]
		if pattern.Kind() != ast.LiteralKind {
			continue
		}
		if text, ok := pattern.AsLiteral().(types.String); ok {
			if _, err := appendDate(nil, time.Time{}, string(text)); err != nil {
				issues.ReportErrorAtID(pattern.ID(), "%s", err)
			}
		}
	}
}
