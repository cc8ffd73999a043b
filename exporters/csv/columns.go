package csv

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger/expression"
)

// compiledColumn writes the cells of one column.
type compiledColumn struct {
	name    string
	program *expression.Program
	// variable and dimension are shortcuts past CEL, for what most columns are.
	variable  *variable
	dimension string
	// perLine is false where all rows of a voucher have the same cell.
	perLine bool
}

func compileColumns(columns []column) ([]compiledColumn, error) {
	compiled := make([]compiledColumn, len(columns))
	for i, c := range columns {
		program, err := scope().Compile(c.Value, expression.String, expression.Int, expression.Bool, expression.Timestamp, decimalType)
		if err != nil {
			return nil, &exporters.OptionError{Field: fmt.Sprintf("columns[%d].value", i), Problem: err.Error()}
		}
		compiled[i] = compiledColumn{
			name: c.Name, program: program, variable: variables[program.Variable()],
			perLine: slices.ContainsFunc(program.Variables(), func(name string) bool { return strings.HasPrefix(name, "line.") }),
		}
		if compiled[i].name == "" {
			compiled[i].name = fmt.Sprintf("number %d", i+1)
		}
		if _, dimension, ok := program.Member(); ok {
			compiled[i].variable, compiled[i].dimension = variables["line.dimensions"], dimension
		}
	}
	return compiled, nil
}

// appendCell appends the cell of the column for a row.
func (c *compiledColumn) appendCell(ctx context.Context, to []byte, r *row, cells *cells) ([]byte, error) {
	if c.variable == nil {
		return c.evaluate(ctx, to, r, cells)
	}
	var number [40]byte
	switch v := c.variable; {
	case v.text != nil:
		return cells.appendText(to, v.text(r))
	case v.money != nil:
		return cells.appendNumber(to, appendMoney(number[:0], v.money(r), cells.mark)), nil
	case v.members:
		return cells.appendText(to, r.dimension(c.dimension))
	case v.date != nil:
		return cells.appendNumber(to, appendDateOnly(number[:0], v.date(r))), nil
	case v.number != nil:
		return cells.appendDecimal(to, decimal{v.number(r), cells.mark})
	case v.integer != nil:
		return cells.appendInteger(to, v.integer(r)), nil
	default:
		return cells.appendNumber(to, v.instant(r).In(r.zone()).AppendFormat(number[:0], time.RFC3339)), nil
	}
}

func (c *compiledColumn) evaluate(ctx context.Context, to []byte, r *row, cells *cells) ([]byte, error) {
	value, err := c.program.Eval(ctx, r)
	if err != nil {
		return to, err
	}
	switch v := value.(type) {
	case types.String:
		return cells.appendText(to, string(v))
	case decimal:
		return cells.appendDecimal(to, v)
	case types.Int:
		return cells.appendInteger(to, int64(v)), nil
	case types.Timestamp:
		return cells.appendNumber(to, v.In(r.zone()).AppendFormat(nil, time.RFC3339)), nil
	default:
		return cells.appendText(to, fmt.Sprint(v.Value())) // a bool
	}
}
