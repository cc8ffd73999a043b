package expression

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	celast "github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// meter knows the price of every call of a program: before it, so that one that nothing could end is not begun, and behind it, where CEL
// adds up what an evaluation costs.
type meter struct {
	patterns map[string]uint64 // sizes of the regular expressions
}

func newMeter(ast *celast.AST) meter {
	m := meter{patterns: map[string]uint64{}}
	for _, call := range celast.MatchDescendants(celast.NavigateAST(ast), celast.FunctionMatcher(overloads.Matches)) {
		arguments := call.AsCall().Args()
		source, _ := arguments[len(arguments)-1].AsLiteral().(types.String)
		if parsed, err := syntax.Parse(string(source), syntax.Perl); err == nil {
			m.patterns[string(source)] = uint64(patternSize(parsed))
		}
	}
	return m
}

func (m meter) price(function string, arguments []ref.Val) uint64 {
	var few [4]uint64
	sizes, pattern := few[:0], uint64(0)
	for _, argument := range arguments {
		sizes = append(sizes, size(function, argument))
	}
	if function == overloads.Matches {
		source, _ := arguments[1].(types.String)
		pattern = m.patterns[string(source)]
	}
	return price(function, pattern, sizes)
}

// CallCost implements interpreter.ActualCostEstimator. A text that a function makes costs what reading it does.
func (m meter) CallCost(function, _ string, arguments []ref.Val, result ref.Val) *uint64 {
	cost := m.price(strings.TrimSpace(function), arguments)
	if text, is := result.(types.String); is {
		cost += textSize(len(text)) / bytesPerUnit
	}
	return &cost
}

// affordable has each call of a plan look at its price before anything is called.
func (m meter) affordable(bound map[string]*functions.Overload) interpreter.InterpretableDecoratorV2 {
	return func(node interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		call, is := node.(interpreter.InterpretableCall)
		if !is {
			return node, nil
		}
		name := call.Function()
		if comparesWithConstant(call) { // which reads no more than the constant
			return node, nil
		}
		implementation, err := implementationOf(call, bound)
		if implementation == nil || err != nil {
			return node, err
		}
		checked := func(arguments ...ref.Val) ref.Val {
			if m.price(name, arguments) > CostLimit {
				return tooLong()
			}
			return implementation(arguments...)
		}
		return interpreter.NewCall(call.ID(), planned(name), call.OverloadID(), call.Args(), checked), nil
	}
}

// comparesWithConstant reports whether a call compares something with a constant of the expression for equality.
func comparesWithConstant(call interpreter.InterpretableCall) bool {
	return (call.Function() == operators.Equals || call.Function() == operators.NotEquals) &&
		slices.ContainsFunc(call.Args(), func(argument interpreter.InterpretableV2) bool {
			_, constant := argument.(interpreter.InterpretableConst)
			return constant
		})
}

// planned is the name that a function has in a plan: CEL would put a call of its own in the place of one with the name "matches".
func planned(function string) string {
	if function == overloads.Matches {
		return function + " "
	}
	return function
}

// call is what a function does with its arguments.
type call func(arguments ...ref.Val) ref.Val

// implementationOf is what a call of the plan calls; nil where nothing is to be paid for: what only looks at truth values.
func implementationOf(node interpreter.InterpretableCall, bound map[string]*functions.Overload) (call, error) {
	switch node.Function() {
	case operators.Equals:
		return func(arguments ...ref.Val) ref.Val { return types.Equal(arguments[0], arguments[1]) }, nil
	case operators.NotEquals:
		return func(arguments ...ref.Val) ref.Val {
			return types.Bool(types.Equal(arguments[0], arguments[1]) != types.True)
		}, nil
	case overloads.Matches:
		return matching(node.Args())
	}
	overload := bound[node.OverloadID()]
	if overload == nil {
		overload = bound[node.Function()]
	}
	if overload == nil || overload.NonStrict {
		return nil, nil
	}
	return func(arguments ...ref.Val) ref.Val {
		switch {
		case overload.OperandTrait != 0 && !arguments[0].Type().HasTrait(overload.OperandTrait):
		case len(arguments) == 1 && overload.Unary != nil:
			return overload.Unary(arguments[0])
		case len(arguments) == 2 && overload.Binary != nil:
			return overload.Binary(arguments[0], arguments[1])
		case overload.Function != nil:
			return overload.Function(arguments...)
		}
		return types.MaybeNoSuchOverloadErr(arguments[0])
	}, nil
}

// matching matches with a pattern that is compiled once. checkForm has found it in the expression itself.
func matching(arguments []interpreter.InterpretableV2) (call, error) {
	literal, _ := arguments[len(arguments)-1].(interpreter.InterpretableConst)
	compiled, err := regexp.Compile(text(literal.Value()))
	if err != nil {
		return nil, err
	}
	return func(arguments ...ref.Val) ref.Val { return types.Bool(compiled.MatchString(text(arguments[0]))) }, nil
}

// bindings are the implementations of all functions of an environment, by the ids of their overloads and by their names.
func bindings(env *cel.Env) (map[string]*functions.Overload, error) {
	bound := map[string]*functions.Overload{}
	for _, function := range env.Functions() {
		implementations, err := function.Bindings()
		if err != nil {
			return nil, err
		}
		for _, overload := range implementations {
			bound[overload.Operator] = overload
		}
	}
	return bound, nil
}
