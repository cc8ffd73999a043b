package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	// free texts may be cut to the width.
	free bool
	// constant columns have nothing of a claim in them.
	constant bool
	width    int
	align    string
	pad      byte
	key      string // in JSON, with its colon
}

func compileColumns(columns []Column) ([]compiledColumn, error) {
	compiled := make([]compiledColumn, len(columns))
	var problems []error
	for i, c := range columns {
		program, err := scope().Compile(c.Value, expression.String, expression.Int, expression.Bool, expression.Timestamp, decimalType)
		if err != nil {
			problems = append(problems, &exporters.OptionError{Field: fmt.Sprintf("columns[%d].value", i), Problem: err.Error()})
			continue
		}
		compiled[i] = compiledColumn{
			name: c.Name, program: program, variable: variables[program.Variable()],
			perLine: slices.ContainsFunc(program.Variables(), func(name string) bool { return strings.HasPrefix(name, "line.") }),
		}
		compiled[i].width, compiled[i].align, compiled[i].pad = c.Width, c.Align, ' '
		compiled[i].free = freeTexts[program.Variable()]
		compiled[i].constant = !slices.ContainsFunc(program.Variables(), func(name string) bool { return !strings.HasPrefix(name, "batch.") })
		compiled[i].key = string(appendJSON(nil, c.Name)) + ":"
		if c.Pad != "" {
			compiled[i].pad = c.Pad[0]
		}
		if compiled[i].name == "" {
			compiled[i].name = fmt.Sprintf("number %d", i+1)
		}
		if _, dimension, ok := program.Member(); ok {
			compiled[i].variable, compiled[i].dimension = variables["line.dimensions"], dimension
		}
	}
	return compiled, errors.Join(problems...)
}

// fix evaluates a column whose text is the same in all rows of a batch, and keeps the text if there is room for it: it returns how many
// bytes it takes. Any other column is evaluated for each voucher, as is one that fails.
func (c *compiledColumn) fix(ctx context.Context, r *row, room int) int {
	if c.variable != nil || !c.constant {
		return 0
	}
	value, err := c.program.Eval(ctx, r)
	text, ok := value.(types.String)
	if !ok || err != nil || len(text) > room {
		return 0
	}
	c.variable = &variable{text: func(*row) string { return string(text) }}
	return len(text)
}

// freeTexts are the variables that are for people to read, so that the beginning of one says enough.
var freeTexts = map[string]bool{"voucher.text": true, "line.text": true, "line.account_name": true, "voucher.claimant_name": true}

// appendCell appends the cell of the column for a row.
func (c *compiledColumn) appendCell(ctx context.Context, to []byte, r *row, cells format) ([]byte, error) {
	if c.variable == nil {
		return c.evaluate(ctx, to, r, cells)
	}
	number := r.scratch[:0]
	kind := decimalNumber
	switch v := c.variable; {
	case v.text != nil:
		return cells.text(to, c, v.text(r))
	case v.members:
		return cells.text(to, c, r.dimension(c.dimension))
	case v.money != nil:
		number = appendMoney(number, v.money(r), r.mark)
	case v.date != nil:
		number, kind = appendDateOnly(number, v.date(r)), dateNumber
	case v.number != nil:
		return appendDecimal(to, c, decimal{v.number(r), r.mark}, r, cells)
	case v.integer != nil:
		number, kind = strconv.AppendInt(number, v.integer(r), 10), wholeNumber
	default:
		number, kind = v.instant(r).In(r.zone()).AppendFormat(number, time.RFC3339), dateNumber
	}
	r.scratch = number
	return cells.number(to, c, number, kind)
}

func (c *compiledColumn) evaluate(ctx context.Context, to []byte, r *row, cells format) ([]byte, error) {
	value, err := c.program.Eval(ctx, r)
	if err != nil {
		return to, err
	}
	switch v := value.(type) {
	case types.String:
		return cells.text(to, c, string(v))
	case decimal:
		return appendDecimal(to, c, v, r, cells)
	case types.Int:
		return cells.number(to, c, strconv.AppendInt(nil, int64(v), 10), wholeNumber)
	case types.Timestamp:
		return cells.number(to, c, v.In(r.zone()).AppendFormat(nil, time.RFC3339), dateNumber)
	default:
		return cells.number(to, c, fmt.Append(nil, v.Value()), boolean)
	}
}

// appendDecimal appends a decimal, which is a text like any other unless it is a number as it should be.
func appendDecimal(to []byte, c *compiledColumn, d decimal, r *row, cells format) ([]byte, error) {
	text := d.String()
	if text == "" || isNumber(text, d.mark) {
		r.scratch = append(r.scratch[:0], text...)
		return cells.number(to, c, r.scratch, decimalNumber)
	}
	return cells.text(to, c, text)
}
