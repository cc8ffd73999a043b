package ledger

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger/expression"
)

// rule posts the lines that it matches to an account: their expense, or what was paid otherwise.
type rule struct {
	position  int                 // among the rules of the chart
	field     string              // its path in the chart, such as spec.rules[3]
	match     *expression.Program // nil: every line of its categories, or payment methods
	parts     []part              // at least one
	subledger v1alpha1.SubledgerPolicy
}

// part is where a share of a line goes.
type part struct {
	percent    uint64 // in ten-thousandths; of the last, what the others leave
	account    string
	taxCode    string
	dimensions []dimensionRule
}

type dimensionRule struct {
	name, field string
	value       *expression.Program
}

func (r *rule) matchField() string { return r.field + ".match.expression" }

// ruleSet finds the rules for a word, a category or a payment method, without walking all of them. Each rule is kept once for each of
// its words, so that a chart takes no more memory than it is long.
type ruleSet struct {
	anyWord []*rule
	byWord  map[string][]*rule
}

// add adds a rule after all that were added before.
func (s *ruleSet) add(r *rule, words []string) {
	if len(words) == 0 {
		s.anyWord = append(s.anyWord, r)
		return
	}
	if s.byWord == nil {
		s.byWord = map[string][]*rule{}
	}
	for _, word := range words {
		s.byWord[word] = append(s.byWord[word], r)
	}
}

// candidates yields the rules for a word in the order of the chart.
func (s *ruleSet) candidates(word string) iter.Seq[*rule] {
	return func(yield func(*rule) bool) {
		its, others := s.byWord[word], s.anyWord
		for len(its)+len(others) > 0 {
			from := &others
			if len(others) == 0 || len(its) > 0 && its[0].position < others[0].position {
				from = &its
			}
			first := (*from)[0]
			*from = (*from)[1:]
			if !yield(first) {
				return
			}
		}
	}
}

// find returns the first rule that matches the line, which has a word, or nil. An error comes with the field whose expression failed.
func (s *ruleSet) find(ctx context.Context, word string, line *lineVariables) (found *rule, field string, err error) {
	for r := range s.candidates(word) {
		if r.match == nil {
			return r, "", nil
		}
		matches, err := r.match.Eval(ctx, line)
		if err != nil {
			return nil, r.matchField(), err
		}
		if matches == types.True {
			return r, "", nil
		}
	}
	return nil, "", nil
}

// lineScope declares what the expressions of a chart may use. The claimant's name and bank account are not among it.
var lineScope = sync.OnceValue(func() *expression.Scope {
	scope, err := expression.NewScope(map[string]*cel.Type{
		"claim.id":               expression.String,
		"claim.claimant_id":      expression.String,
		"claim.currency":         expression.String,
		"claim.description":      expression.String,
		"claim.approved_at":      expression.Timestamp,
		"line.number":            expression.Int,
		"line.category":          expression.String,
		"line.description":       expression.String,
		"line.gross":             expression.String,
		"line.tax":               expression.String,
		"line.gross_minor":       expression.Int,
		"line.tax_minor":         expression.Int,
		"line.tax_code":          expression.String,
		"line.expense_date":      expression.String,
		"line.quantity":          expression.String,
		"line.unit":              expression.String,
		"line.dimensions":        expression.Texts,
		"line.payment_method":    expression.String,
		"line.payment_reference": expression.String,
		"line.merchant":          expression.String,
		"line.country":           expression.String,
		"line.document_number":   expression.String,
	})
	if err != nil {
		panic(err) // the variables above are constants
	}
	return scope
})

// lineVariables are the variables of one line.
type lineVariables struct {
	claim      *Claim
	line       *Line
	gross, tax Amount
}

// Variable implements expression.Variables.
func (v *lineVariables) Variable(name string) (ref.Val, bool) {
	switch name {
	case "line.category":
		return types.String(v.line.Category), true
	case "line.dimensions":
		return expression.NewTexts(v.line.Dimensions), true
	case "line.number":
		return types.Int(v.line.Number), true
	case "line.description":
		return types.String(v.line.Description), true
	case "line.gross":
		return types.String(v.line.Gross), true
	case "line.tax":
		return types.String(v.line.Tax), true
	case "line.gross_minor":
		return types.Int(v.gross), true
	case "line.tax_minor":
		return types.Int(v.tax), true
	case "line.tax_code":
		return types.String(v.line.TaxCode), true
	case "line.expense_date":
		return types.String(v.line.ExpenseDate.Format(time.DateOnly)), true
	case "line.quantity":
		return types.String(v.line.Quantity), true
	case "line.unit":
		return types.String(v.line.Unit), true
	case "line.payment_method":
		return types.String(v.line.PaymentMethod), true
	case "line.payment_reference":
		return types.String(v.line.PaymentReference), true
	case "line.merchant":
		return types.String(v.line.Merchant), true
	case "line.country":
		return types.String(v.line.Country), true
	case "line.document_number":
		return types.String(v.line.DocumentNumber), true
	case "claim.id":
		return types.String(v.claim.ID), true
	case "claim.claimant_id":
		return types.String(v.claim.ClaimantID), true
	case "claim.currency":
		return types.String(v.claim.Currency), true
	case "claim.description":
		return types.String(v.claim.Description), true
	case "claim.approved_at":
		return types.Timestamp{Time: v.claim.ApprovedAt}, true
	}
	return nil, false
}
