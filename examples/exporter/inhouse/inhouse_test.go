package inhouse

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

const acme = `{"company": "ACME"}`

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Test(t, New(), []byte(acme), conformance.ReadBack(readBack))
}

func TestMemory(t *testing.T) { conformance.TestMemory(t, New(), []byte(acme)) }

func FuzzOptions(f *testing.F) { conformance.FuzzOptions(f, New(), acme) }

func FuzzTexts(f *testing.F) {
	conformance.FuzzTexts(f, New(), []byte(acme), conformance.ReadBack(readBack))
}

func TestATextThatTheLedgerSystemCanNotHaveIsHeld(t *testing.T) {
	t.Parallel()
	conformance.Holds(t, New(), "SEK", acme, func(v *ledger.Voucher) { v.Text = "Besök" }, "the text has the character U+00F6")
	conformance.Holds(t, New(), "SEK", acme, func(v *ledger.Voucher) { v.Text = "a|b" }, "the text has the character U+007C")
}

func TestOptionsThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	conformance.RefusesOptions(t, New(), `{}`, "company: is required")
	conformance.RefusesOptions(t, New(), `{"company": "Acme"}`, "company: is not one to eight capital letters or digits")
}

// readBack reads a file as the ledger system does: amounts are in the books' currency, whose decimals it counts.
func readBack(files []conformance.File) (found []conformance.Found, err error) {
	lines := strings.Split(strings.TrimSuffix(string(files[0].Content), "\n"), "\n")
	head := strings.Split(lines[0], "|")
	_, decimals, _ := strings.Cut(head[5], ".")
	currency, err := ledger.ParseCurrency(map[int]string{0: "JPY", 2: "SEK", 3: "KWD"}[len(decimals)])
	if err != nil {
		return nil, err
	}
	for _, line := range lines[1:] {
		fields := strings.Split(line, "|")
		switch {
		case fields[0] == "V" && len(fields) == 4:
			found = append(found, conformance.Found{Currency: currency.Code()})
		case fields[0] == "L" && len(fields) == 3 && len(found) > 0:
			amount, err := ledger.ParseAmount(fields[2], currency)
			if err != nil {
				return nil, err
			}
			voucher := &found[len(found)-1]
			voucher.Amounts = append(voucher.Amounts, amount)
			if fields[1] == "2890" { // the offset account of conformance.Books
				voucher.Owed -= amount
			}
		default:
			return nil, fmt.Errorf("the line %q is neither a voucher nor a posting", line)
		}
	}
	if count, err := strconv.Atoi(head[4]); err != nil || count != len(found) {
		return nil, fmt.Errorf("the head says %s vouchers, and there are %d", head[4], len(found))
	}
	return found, nil
}
