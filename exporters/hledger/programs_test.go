package hledger

import (
	"bytes"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"

	"github.com/ledgerport/ledgerport/ledger"
)

// program is one that reads the files: how it checks one, and what it says the balances of its accounts are at cost.
type program struct {
	name, format string
	check        []string
	balances     []string // rows of account and amount
	separator    string   // of the rows; empty is CSV
	debian       string   // package
}

const file = "FILE"

var programs = []program{
	{
		name: "hledger", format: "hledger", debian: "hledger",
		check:    []string{"hledger", "-f", file, "check", "--strict"},
		balances: []string{"hledger", "-f", file, "balance", "-B", "--flat", "-E", "-N", "-O", "csv"},
	},
	{
		name: "ledger", format: "hledger", debian: "ledger",
		check:    []string{"ledger", "--args-only", "-f", file, "--pedantic", "balance"},
		balances: []string{"ledger", "--args-only", "-f", file, "balance", "-B", "--flat", "-E", "--no-total", "--format", "%(account)|%(display_total)\n"}, separator: "|",
	},
	{
		name: "beancount", format: beancountFormat, debian: "beancount",
		check:    []string{"bean-check", file},
		balances: []string{"bean-query", "-f", "csv", "-m", file, "select account, sum(number(weight)) group by account"}, separator: ",",
	},
}

// run runs a program of Debian on a file.
func (p *program) run(t testing.TB, command []string, content []byte) string {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("there is no %s: install Debian's package %s", command[0], p.debian)
		}
		t.Skipf("there is no %s: install Debian's package %s to check the files with it", command[0], p.debian)
	}
	path := filepath.Join(t.TempDir(), "vouchers")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, arg := range command[1:] {
		args = append(args, strings.ReplaceAll(arg, file, path))
	}
	run := exec.CommandContext(t.Context(), command[0], args...)
	run.Env = append(os.Environ(), "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
	var complaints bytes.Buffer
	run.Stderr = &complaints
	out, err := run.Output()
	if err != nil || strings.TrimSpace(complaints.String()) != "" {
		t.Fatalf("%s: %v\n%s%s", strings.Join(command, " "), err, out, complaints.String())
	}
	return string(out)
}

// balancesOf reads the balances that a program prints.
func (p *program) balancesOf(t testing.TB, content []byte, currency ledger.Currency) map[string]ledger.Amount {
	t.Helper()
	balances := map[string]ledger.Amount{}
	for _, row := range p.rows(t, p.run(t, p.balances, content)) {
		account, text := strings.TrimSpace(row[0]), strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(row[1]), currency.Code()))
		var exact apd.Decimal
		if _, _, err := exact.SetString(text); err != nil {
			if account == "account" {
				continue // a header
			}
			t.Fatalf("%s: the account %q has %q: %v", p.name, account, row[1], err)
		}
		// Beancount keeps the price of one unit, to 28 digits: its sums are off by what that leaves.
		amount, err := ledger.RoundAmount(&exact, currency)
		if err != nil {
			t.Fatal(err)
		}
		if amount != 0 {
			balances[account] = amount
		}
	}
	return balances
}

func (p *program) rows(t testing.TB, out string) (rows [][]string) {
	t.Helper()
	if p.separator == "" {
		rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	for line := range strings.Lines(out) {
		account, amount, _ := strings.Cut(line, p.separator)
		rows = append(rows, []string{account, amount})
	}
	return rows
}
