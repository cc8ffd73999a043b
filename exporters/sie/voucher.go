package sie

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ledgerport/ledgerport/ledger"
)

// appendVoucher appends a #VER record and its #TRANS records.
func (w *writer) appendVoucher(to []byte, voucher *ledger.Voucher) ([]byte, error) {
	series, text := voucher.Series, voucher.Text
	if w.options.Series != "" {
		series = w.options.Series
	}
	// #VER series number date text registered
	to = append(to, "#VER "...)
	to, err := appendCode(to, voucher, "the voucher series", series)
	if err != nil {
		return to, err
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
	if to, err = appendText(to, voucher, "the text of the voucher", text); err != nil {
		return to, err
	}
	to = append(to, ' ')
	to = w.batch.CreatedAt.AppendFormat(to, dateFormat)
	to = append(to, newline+"{"+newline...)
	var sum ledger.Amount
	for i := range voucher.Postings {
		if to, err = w.appendPosting(to, voucher, &voucher.Postings[i]); err != nil {
			return to, err
		}
		sum += voucher.Postings[i].BaseAmount
	}
	if sum != 0 {
		return to, fmt.Errorf("the voucher of claim %s does not sum to zero", voucher.ClaimID)
	}
	return append(to, "}"+newline...), nil
}

// appendPosting appends: #TRANS account {dimension "object" …} amount date text [quantity]. The date is left empty, which
// means the voucher's: a date of its own could move the posting to another period.
func (w *writer) appendPosting(to []byte, voucher *ledger.Voucher, posting *ledger.Posting) ([]byte, error) {
	to = append(to, "#TRANS "...)
	to = append(to, posting.Account...)
	to, err := w.appendObjects(to, voucher, posting)
	if err != nil {
		return to, err
	}
	to = posting.BaseAmount.AppendDecimal(to, voucher.BaseCurrency, '.')
	to = append(to, ` "" `...)
	if to, err = appendText(to, voucher, "the text of "+where(posting), posting.Text); err != nil {
		return to, err
	}
	if posting.Kind == ledger.ExpensePosting && posting.Quantity != "" {
		if !isQuantity(posting.Quantity) {
			return to, hold(voucher, "the quantity of line %d is not a decimal number", posting.LineNumber)
		}
		to = append(to, ' ')
		to = append(to, posting.Quantity...)
	}
	return append(to, newline...), nil
}

// appendObjects appends {dimension "object" …} and the spaces around it.
func (w *writer) appendObjects(to []byte, voucher *ledger.Voucher, posting *ledger.Posting) (_ []byte, err error) {
	to = append(to, " {"...)
	first := true
	object := func(name, value string) {
		number, mapped := w.options.Dimensions[name]
		if !mapped || value == "" || err != nil {
			return
		}
		if !first {
			to = append(to, ' ')
		}
		first = false
		to = strconv.AppendInt(to, int64(number), 10)
		to = append(to, ' ')
		to, err = appendCode(to, voucher, "the dimension "+name+" of "+where(posting), value)
	}
	subledger := posting.Subledger
	for _, dimension := range posting.Dimensions {
		object(dimension.Name, dimension.Value)
		if dimension.Name == subledgerDimension {
			subledger = ""
		}
	}
	object(subledgerDimension, subledger)
	return append(to, "} "...), err
}

// appendText appends a text in quotes. A character that can not be written holds the voucher.
func appendText(to []byte, voucher *ledger.Voucher, what, text string) ([]byte, error) {
	to, err := encode(append(to, '"'), text)
	if err != nil {
		return to, hold(voucher, "%s %s; change it in the application", what, err)
	}
	return append(to, '"'), nil
}

// appendCode appends a code in quotes, exactly. A character that can not be written holds the voucher.
func appendCode(to []byte, voucher *ledger.Voucher, what, code string) ([]byte, error) {
	to, err := encodeCode(append(to, '"'), code)
	if err != nil {
		return to, hold(voucher, "%s %s; use another code", what, err)
	}
	return append(to, '"'), nil
}

func isQuantity(text string) bool {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	return isNumber(whole) && (!point || isNumber(fraction))
}

func where(posting *ledger.Posting) string {
	if posting.LineNumber == 0 {
		return "the " + string(posting.Kind) + " posting"
	}
	return "line " + strconv.Itoa(posting.LineNumber)
}
