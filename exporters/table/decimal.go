package table

import (
	"reflect"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// decimalType is what amounts, rates and quantities are in expressions.
var decimalType = types.NewObjectType("decimal", traits.NegatorType)

// decimal is a number that is exact because it stays text: 12.50, -3, or nothing.
type decimal struct {
	digits string // with a point
	mark   byte   // as string() writes it
}

// String writes the number with the decimal mark of the file.
func (d decimal) String() string {
	if d.mark == '.' {
		return d.digits
	}
	return strings.Replace(d.digits, ".", string(rune(d.mark)), 1)
}

// sign is -1, 0 or 1.
func (d decimal) sign() int {
	switch {
	case !strings.ContainsAny(d.digits, "123456789"):
		return 0
	case d.digits[0] == '-':
		return -1
	}
	return 1
}

func (d decimal) abs() decimal {
	return decimal{strings.TrimPrefix(d.digits, "-"), d.mark}
}

// Negate implements traits.Negater. The negative of zero is zero, of nothing nothing.
func (d decimal) Negate() ref.Val {
	if d.sign() > 0 {
		return decimal{"-" + d.digits, d.mark}
	}
	return d.abs()
}

// Equal implements ref.Val: 1.5 equals 1.50.
func (d decimal) Equal(other ref.Val) ref.Val {
	o, ok := other.(decimal)
	return types.Bool(ok && d.canonical() == o.canonical())
}

func (d decimal) canonical() string {
	if strings.Contains(d.digits, ".") {
		return strings.TrimSuffix(strings.TrimRight(d.digits, "0"), ".")
	}
	return d.digits
}

// ConvertToNative implements ref.Val.
func (d decimal) ConvertToNative(reflect.Type) (any, error) { return d.String(), nil }

// ConvertToType implements ref.Val.
func (d decimal) ConvertToType(to ref.Type) ref.Val {
	if to == types.StringType {
		return types.String(d.String())
	}
	return types.NewErr("a decimal cannot become a %s", to.TypeName())
}

// Type implements ref.Val.
func (d decimal) Type() ref.Type { return decimalType }

// Value implements ref.Val.
func (d decimal) Value() any { return d.String() }

// decimalFunctions are -x, abs(x), sign(x) and string(x).
func decimalFunctions() []cel.EnvOption {
	unary := func(name, overload string, result *cel.Type, f func(decimal) ref.Val) cel.EnvOption {
		return cel.Function(name, cel.Overload(overload, []*cel.Type{decimalType}, result,
			cel.UnaryBinding(func(value ref.Val) ref.Val {
				d, ok := value.(decimal)
				if !ok {
					return types.MaybeNoSuchOverloadErr(value)
				}
				return f(d)
			})))
	}
	return []cel.EnvOption{
		cel.Function("-_", cel.Overload("negate_decimal", []*cel.Type{decimalType}, decimalType)), // bound by the trait
		unary("abs", "abs_decimal", decimalType, func(d decimal) ref.Val { return d.abs() }),
		unary("sign", "sign_decimal", cel.IntType, func(d decimal) ref.Val { return types.Int(d.sign()) }),
		unary("string", "decimal_to_string", cel.StringType, func(d decimal) ref.Val { return types.String(d.String()) }),
	}
}
