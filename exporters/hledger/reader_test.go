package hledger

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

// Lines of a file, in what both dialects share and what they do not. A line that is none of these is a mistake.
var (
	titleLine   = regexp.MustCompile(`^\d{4}-\d\d-\d\d \* (\([A-Z0-9]+/\d{4}/\d+\) [^;]*|"([^"\\]|\\["\\])*")$`)
	tagLine     = regexp.MustCompile(`^ {4,8}; [\p{L}\p{N}_.-]+: [^,\[\]]*$|^ {2,4}[a-z][A-Za-z0-9_-]+: "([^"\\]|\\["\\])*"$`)
	postingLine = regexp.MustCompile(`^ {2,4}(\S+(?: \S+)*) {2}(?:-?[\d.]+ [A-Z]{3} @@ )?(-?[\d.]+) ([A-Z]{3})$`)
	foreignDebt = regexp.MustCompile(` {2}-[\d.]+ [A-Z]{3} @@ `)
	declaration = regexp.MustCompile(`^(; |option |commodity |    format |account |tag |1900-01-01 (open|commodity) )`)
)

// maxLine is what ledger reads of a line.
const maxLine = 4096

// readBack reads files strictly and returns their vouchers, in the books' currency, to the suite that every exporter must pass.
func readBack(files []conformance.File) (found []conformance.Found, err error) {
	for _, file := range files {
		var vouchers []conformance.Found
		for number, line := range strings.Split(strings.TrimSuffix(string(file.Content), "\n"), "\n") {
			last := len(vouchers) - 1
			switch {
			case len(line) >= maxLine:
				err = fmt.Errorf("it has %d bytes", len(line))
			case line == "", declaration.MatchString(line):
			case titleLine.MatchString(line):
				vouchers = append(vouchers, conformance.Found{})
			case last >= 0 && tagLine.MatchString(line):
			case last >= 0:
				err = readPosting(&vouchers[last], line)
			default:
				err = fmt.Errorf("it is outside of a transaction")
			}
			if err != nil {
				return nil, fmt.Errorf("line %d, %q: %w", number+1, line, err)
			}
		}
		found = append(found, vouchers...)
	}
	return found, nil
}

func readPosting(voucher *conformance.Found, line string) error {
	parts := postingLine.FindStringSubmatch(line)
	if parts == nil {
		return fmt.Errorf("it is no posting")
	}
	currency, err := ledger.ParseCurrency(parts[3])
	if err != nil {
		return err
	}
	amount, err := ledger.ParseAmount(parts[2], currency)
	if err != nil {
		return err
	}
	if foreignDebt.MatchString(line) {
		amount = -amount // a total price has no sign of its own
	}
	voucher.Currency = currency.Code()
	voucher.Amounts = append(voucher.Amounts, amount)
	if strings.Contains(parts[1], "2890") { // the offset account of conformance.Books
		voucher.Owed -= amount
	}
	return nil
}
