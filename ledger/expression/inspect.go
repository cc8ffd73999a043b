package expression

import (
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// Variables names the variables that the expression reads, sorted.
func (p *Program) Variables() []string {
	var names []string
	for _, reference := range p.ast.ReferenceMap() {
		if reference.Value == nil && len(reference.OverloadIDs) == 0 {
			names = append(names, reference.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Member says of which variable, and with which key, the whole expression is a member: line.dimensions['project'] or
// line.dimensions.project. A caller that has the members at hand needs no evaluation.
func (p *Program) Member() (variable, key string, ok bool) {
	whole := p.ast.Expr()
	switch whole.Kind() {
	case ast.SelectKind:
		if selection := whole.AsSelect(); !selection.IsTestOnly() {
			return p.memberOf(selection.Operand(), selection.FieldName())
		}
	case ast.CallKind:
		call := whole.AsCall()
		if call.FunctionName() != operators.Index || len(call.Args()) != 2 || call.Args()[1].Kind() != ast.LiteralKind {
			break
		}
		if literal, isText := call.Args()[1].AsLiteral().(types.String); isText {
			return p.memberOf(call.Args()[0], string(literal))
		}
	default: // no member of anything
	}
	return "", "", false
}

func (p *Program) memberOf(operand ast.Expr, key string) (string, string, bool) {
	if !p.ast.GetType(operand.ID()).IsExactType(Texts) {
		return "", "", false
	}
	reference, isVariable := p.ast.ReferenceMap()[operand.ID()]
	if !isVariable || reference.Value != nil || len(reference.OverloadIDs) > 0 {
		return "", "", false
	}
	return reference.Name, key, true
}
