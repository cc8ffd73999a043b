// Package expression compiles and evaluates the CEL expressions that charts of accounts and exporters have in their
// resources: over flat, dotted variables such as line.category, without side effects, and within a bounded cost.
package expression

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	celast "github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

const (
	// MaxLength bounds the source of one expression, in bytes.
	MaxLength = 4096
	// CostLimit bounds one evaluation, in CEL's units of cost: some ten milliseconds at most.
	CostLimit = 100_000
	// textLength is how long, in characters, a text in a variable is taken to be where an expression's cost is estimated.
	textLength = 10_000
	// interruptCheckFrequency is how many steps of a comprehension pass between two looks at the context.
	interruptCheckFrequency = 1
)

// Types that variables and results have.
var (
	Bool      = cel.BoolType
	Int       = cel.IntType
	String    = cel.StringType
	Timestamp = cel.TimestampType
	// Texts is a map from text to text that returns "" for what it lacks; "in" reports whether it has a key.
	Texts = cel.MapType(cel.StringType, cel.StringType)
	// Strings is a list of texts.
	Strings = cel.ListType(cel.StringType)
)

// Variables returns the values of variables by their whole name, such as line.category. Values are ref.Val: types.String,
// types.Int, types.Bool, types.Timestamp or what NewTexts returns.
type Variables interface {
	Variable(name string) (ref.Val, bool)
}

// Scope is the set of variables and functions that expressions may use.
type Scope struct {
	env       *cel.Env
	bound     map[string]*functions.Overload
	variables []string // sorted
}

// NewScope declares variables by their whole names. Further options may declare functions.
func NewScope(variables map[string]*cel.Type, options ...cel.EnvOption) (*Scope, error) {
	all := []cel.EnvOption{
		// All macros but has(), which would be true of every key of Texts: "in" is the test that works.
		cel.ClearMacros(), cel.Macros(cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro, cel.MapMacro, cel.MapFilterMacro, cel.FilterMacro),
		cel.EnableHiddenAccumulatorName(true), // so that what a macro makes is known from what an author writes
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateTimestampLiterals()),
	}
	all = append(all, textFunctions()...)
	for name, kind := range variables {
		all = append(all, cel.Variable(name, kind))
	}
	env, err := cel.NewEnv(append(all, options...)...)
	if err != nil {
		return nil, fmt.Errorf("declaring the variables of expressions: %w", err)
	}
	bound, err := bindings(env)
	return &Scope{env: env, bound: bound, variables: slices.Sorted(maps.Keys(variables))}, err
}

// Functions are all functions that expressions may use, by their names.
func (s *Scope) Functions() map[string]*decls.FunctionDecl { return s.env.Functions() }

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	variable string // the whole expression is this variable
	program  cel.Program
	metered  bool // its form alone does not bound its cost
	ast      *celast.AST
	result   *cel.Type
}

// Compile compiles an expression that returns one of the types. Its error is for the author of the expression.
func (s *Scope) Compile(source string, results ...*cel.Type) (*Program, error) {
	if len(source) > MaxLength {
		return nil, fmt.Errorf("the expression has %d bytes, more than %d", len(source), MaxLength)
	}
	parsed, issues := s.env.Parse(source)
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("the expression does not compile: %s", s.withVariables(withoutDrawing(err)))
	}
	if err := checkForm(parsed.NativeRep()); err != nil {
		return nil, err
	}
	checked, issues := s.env.Check(parsed)
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("the expression does not compile: %s", s.withVariables(withoutDrawing(err)))
	}
	if !slices.ContainsFunc(results, checked.OutputType().IsExactType) {
		return nil, fmt.Errorf("the expression returns a value of type %s, not %s", checked.OutputType(), names(results))
	}
	if err := checkTypes(checked.NativeRep()); err != nil {
		return nil, err
	}
	p := &Program{ast: checked.NativeRep(), result: checked.OutputType(), variable: soleVariable(checked.NativeRep())}
	cost, err := s.env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, fmt.Errorf("the cost of the expression cannot be estimated: %w", err)
	}
	m := newMeter(p.ast)
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(m.affordable(s.bound))}
	if p.metered = cost.Max > CostLimit || loops(p.ast); p.metered {
		options = append(options, cel.CostLimit(CostLimit), cel.CostTracking(m), cel.InterruptCheckFrequency(interruptCheckFrequency))
	}
	if p.program, err = s.env.Program(checked, options...); err != nil {
		return nil, fmt.Errorf("the expression does not compile: %s", withoutDrawing(err))
	}
	return p, nil
}

// loops reports whether an expression goes through a list: what it calls there it calls often, and an estimate knows nothing of
// functions that exporters add.
func loops(ast *celast.AST) bool {
	return len(celast.MatchDescendants(celast.NavigateAST(ast), celast.KindMatcher(celast.ComprehensionKind))) > 0
}

// soleVariable returns the name of the variable that is the whole expression.
func soleVariable(ast *celast.AST) string {
	reference, ok := ast.ReferenceMap()[ast.Expr().ID()]
	if !ok || reference.Value != nil || len(reference.OverloadIDs) > 0 {
		return ""
	}
	return reference.Name
}

// sizes tells the estimate of cost how large variables are. What it leaves out counts as unlimited.
type sizes struct{}

// Variable returns the name of the variable that is the whole expression, or nothing.
func (p *Program) Variable() string { return p.variable }

// Result is the type that the expression returns.
func (p *Program) Result() *cel.Type { return p.result }

// Eval evaluates the expression. An expression that is one variable costs no more than looking it up. The error names the
// place in the expression, and never quotes a value: values are texts of claims.
func (p *Program) Eval(ctx context.Context, variables Variables) (ref.Val, error) {
	if ctx.Err() != nil { // each may be quick, and there be very many
		return nil, ctx.Err()
	}
	if p.variable != "" {
		if value, ok := variables.Variable(p.variable); ok {
			return value, nil
		}
	}
	var value ref.Val
	var err error
	if p.metered {
		value, _, err = p.program.ContextEval(ctx, &activation{variables: variables})
	} else {
		value, _, err = p.program.Eval(&activation{variables: variables})
	}
	switch {
	case err == nil:
		return value, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, p.explain(err)
}

// explain says what is known to be free of values in an error of CEL.
func (p *Program) explain(err error) error {
	problem := "a function refused its argument"
	for _, known := range []string{"division by zero", "modulus by zero", "integer overflow", "no such overload", "no such attribute", "cost limit exceeded"} {
		if strings.Contains(err.Error(), known) {
			problem = known
		}
	}
	var failed *types.Err
	if errors.As(err, &failed) {
		if at := p.ast.SourceInfo().GetStartLocation(failed.NodeID()); at.Line() > 0 {
			return fmt.Errorf("%d:%d: %s", at.Line(), at.Column()+1, problem)
		}
	}
	return errors.New(problem)
}

// activation lets CEL look variables up in one evaluation. Lists and maps are made once, however often an expression asks for them: it
// may ask in a loop, at the price of a look.
type activation struct {
	variables Variables
	made      map[string]ref.Val
}

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	if value, again := a.made[name]; again {
		return value, true
	}
	value, found := a.variables.Variable(name)
	if _, many := value.(traits.Sizer); many && value.Type() != types.StringType {
		if a.made == nil {
			a.made = map[string]ref.Val{}
		}
		a.made[name] = value
	}
	return value, found
}

// Parent implements cel.Activation.
func (a *activation) Parent() cel.Activation { return nil }

var undeclared = regexp.MustCompile(`undeclared reference to '([^']+)' \(in container ''\)`)

// withVariables names the variables where an expression has one that does not exist: CEL only says that it has no
// "line", because the names here are whole, such as line.category.
func (s *Scope) withVariables(problem string) string {
	return undeclared.ReplaceAllStringFunc(problem, func(match string) string {
		name := undeclared.FindStringSubmatch(match)[1]
		siblings := slices.DeleteFunc(slices.Clone(s.variables), func(v string) bool { return !strings.HasPrefix(v, name+".") })
		if len(siblings) == 0 {
			return "there is no " + name
		}
		return fmt.Sprintf("no such variable of %s; there are %s", name, strings.Join(siblings, ", "))
	})
}

// withoutDrawing keeps of CEL's errors what a condition can show: message and position, without the drawing below them.
func withoutDrawing(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "|") {
			lines = append(lines, strings.TrimPrefix(line, "ERROR: <input>:"))
		}
	}
	return strings.Join(lines, "; ")
}

func names(kinds []*cel.Type) string {
	all := make([]string, len(kinds))
	for i, kind := range kinds {
		all[i] = kind.String()
	}
	return strings.Join(all, " or ")
}

// texts is a map that returns "" for what it lacks.
type texts map[string]string

// NewTexts makes the value of a variable of type Texts.
func NewTexts(members map[string]string) ref.Val { return texts(members) }

// NewStrings makes the value of a variable of type Strings.
func NewStrings(list []string) ref.Val { return types.NewStringList(types.DefaultTypeAdapter, list) }

// Find implements traits.Mapper: an index into the map finds something always.
func (t texts) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	return types.String(t[string(name)]), true
}

// Get implements traits.Indexer.
func (t texts) Get(key ref.Val) ref.Val {
	value, _ := t.Find(key)
	return value
}

// Contains implements traits.Container.
func (t texts) Contains(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key)
	}
	_, found := t[string(name)]
	return types.Bool(found)
}

// Size implements traits.Sizer.
func (t texts) Size() ref.Val { return types.Int(len(t)) }

// Iterator implements traits.Iterable.
func (t texts) Iterator() traits.Iterator { return t.plain().Iterator() }

// Equal implements ref.Val.
func (t texts) Equal(other ref.Val) ref.Val { return t.plain().Equal(other) }

// Type implements ref.Val.
func (t texts) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (t texts) Value() any { return map[string]string(t) }

// ConvertToNative implements ref.Val.
func (t texts) ConvertToNative(into reflect.Type) (any, error) {
	return t.plain().ConvertToNative(into)
}

// ConvertToType implements ref.Val.
func (t texts) ConvertToType(into ref.Type) ref.Val { return t.plain().ConvertToType(into) }

// plain is CEL's own map of the same members, for what is not worth doing again here.
func (t texts) plain() traits.Mapper { return types.NewStringStringMap(types.DefaultTypeAdapter, t) }
