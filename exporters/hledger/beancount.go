package hledger

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"

	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// beancount is the dialect of beancount 2 and 3.
type beancount struct{}

// epoch is when accounts are opened: no voucher is older.
const epoch = "1900-01-01"

// metadataName is what beancount takes as a key of metadata.
var metadataName = regexp.MustCompile(`^[a-z][A-Za-z0-9_-]+$`)

// component keeps letters and digits, and makes hyphens of the rest. A component begins with a capital letter or a digit.
func (beancount) component(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.Is(unicode.Nd, r) })
	joined := strings.Join(words, "-")
	first, size := utf8.DecodeRuneInString(joined)
	if !unicode.IsLetter(first) || unicode.IsUpper(first) {
		return joined
	}
	upper := unicode.ToUpper(first)
	if !unicode.IsUpper(upper) {
		return "X-" + joined // a script without capital letters
	}
	return string(upper) + joined[size:]
}

func (beancount) tagProblem(name string) string {
	switch {
	case !metadataName.MatchString(name):
		return "cannot be metadata of beancount: a small letter, then letters, digits, _ and -"
	case name == "filename" || name == "lineno":
		return "is metadata that beancount gives a meaning"
	}
	return ""
}

func (beancount) appendHead(to []byte, w *writer) []byte {
	to = fmt.Appendf(to, "; %s %s, run %s of export %s/%s\n", w.batch.Program, w.batch.ProgramVersion, w.batch.Run, w.batch.Namespace, w.batch.Export)
	if !w.options.Declarations {
		return to
	}
	code, exponent := w.base.Code(), w.base.Exponent()
	to = fmt.Appendf(to, "\noption \"operating_currency\" \"%s\"\n", code)
	// Beancount divides a total by its units, to 28 digits, and may miss the total by what is left then. Half of the smallest
	// coin is less than anything that is wrong.
	to = fmt.Appendf(to, "option \"inferred_tolerance_default\" \"%s:%s\"\n", code, apd.New(5, int32(-exponent-1)).Text('f'))
	to = beancount{}.appendCommodity(append(to, '\n'), w.base)
	to = append(to, '\n')
	for _, account := range w.batch.Books.Accounts {
		to = fmt.Appendf(to, "%s open %s\n", epoch, w.accounts[account.Number])
	}
	return to
}

func (beancount) appendCommodity(to []byte, currency ledger.Currency) []byte {
	return fmt.Appendf(to, "%s commodity %s\n", epoch, currency.Code())
}

// appendTitle appends: date * "text", and the number as metadata.
func (beancount) appendTitle(to []byte, voucher *ledger.Voucher) []byte {
	to = voucher.PostingDate.AppendFormat(to, time.DateOnly)
	to = append(to, " * "...)
	to = appendString(to, texts.CutBytes(voucher.Text, maxText))
	to = append(to, '\n')
	return appendMetadata(to, ofVoucher, "voucher", voucher.ID())
}

func (beancount) appendText(to []byte, level level, name, text string) []byte {
	return appendMetadata(to, level, name, text)
}

func (beancount) appendCode(to []byte, level level, name, code string) ([]byte, error) {
	return appendMetadata(to, level, name, code), nil
}

func appendMetadata(to []byte, level level, name, value string) []byte {
	to = append(to, "  "...)
	if level == ofPosting {
		to = append(to, "  "...)
	}
	to = append(to, name...)
	to = append(to, ": "...)
	to = appendString(to, value)
	return append(to, '\n')
}

// appendString appends a text between quotes; quotes and backslashes in it are escaped.
func appendString(to []byte, text string) []byte {
	to = append(to, '"')
	for i := range len(text) {
		if text[i] == '"' || text[i] == '\\' {
			to = append(to, '\\')
		}
		to = append(to, text[i])
	}
	return append(to, '"')
}
