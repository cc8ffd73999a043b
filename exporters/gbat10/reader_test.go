package gbat10

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/charmap"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

// expressions of the 30 columns, by Mamut's description: lengths, numbers, and what must be there.
var expressions = func() (all []*regexp.Regexp) {
	for _, expression := range []string{
		`GBAT10`, `\d{1,8}`, `\d{8}`, `\d{1,3}`, `\d{1,2}`, `\d{4}`, `\d{1,7}`, `\d{1,5}`, `-?\d+[.,]\d{2}`, `\d{0,9}`, // 0 to 9
		`\d{0,9}`, `.{0,30}`, `.{0,200}`, `.{0,30}`, `.{0,30}`, `.{0,25}`, `.{0,30}`, `(\d{8})?`, ``, `.{0,20}`, // 10 to 19
		`.{0,100}`, `.{0,100}`, `\d?`, `\d{0,6}`, `\d{0,4}`, `\d{0,4}`, `[TF]`, `-?\d+[.,]\d{2}`, `.{0,50}`, `.{0,50}`, // 20 to 29
	} {
		all = append(all, regexp.MustCompile(`^(?:`+expression+`)$`))
	}
	return all
}()

// journal is one voucher, read strictly by the description and by nothing that the exporter knows.
type journal struct {
	number string // with year
	rows   [][]string
}

func read(content []byte) (journals []journal, err error) {
	lines := strings.SplitAfter(string(content), "\r\n")
	if lines[len(lines)-1] != "" {
		return nil, fmt.Errorf("the last line does not end with CR LF")
	}
	for i, line := range lines[:len(lines)-1] {
		line = strings.TrimSuffix(line, "\r\n")
		row := strings.Split(line, ";")
		if len(row) != 30 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '"' }) {
			return nil, fmt.Errorf("line %d has %d columns, or a quote or a control character", i+1, len(row))
		}
		for column, cell := range row {
			if !expressions[column].MatchString(cell) {
				return nil, fmt.Errorf("line %d: column %d is %q, which is not %s", i+1, column, cell, expressions[column])
			}
		}
		if _, err := time.Parse("20060102", row[2]); err != nil {
			return nil, err
		}
		if period, _ := strconv.Atoi(row[4]); period < 1 || period > 12 || len(row[8]) > 15 {
			return nil, fmt.Errorf("line %d: period %s, net %s", i+1, row[4], row[8])
		}
		number := row[5] + "/" + row[1]
		if len(journals) == 0 || journals[len(journals)-1].number != number {
			journals = append(journals, journal{number: number})
		}
		last := &journals[len(journals)-1]
		last.rows = append(last.rows, row)
	}
	for _, j := range journals {
		if net, gross := j.sum(8), j.sum(27); net != 0 || gross != 0 {
			return nil, fmt.Errorf("journal %s: net sums to %d, gross to %d", j.number, net, gross)
		}
	}
	return journals, nil
}

// sum of a column of amounts, in hundredths.
func (j journal) sum(column int) (sum ledger.Amount) {
	for _, row := range j.rows {
		sum += hundredths(row[column])
	}
	return sum
}

func hundredths(cell string) ledger.Amount {
	value, err := strconv.ParseInt(strings.NewReplacer(".", "", ",", "").Replace(cell), 10, 64)
	if err != nil {
		panic(err) // the expression admits none
	}
	return ledger.Amount(value)
}

// readBack returns the vouchers of an artifact to the suite that every exporter must pass. Files do not say their currency:
// among the suite's vouchers, those with hotels have fractions, but not in books in yen.
func readBack(files []conformance.File) (found []conformance.Found, err error) {
	var all []byte
	for _, file := range files {
		all = append(all, file.Content...)
	}
	currency, unit := "SEK", ledger.Amount(1)
	if bytes.Contains(all, []byte("Hotell")) && !fraction.Match(all) {
		currency, unit = "JPY", 100
	}
	for _, file := range files {
		vouchers, err := readBackIn(currency, unit, file)
		if err != nil {
			return nil, err
		}
		found = append(found, vouchers...)
	}
	return found, nil
}

// readBackKronor is for vouchers that are known to be in kronor, whatever their texts are.
func readBackKronor(files []conformance.File) (found []conformance.Found, err error) {
	for _, file := range files {
		vouchers, err := readBackIn("SEK", 1, file)
		if err != nil {
			return nil, err
		}
		found = append(found, vouchers...)
	}
	return found, nil
}

// readBackIn reads a file whose amounts are hundredths of a currency, divided by unit.
func readBackIn(currency string, unit ledger.Amount, file conformance.File) (found []conformance.Found, err error) {
	content := file.Content
	if !strings.Contains(file.MediaType, "utf-8") {
		if content, err = charmap.Windows1252.NewDecoder().Bytes(content); err != nil {
			return nil, err
		}
	}
	journals, err := read(content)
	if err != nil {
		return nil, err
	}
	for _, j := range journals {
		voucher := conformance.Found{Currency: currency}
		for _, row := range j.rows {
			amount := hundredths(row[8]) / unit
			voucher.Amounts = append(voucher.Amounts, amount)
			if row[6] == "2890" { // the offset account of conformance.Books
				voucher.Owed -= amount
			}
		}
		found = append(found, voucher)
	}
	return found, nil
}

var fraction = regexp.MustCompile(`;-?\d+[.,](\d[1-9]|[1-9]\d);`)
