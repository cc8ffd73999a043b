package datev

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/charset"
	"github.com/ledgerport/ledgerport/ledger"
)

var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

const guidLength = 36

// appendServiceDate appends the columns 115 and 116: the date of the expense if it is not the posting date, which is the Belegdatum, and
// with it the period of the tax, without which DATEV does not take the former. That is the posting date's, as it is without both.
func (b *bookings) appendServiceDate(to []byte, row *booking) []byte {
	service, posted := row.posting.ExpenseDate, row.voucher.PostingDate
	if !b.options.ServiceDate || service.Equal(posted) || service.Year() < firstYear || service.Year() > lastYear {
		return append(to, delimiter)
	}
	to = service.AppendFormat(to, dayMonthYear)
	return posted.AppendFormat(append(to, delimiter), dayMonthYear)
}

// appendReference appends the date, by what open items are cleared (Belegfeld 1, whose characters are those that DATEV admits
// there): the voucher, or the one that it reverses, and the columns between that and the text.
func appendReference(to []byte, voucher *ledger.Voucher) ([]byte, error) {
	to = voucher.PostingDate.AppendFormat(to, "0201")
	to = append(to, delimiter, '"')
	item := voucher.ItemID()
	if len(item) > maxVoucher || strings.ContainsFunc(item, func(r rune) bool { return !isWord(r) && !strings.ContainsRune("$&%*+-/", r) }) {
		return to, exporters.Unsupported(voucher, "the voucher series has other characters than letters, digits and $ & %% * + - /, or is too long")
	}
	to = append(to, item...)
	to = append(to, '"')
	return append(to, betweenVoucherAndText...), nil
}

// appendInformation appends the employee's number, by which the account of what is owed can be reconciled, the own number of a voucher
// that reverses another, and the claim, if its id can be there: the voucher leads back to the claim, too, by the manifest.
func appendInformation(to []byte, voucher *ledger.Voucher) (_ []byte, err error) {
	if voucher.ClaimantID == "" {
		to = append(to, nothing...)
	} else {
		to = append(to, employeeNumber...)
		if to, err = appendContent(append(to, delimiter), voucher.ClaimantID); err != nil {
			return to, exporters.Unsupported(voucher, "the claimant's id %s; use another", err)
		}
	}
	to = append(to, delimiter)
	if voucher.Reverses == "" {
		to = append(to, nothing...)
	} else {
		to = append(to, ownVoucher...)
		if to, err = appendContent(append(to, delimiter), voucher.ID()); err != nil {
			return to, exporters.Unsupported(voucher, "the voucher series %s", err)
		}
	}
	to = append(to, delimiter)
	if claim, err := appendContent(append(append(to, expenseClaim...), delimiter), voucher.ClaimID); err == nil {
		return claim, nil
	}
	return append(to, nothing...), nil
}

// appendContent appends a code between quotes.
func appendContent(to []byte, code string) ([]byte, error) {
	if len(code) > maxContent || charset.GuardFormulas(code) != code {
		return to, fmt.Errorf("has more than %d bytes, or begins a formula in a spreadsheet", maxContent)
	}
	to, err := charset.Windows1252.AppendCode(append(to, '"'), strings.ReplaceAll(code, `"`, `""`))
	return append(to, '"'), err
}

func isWord(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '_'
}

// appendText appends a text between quotes, with quotes doubled, guarded against spreadsheets.
func appendText(to []byte, text string, limit int) ([]byte, error) {
	to = append(to, '"')
	start := len(to)
	to, err := charset.Windows1252.AppendText(to, charset.GuardFormulas(text), limit)
	if err != nil {
		return to, err
	}
	for at := start; ; at += 2 {
		next := bytes.IndexByte(to[at:], '"')
		if next < 0 {
			return append(to, '"'), nil
		}
		at += next
		to = slices.Insert(to, at, '"')
	}
}

// appendReceipt appends the link to a document in DATEV Unternehmen online, which knows documents by GUID.
func appendReceipt(to []byte, uri string) []byte {
	text := strings.TrimPrefix(uri, "urn:uuid:")
	if len(text) != guidLength || !guid.MatchString(text) {
		return append(to, '"', '"')
	}
	to = append(to, `"BEDI ""`...)
	to = append(to, text...)
	return append(to, `"""`...)
}

// appendKost appends the value of a dimension.
func appendKost(to []byte, voucher *ledger.Voucher, posting *ledger.Posting, dimension string) ([]byte, error) {
	to = append(to, '"')
	for _, d := range posting.Dimensions {
		if d.Name != dimension {
			continue
		}
		if len(d.Value) > maxKost || strings.ContainsFunc(d.Value, func(r rune) bool { return !isWord(r) && r != ' ' }) {
			return to, exporters.Unsupported(voucher, "the dimension %s of %s is longer than %d characters or has others than letters, digits, spaces and _; use another code",
				dimension, exporters.Where(posting), maxKost)
		}
		to = append(to, d.Value...)
	}
	return append(to, '"'), nil
}
