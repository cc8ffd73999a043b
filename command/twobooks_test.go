package command

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/text/encoding/charmap"

	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// TestTheMonthInTwoBooksIsAsItsPageSays runs the statements and the command of docs/two-books.md, and compares what they write with it.
func TestTheMonthInTwoBooksIsAsItsPageSays(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/two-books.md")
	must(t, err)
	database := testdb.New(t)
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	must(t, application.CreateTables(t.Context(), conn))
	_, err = conn.Exec(t.Context(), block(t, page, "sql", 0))
	must(t, err)
	must(t, conn.Close(t.Context()))
	migrate(t, database)

	output := t.TempDir()
	arguments := strings.Fields(block(t, page, "sh", 0))[1:]
	for i, argument := range arguments {
		arguments[i] = strings.Replace(argument, "config/samples", "../config/samples", 1)
		if argument == "preview" {
			arguments[i] = output
		}
	}
	var out bytes.Buffer
	command := New(builtin.Registry())
	command.SetArgs(append(arguments, "--allow-insecure-databases", "--database-url", database))
	command.SetOut(&out)
	must(t, command.ExecuteContext(t.Context()))

	for i, written := range []string{
		strings.ReplaceAll(out.String(), output, "/preview"),
		datevRows(t, filepath.Join(output, "_preview/havelblick/monthly/monthly/EXTF_monthly.csv")),
		documents(t, filepath.Join(output, "_preview/havelblick/monthly/monthly/document.xml")),
		payments(t, filepath.Join(output, "_preview/havelblick/weekly-payments/weekly-payments/weekly-payments.xml")),
	} {
		if shown := block(t, page, "", i); shown != written {
			t.Errorf("the page shows\n%s\nand written was\n%s", shown, written)
		}
	}
}

// block returns the content of the nth fenced block of a language.
func block(t *testing.T, page []byte, language string, n int) string {
	t.Helper()
	fence := regexp.MustCompile("(?m)^```([a-z0-9]*)\n((?:.*\n)*?)```$")
	for _, found := range fence.FindAllSubmatch(page, -1) {
		if string(found[1]) != language {
			continue
		}
		if n == 0 {
			return string(found[2])
		}
		n--
	}
	t.Fatalf("the page lacks a block of the language %q", language)
	return ""
}

// datevRows returns the columns of a booking batch that say something here, as a table.
func datevRows(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path) // #nosec G304 -- of the test
	must(t, err)
	defer func() { _ = file.Close() }() // only read
	reader := csv.NewReader(charmap.Windows1252.NewDecoder().Reader(file))
	reader.Comma, reader.FieldsPerRecord = ';', -1
	rows, err := reader.ReadAll()
	must(t, err)
	var table strings.Builder
	for _, row := range rows[2:] {
		fmt.Fprintf(&table, "%7s %s  %s  %s  %-3s  %s  %s  %s\n", row[0], row[1], row[6], row[7], row[8], row[9], row[10], row[13])
	}
	return "Umsatz  S/H Konto Gegen BU  Datum  Beleg     Buchungstext\n" + table.String()
}

// documents returns the files of each document of a package.
func documents(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path) // #nosec G304 -- of the test
	must(t, err)
	var archive struct {
		Documents []struct {
			Voucher string `xml:"description"`
			Files   []struct {
				Name string `xml:"name,attr"`
			} `xml:"extension"`
		} `xml:"content>document"`
	}
	must(t, xml.Unmarshal(content, &archive))
	var table strings.Builder
	for _, document := range archive.Documents {
		fmt.Fprintf(&table, "%s ", document.Voucher)
		for _, file := range document.Files {
			fmt.Fprintf(&table, " %s", file.Name)
		}
		table.WriteString("\n")
	}
	return table.String()
}

// payments returns the payments of a file, and their sum.
func payments(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path) // #nosec G304 -- of the test
	must(t, err)
	var file struct {
		Sum      string `xml:"CstmrCdtTrfInitn>GrpHdr>CtrlSum"`
		Payments []struct {
			ID     string `xml:"PmtId>EndToEndId"`
			Amount struct {
				Currency string `xml:"Ccy,attr"`
				Value    string `xml:",chardata"`
			} `xml:"Amt>InstdAmt"`
			Text string `xml:"RmtInf>Ustrd"`
		} `xml:"CstmrCdtTrfInitn>PmtInf>CdtTrfTxInf"`
	}
	must(t, xml.Unmarshal(content, &file))
	var table strings.Builder
	for _, payment := range file.Payments {
		fmt.Fprintf(&table, "%s  %7s %s  %s\n", payment.ID, payment.Amount.Value, payment.Amount.Currency, payment.Text)
	}
	return table.String() + "CtrlSum   " + fmt.Sprintf("%7s\n", file.Sum)
}
