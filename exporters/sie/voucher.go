package sie

import (
	"context"
	"strconv"
	"strings"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// appendVoucher appends a #VER record and its #TRANS records.
func (w *writer) appendVoucher(ctx context.Context, to []byte, voucher *ledger.Voucher) ([]byte, error) {
	series, text := voucher.Series, voucher.Text
	if w.options.Series != "" {
		series = w.options.Series
	}
	// #VER series number date text registered
	to = append(to, "#VER "...)
	to, err := appendQuoted(to, series, encodeCode)
	if err != nil {
		return to, exporters.Unsupported(voucher, "the voucher series %s", err)
	}
	to = append(to, ' ')
	if w.options.Numbering == numbersOfRun {
		to = strconv.AppendInt(to, voucher.Number, 10)
	} else {
		to = append(to, `""`...)
		text = voucher.ID() + " " + text // else nothing in the file would lead back to the voucher
	}
	to = append(to, ' ')
	to = voucher.PostingDate.AppendFormat(to, dateFormat)
	to = append(to, ' ')
	if to, err = appendQuoted(to, text, encode); err != nil {
		return to, exporters.Unsupported(voucher, "the text of the voucher %s; change it in the application", err)
	}
	to = append(to, ' ')
	to = w.batch.CreatedAt.AppendFormat(to, dateFormat)
	to = append(to, newline+"{"+newline...)
	if !voucher.Balanced() {
		return to, exporters.Unbalanced(voucher)
	}
	for i := range voucher.Postings {
		if err := exporters.CheckRendered(ctx, voucher, len(to)); err != nil {
			return to, err
		}
		if to, err = w.appendPosting(ctx, to, voucher, &voucher.Postings[i]); err != nil {
			return to, err
		}
	}
	return append(to, "}"+newline...), nil
}

// appendPosting appends: #TRANS account {dimension "object" …} amount date text [quantity]. The date is left empty, which
// means the voucher's: a date of its own could move the posting to another period.
func (w *writer) appendPosting(ctx context.Context, to []byte, voucher *ledger.Voucher, posting *ledger.Posting) ([]byte, error) {
	to = append(to, "#TRANS "...)
	to = append(to, posting.Account...)
	to, err := w.appendObjects(ctx, to, voucher, posting)
	if err != nil {
		return to, err
	}
	to = posting.BaseAmount.AppendDecimal(to, voucher.BaseCurrency, '.')
	to = append(to, ` "" `...)
	if to, err = appendQuoted(to, posting.Text, encode); err != nil {
		return to, exporters.Unsupported(voucher, "the text of %s %s; change it in the application", exporters.Where(posting), err)
	}
	if posting.Kind == ledger.ExpensePosting && posting.Quantity != "" {
		if !isQuantity(posting.Quantity) {
			return to, exporters.Unsupported(voucher, "the quantity of line %d is not a decimal number", posting.LineNumber)
		}
		to = append(to, ' ')
		to = append(to, posting.Quantity...)
	}
	return append(to, newline...), nil
}

// appendObjects appends {dimension "object" …} and the spaces around it. What the posting has as subledger is an object too.
func (w *writer) appendObjects(ctx context.Context, to []byte, voucher *ledger.Voucher, posting *ledger.Posting) (_ []byte, err error) {
	to = append(to, " {"...)
	start, subledger := len(to), exporters.SubledgerDimension(voucher, posting)
	for _, dimension := range posting.Dimensions {
		if err := exporters.CheckRendered(ctx, voucher, len(to)); err != nil {
			return to, err
		}
		if to, err = w.appendObject(to, start, voucher, posting, dimension); err != nil {
			return to, err
		}
		if dimension.Name == subledger.Name {
			subledger.Value = ""
		}
	}
	to, err = w.appendObject(to, start, voucher, posting, subledger)
	return append(to, "} "...), err
}

// appendObject appends one object to the list that begins at start, if its dimension has a number.
func (w *writer) appendObject(to []byte, start int, voucher *ledger.Voucher, posting *ledger.Posting, dimension ledger.Dimension) ([]byte, error) {
	number, mapped := w.options.Dimensions[dimension.Name]
	if !mapped || dimension.Value == "" {
		return to, nil
	}
	if len(to) > start {
		to = append(to, ' ')
	}
	to = append(strconv.AppendInt(to, int64(number), 10), ' ')
	code := len(to) + 1 // behind the quote
	to, err := appendQuoted(to, dimension.Value, encodeCode)
	if err != nil {
		return to, exporters.Unsupported(voucher, "the dimension %s of %s %s; use another code", dimension.Name, exporters.Where(posting), err)
	}
	if !w.options.Objects {
		return to, nil
	}
	if w.objects.Has(object{voucher.FiscalYear, number, string(to[code : len(to)-1])}) {
		return to, nil
	}
	return to, w.keep(voucher, object{voucher.FiscalYear, number, string(to[code : len(to)-1])}, dimension)
}

// keep notes an object, and what it is called.
func (w *writer) keep(voucher *ledger.Voucher, found object, dimension ledger.Dimension) error {
	name := dimension.Value
	if dimension.Name == exporters.EmployeeDimension && dimension.Value == voucher.ClaimantID && voucher.ClaimantName != "" {
		name = voucher.ClaimantName
	}
	encoded, err := encode(nil, name)
	if err != nil {
		return exporters.Unsupported(voucher, "the claimant's name %s; change it in the application, or leave objects out by an option", err)
	}
	if !w.objects.Add(found, string(encoded), len(found.code)+len(encoded)) {
		return exporters.Unsupported(voucher, "the objects that the files of the run declare would take more than %d MiB; a later run can take the claim, or leave objects out by the option objects",
			exporters.MaxKept>>20)
	}
	return nil
}

// appendQuoted appends a text between quotes.
func appendQuoted(to []byte, text string, encode func([]byte, string) ([]byte, error)) ([]byte, error) {
	to, err := encode(append(to, '"'), text)
	return append(to, '"'), err
}

func isQuantity(text string) bool {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	return exporters.IsDigits(whole) && (!point || exporters.IsDigits(fraction))
}
