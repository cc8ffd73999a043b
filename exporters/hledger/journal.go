package hledger

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// journal is the dialect that hledger and ledger share.
type journal struct{}

// tagName is what both take as the name of a tag.
var tagName = regexp.MustCompile(`^[\p{L}\p{N}_.-]+$`)

// component keeps everything but what ends an account's name: a colon, two spaces, a semicolon.
func (journal) component(text string) string {
	return texts.OneSpace(strings.NewReplacer(":", "-", ";", ",").Replace(text))
}

func (journal) tagProblem(name string) string {
	switch {
	case !tagName.MatchString(name):
		return "cannot be a tag: it has a space, or something else than letters, digits and _ . -"
	case slices.Contains([]string{"date", "date2", "type"}, name):
		return "is a tag that hledger gives a meaning"
	}
	return ""
}

func (journal) appendHead(to []byte, w *writer) []byte {
	to = fmt.Appendf(to, "; %s %s, run %s of export %s/%s\n", w.batch.Program, w.batch.ProgramVersion, w.batch.Run, w.batch.Namespace, w.batch.Export)
	if !w.options.Declarations {
		return to
	}
	to = journal{}.appendCommodity(append(to, '\n'), w.base)
	to = append(to, '\n')
	for _, account := range w.batch.Books.Accounts {
		to = fmt.Appendf(to, "account %s\n", w.accounts[account.Number])
	}
	to = append(to, '\n')
	for _, tag := range append([]string{claimTag, claimantTag, documentTag, reversesTag, textTag}, w.dimensions...) {
		to = fmt.Appendf(to, "tag %s\n", tag)
	}
	return to
}

// appendCommodity says how many decimals a currency has. Where it has none nothing is said: hledger wants a decimal mark
// in a format, and ledger reads none there.
func (journal) appendCommodity(to []byte, currency ledger.Currency) []byte {
	to = fmt.Appendf(to, "commodity %s\n", currency.Code())
	if currency.Exponent() == 0 {
		return to
	}
	return fmt.Appendf(to, "    format 1000.%s %s\n", strings.Repeat("0", currency.Exponent()), currency.Code())
}

// appendTitle appends: date * (number) text. A semicolon would begin a comment.
func (journal) appendTitle(to []byte, voucher *ledger.Voucher) []byte {
	to = voucher.PostingDate.AppendFormat(to, time.DateOnly)
	to = append(to, " * ("...)
	to = append(to, voucher.ID()...)
	to = append(to, ") "...)
	to = append(to, strings.ReplaceAll(texts.CutBytes(voucher.Text, maxText), ";", ",")...)
	return append(to, '\n')
}

// readAsTags are what both programs read a meaning into, wherever in a comment: a comma ends the value of a tag, after which
// another tag may follow (a date, even), and a date may be in brackets.
var readAsTags = strings.NewReplacer(",", ";", "[", "(", "]", ")")

func (journal) appendText(to []byte, level level, name, text string) []byte {
	return appendComment(to, level, name, readAsTags.Replace(text))
}

func (journal) appendCode(to []byte, level level, name, code string) ([]byte, error) {
	if strings.ContainsAny(code, ",[]") {
		return to, errors.New("has a comma or a bracket, which hledger and ledger read a meaning into")
	}
	return appendComment(to, level, name, code), nil
}

// appendComment appends a tag on a line of its own. Both programs give it to the line before.
func appendComment(to []byte, level level, name, value string) []byte {
	to = append(to, "    "...)
	if level == ofPosting {
		to = append(to, "    "...)
	}
	to = append(to, "; "...)
	to = append(to, name...)
	to = append(to, ": "...)
	to = append(to, value...)
	return append(to, '\n')
}
