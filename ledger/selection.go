package ledger

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/ledgerport/ledgerport/ledger/expression"
)

// Selection says which claims an export is for, by an expression. The zero value is for all.
type Selection struct{ program *expression.Program }

// NewSelection compiles the expression of an export; an empty one selects every claim. Its error is for the author of the expression.
func NewSelection(source string) (Selection, error) {
	if strings.TrimSpace(source) == "" {
		return Selection{}, nil
	}
	program, err := claimScope().Compile(source, expression.Bool)
	return Selection{program}, err
}

// Includes reports whether a claim is selected. A *Hold says that the expression cannot be evaluated for it, or is not: the claim is held
// anyway, or has texts that no file should carry. Any other error is the context's.
func (s Selection) Includes(ctx context.Context, claim *Claim) (bool, error) {
	if s.program == nil {
		return true, nil
	}
	if claim.Held != nil {
		return false, claim.Held
	}
	if err := checkTexts(claim); err != nil {
		return false, err
	}
	value, err := s.program.Eval(ctx, claimVariables{claim})
	switch {
	case err == nil:
		return value == types.True, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	}
	return false, hold(claim, HoldExpressionFailed, "spec.claims.expression of the export cannot be evaluated for the claim: %s", err)
}

// claimScope declares what the expression of a selection may use: of each claim what the rules of a chart may use, and what its
// lines have among them.
var claimScope = sync.OnceValue(func() *expression.Scope {
	scope, err := expression.NewScope(map[string]*cel.Type{
		"claim.id":          expression.String,
		"claim.claimant_id": expression.String,
		"claim.currency":    expression.String,
		"claim.description": expression.String,
		"claim.approved_at": expression.Timestamp,
		"claim.categories":  expression.Strings,
	})
	if err != nil {
		panic(fmt.Sprint("the variables of claims cannot be declared: ", err)) // they are constants
	}
	return scope
})

// claimVariables are the variables of a claim as a whole.
type claimVariables struct{ claim *Claim }

// Variable implements expression.Variables.
func (v claimVariables) Variable(name string) (ref.Val, bool) {
	if name == "claim.categories" {
		return expression.NewStrings(v.categories()), true
	}
	return (&lineVariables{claim: v.claim, line: &Line{}}).Variable(name)
}

// categories returns the categories of the claim's lines, each once, in the order of the lines.
func (v claimVariables) categories() (found []string) {
	known := map[string]bool{}
	for i := range v.claim.Lines {
		if category := v.claim.Lines[i].Category; !known[category] {
			known[category] = true
			found = append(found, category)
		}
	}
	return found
}
