package xledger

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

// documented are the columns of the import definition GL02b without an entity, in order, as importers of it describe them,
// each with what its cells look like here.
var documented = []struct{ name, cell string }{
	{"ImpSystem", `.{1,25}`}, {"ImpSystemRef", `.{1,25}`}, {"VoucherType", `\S{1,8}`}, {"VoucherNo", `\d{1,8}`}, {"FiscalYear", `\d{4}`},
	{"PeriodNo", `[1-9]|1[0-2]`}, {"VoucherDate", `\d{8}`}, {"Account", `\S+`}, {"AccountLedger", ``}, {"Posting1", `.*`}, {"Posting2", `.*`},
	{"XGL", ``}, {"SubledgerNo", `.*`}, {"SubledgerName", ``}, {"InvoiceDate", ``}, {"InvoiceNo", `.*`}, {"KID", ``}, {"DueDate", ``},
	{"BankAccount", ``}, {"PaymentTerms", ``}, {"Text", `.{0,255}`}, {"TaxRule", `\S*`}, {"Currency", `[A-Z]{3}`},
	{"CurrencyAmount", `-?\d+(\.\d+)?`}, {"Amount", `-?\d+(\.\d+)?`}, {"UpdateSubledger", ``},
	{"SubledgerGroup", ``}, {"CompanyNo", ``}, {"StreetAddressL1", ``}, {"StreetAddressL2", ``}, {"ZipCode", ``}, {"Place", ``}, {"State", ``},
	{"Country", ``}, {"BillingStreetAddressL1", ``}, {"BillingStreetAddressL2", ``}, {"BillingZipCode", ``}, {"BillingPlace", ``},
	{"BillingState", ``}, {"BillingCountry", ``}, {"Phone", ``}, {"Email", ``}, {"YourRef", `\S+`}, {"Dummy1", ``}, {"Dummy2", ``}, {"Dummy3", ``}, {"Dummy4", ``},
	{"Dummy5", ``}, {"EOL", `x`},
}

var forms sync.Map // expression → *regexp.Regexp

func form(expression string) *regexp.Regexp {
	known, ok := forms.Load(expression)
	if !ok {
		known, _ = forms.LoadOrStore(expression, regexp.MustCompile(`^(?:`+expression+`)$`))
	}
	return known.(*regexp.Regexp)
}

// read returns the rows of a file with the default columns, strictly.
func read(content []byte) ([]map[string]string, error) {
	if rest := bytes.ReplaceAll(content, []byte("\r\n"), nil); bytes.ContainsAny(rest, "\r\n") {
		return nil, fmt.Errorf("a line does not end with CR LF")
	}
	reader := csv.NewReader(bytes.NewReader(content))
	reader.Comma = ';'
	lines, err := reader.ReadAll()
	if err != nil || len(lines) == 0 {
		return nil, fmt.Errorf("%d lines: %w", len(lines), err)
	}
	columns := slices.Clone(documented)
	if len(lines[0]) > 2 && lines[0][2] == "Entity" {
		columns = slices.Insert(columns, 2, struct{ name, cell string }{"Entity", `\S{1,25}`})
	}
	var rows []map[string]string
	for number, line := range lines {
		row := map[string]string{}
		if len(line) != len(columns) {
			return nil, fmt.Errorf("line %d has %d columns, not %d", number+1, len(line), len(columns))
		}
		for i, column := range columns {
			if number == 0 && line[i] != column.name {
				return nil, fmt.Errorf("column %d is called %q, not %q", i+1, line[i], column.name)
			}
			if number > 0 && !form(column.cell).MatchString(line[i]) {
				return nil, fmt.Errorf("line %d: %s is %q, which is not %s", number+1, column.name, line[i], column.cell)
			}
			row[column.name] = line[i]
		}
		if number == 0 {
			continue
		}
		if _, err := time.Parse("20060102", row["VoucherDate"]); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// readBack returns the vouchers of an artifact to the suite that every exporter must pass, in the claims' currencies.
func readBack(files []conformance.File) (found []conformance.Found, err error) {
	rows, err := read(files[0].Content)
	if err != nil {
		return nil, err
	}
	voucher := ""
	for _, row := range rows {
		currency, err := ledger.ParseCurrency(row["Currency"])
		if err != nil {
			return nil, err
		}
		amount, err := ledger.ParseAmount(strings.TrimPrefix(row["CurrencyAmount"], "+"), currency)
		if err != nil {
			return nil, err
		}
		if row["YourRef"] != voucher {
			voucher, found = row["YourRef"], append(found, conformance.Found{Currency: currency.Code()})
		}
		last := &found[len(found)-1]
		last.Amounts = append(last.Amounts, amount)
		if row["Account"] == "2890" { // the offset account of conformance.Books
			last.Owed -= amount
		}
	}
	return found, nil
}
