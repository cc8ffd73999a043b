// Package expression compiles and evaluates the CEL expressions that charts of accounts and exporters have in their
// resources: over flat, dotted variables such as line.category, without side effects, and within a bounded cost.
package expression

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
)

const (
	// MaxLength bounds the source of one expression, in bytes.
	MaxLength = 4096
	// costLimit bounds one evaluation, in CEL's units of cost: some ten milliseconds at most.
	costLimit = 100_000
	// interruptCheckFrequency is how many steps of a comprehension pass between two looks at the context.
	interruptCheckFrequency = 100
)

// Types that variables and results have.
var (
	Bool      = cel.BoolType
	Int       = cel.IntType
	String    = cel.StringType
	Timestamp = cel.TimestampType
	// Texts is a map from text to text that gives "" for what it lacks; "in" tells whether it has a key.
	Texts = cel.MapType(cel.StringType, cel.StringType)
)

// Variables gives the values of variables by their whole name, such as line.category. Values are ref.Val: types.String,
// types.Int, types.Bool, types.Timestamp or what NewTexts gives.
type Variables interface {
	Variable(name string) (ref.Val, bool)
}

// Scope is the set of variables and functions that expressions may use.
type Scope struct {
	env *cel.Env
}

// NewScope declares variables by their whole names. Further options may declare functions.
func NewScope(variables map[string]*cel.Type, options ...cel.EnvOption) (*Scope, error) {
	all := []cel.EnvOption{ext.Strings(ext.StringsVersion(4)), cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateTimestampLiterals())}
	for name, kind := range variables {
		all = append(all, cel.Variable(name, kind))
	}
	env, err := cel.NewEnv(append(all, options...)...)
	if err != nil {
		return nil, fmt.Errorf("declaring the variables of expressions: %w", err)
	}
	return &Scope{env: env}, nil
}

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	variable string // the whole expression is this variable
	program  cel.Program
	result   *cel.Type
}

// Compile compiles an expression that gives one of the types. Its error is for the author of the expression.
func (s *Scope) Compile(source string, results ...*cel.Type) (*Program, error) {
	if len(source) > MaxLength {
		return nil, fmt.Errorf("the expression has %d bytes, more than %d", len(source), MaxLength)
	}
	ast, issues := s.env.Compile(source)
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("the expression does not compile: %s", oneLine(err))
	}
	if !slices.ContainsFunc(results, ast.OutputType().IsExactType) {
		return nil, fmt.Errorf("the expression gives a %s, not a %s", ast.OutputType(), names(results))
	}
	program, err := s.env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(costLimit), cel.InterruptCheckFrequency(interruptCheckFrequency))
	if err != nil {
		return nil, fmt.Errorf("the expression does not compile: %s", oneLine(err))
	}
	p := &Program{program: program, result: ast.OutputType()}
	if reference, ok := ast.NativeRep().ReferenceMap()[ast.NativeRep().Expr().ID()]; ok && reference.Value == nil && len(reference.OverloadIDs) == 0 {
		p.variable = reference.Name
	}
	return p, nil
}

// Variable gives the name of the variable that is the whole expression, or nothing.
func (p *Program) Variable() string { return p.variable }

// Result is the type that the expression gives.
func (p *Program) Result() *cel.Type { return p.result }

// Eval evaluates the expression. An expression that is one variable costs no more than looking it up.
func (p *Program) Eval(ctx context.Context, variables Variables) (ref.Val, error) {
	if p.variable != "" {
		if value, ok := variables.Variable(p.variable); ok {
			return value, nil
		}
	}
	value, _, err := p.program.ContextEval(ctx, activation{variables})
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, errors.New(oneLine(err))
	}
	return value, nil
}

// activation lets CEL look variables up.
type activation struct{ variables Variables }

// ResolveName implements cel.Activation.
func (a activation) ResolveName(name string) (any, bool) { return a.variables.Variable(name) }

// Parent implements cel.Activation.
func (a activation) Parent() cel.Activation { return nil }

// oneLine keeps of CEL's errors what a condition can show: message and position, without the drawing below them.
func oneLine(err error) string {
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

// texts give "" for what they lack.
type texts struct {
	traits.Mapper
	members map[string]string
}

// NewTexts makes the value of a variable of type Texts.
func NewTexts(members map[string]string) ref.Val {
	return texts{types.NewStringStringMap(types.DefaultTypeAdapter, members), members}
}

// Get implements traits.Indexer.
func (t texts) Get(key ref.Val) ref.Val {
	value, _ := t.Find(key)
	return value
}

// Find implements traits.Mapper: an index into the map finds something always.
func (t texts) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	return types.String(t.members[string(name)]), true
}

// Contains implements traits.Container.
func (t texts) Contains(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key)
	}
	_, found := t.members[string(name)]
	return types.Bool(found)
}
