// Package expressiontest tests that nothing an expression can call goes on when nobody waits for it any more.
package expressiontest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/ledgerport/ledgerport/ledger/expression"
	"github.com/ledgerport/ledgerport/test/cputime"
)

// hostile are texts that are costly to read, as long as a text of a claim may be.
var hostile = map[string]string{
	"one character":         strings.Repeat("x", 10_000),
	"a duration":            strings.Repeat("0s", 5_000),
	"a number":              strings.Repeat("0", 10_000),
	"characters of 4 bytes": strings.Repeat("𝄞", 2_500),
}

// EveryCallEnds evaluates expressions that call each function again and again with the longest texts, in a tenth of a second that a context
// gives it. It must have ended before the processor has worked for a second.
func EveryCallEnds(t *testing.T, options ...cel.EnvOption) {
	t.Helper()
	scope, err := expression.NewScope(map[string]*cel.Type{"text": expression.String, "at": expression.Timestamp, "texts": expression.Texts}, options...)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for name, source := range calls(scope.Functions()) {
		program, err := scope.Compile(source, expression.Bool)
		if err != nil {
			continue // such as what is an operator, and has arguments of a type that has no such text
		}
		tried++
		t.Run(name, func(t *testing.T) {
			for kind, text := range hostile {
				ends(t, program, kind, text)
			}
		})
	}
	if least := 60; tried < least {
		t.Errorf("only %d calls were tried, fewer than %d", tried, least)
	}
}

func ends(t *testing.T, program *expression.Program, kind, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	took := cputime.Of(t, func() {
		if _, err := program.Eval(ctx, variables{text: types.String(text)}); errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	if took > time.Second {
		t.Errorf("with %s it took %s", kind, took)
	}
}

type variables struct{ text ref.Val }

// Variable implements expression.Variables.
func (v variables) Variable(name string) (ref.Val, bool) {
	switch name {
	case "text":
		return v.text, true
	case "at":
		return types.Timestamp{Time: time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)}, true
	default:
		return expression.NewTexts(map[string]string{"a": string(v.text.(types.String))}), true
	}
}

// calls are expressions that call each overload of functions in a loop, by the overload's name.
func calls(functions map[string]*decls.FunctionDecl) map[string]string {
	all := map[string]string{}
	for name, function := range functions {
		for _, overload := range function.OverloadDecls() {
			var arguments []string
			for i, kind := range overload.ArgTypes() {
				arguments = append(arguments, argument(i, name, kind))
			}
			if slices.Contains(arguments, "") || !identifier(name) {
				continue
			}
			call := name + "(" + strings.Join(arguments, ", ") + ")"
			if overload.IsMemberFunction() {
				call = arguments[0] + "." + name + "(" + strings.Join(arguments[1:], ", ") + ")"
			}
			all[named(overload.ID())] = looped(call, overload.ResultType())
		}
	}
	for _, operator := range []string{"==", "!=", "<", "<=", "in [u, v, u, v] || u ==", "+ v + v + v + v <"} {
		all["operator "+named(operator)] = looped("(u "+operator+" v)", cel.BoolType)
	}
	return all
}

func identifier(name string) bool {
	return !strings.ContainsAny(name, "_@!-") && name != "format"
}

// looped calls with u and v, of which u is the longer one, so often that only its cost or the context ends it.
func looped(call string, result *cel.Type) string {
	const most = expression.MaxLength / 2
	ten := "[0,1,2,3,4,5,6,7,8,9]"
	made := "[" + call + "]"
	if !scalar(result) {
		made = call
	}
	test := made + ".size() == -1"
	if result.Kind() == types.TypeKind {
		test = call + " == null_type"
	}
	test = strings.Repeat(test+" || ", max(1, min(300, (most/(len(test)+4))))-1) + test
	return "[text + text + text + text].exists(v, [v + v + '0'].exists(u, " + ten + ".exists(a, " + ten + ".exists(b, " + ten + ".exists(c, " + test + ")))))"
}

func scalar(kind *cel.Type) bool {
	return kind.Kind() != types.ListKind && kind.Kind() != types.MapKind && kind.Kind() != types.TypeParamKind
}

// argument is the most costly one of its type.
func argument(position int, function string, kind *cel.Type) string {
	text := "u"
	if position > 0 {
		text = "v"
	}
	switch kind.Kind() {
	case types.StringKind:
		if function == "matches" && position == 1 {
			return "'(.?){400}z'"
		}
		if position == 1 && strings.Contains(strings.ToLower(function), "indexof") {
			return "(v + 'y')"
		}
		return text
	case types.BytesKind:
		return "bytes(" + text + ")"
	case types.IntKind:
		return "1"
	case types.UintKind:
		return "1u"
	case types.DoubleKind:
		return "1.5"
	case types.BoolKind:
		return "true"
	case types.TimestampKind:
		return "at"
	case types.DurationKind:
		return "duration('1s')"
	case types.ListKind:
		return "[u, v, u, v]"
	case types.MapKind:
		return "texts"
	case types.DynKind, types.AnyKind, types.TypeParamKind:
		return text
	default:
		return ""
	}
}

func named(overload string) string {
	return strings.Join(strings.FieldsFunc(overload, func(r rune) bool { return r == '_' || r == ' ' }), " ")
}
