package leaks_test

import (
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/test/leaks"
)

func TestTheOutputOfTestsIsLookedAt(t *testing.T) {
	t.Parallel()
	const iban, password = "DE89" + "99999999" + "0000001042", "hunt" + "er2"
	said := strings.Join([]string{
		"=== RUN   TestConnects",
		"connecting to postgres://app:" + password + "@db/app",
		"--- PASS: TestConnects (0.00s)",
		"PASS",
		"ok  \texample.com/quiet\t0.1s",
		"=== RUN   TestPays/a_refund",
		"    pays_test.go:1: paid to " + iban,
		"--- FAIL: TestPays/a_refund (0.00s)",
		"FAIL\texample.com/loud\t0.1s",
		"?   \texample.com/empty\t[no test files]",
		"FAIL",
	}, "\n") + "\n"
	var passedOn strings.Builder
	scan := leaks.New()
	if err := scan.GoTest(strings.NewReader(said), &passedOn); err != nil {
		t.Fatal(err)
	}
	found := strings.Join(scan.Found(), "\n")
	for _, want := range []string{"a password of a test in output TestConnects", "in output TestPays/a_refund"} {
		if !strings.Contains(found, want) {
			t.Errorf("found\n%s\nand not %q", found, want)
		}
	}
	if strings.Contains(found, password) || strings.Contains(found, iban) {
		t.Errorf("what was found is repeated: %s", found)
	}
	_, rest, _ := strings.Cut(said, "ok  \t")
	want := "ok  \t" + rest
	if passedOn.String() != want {
		t.Errorf("passed on\n%s\nwant\n%s", passedOn.String(), want)
	}
}

func TestOutputWithoutSecretsIsClean(t *testing.T) {
	t.Parallel()
	scan := leaks.New()
	if err := scan.GoTest(strings.NewReader("ok  \texample.com/quiet\t0.1s"), &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	if found := scan.Found(); len(found) > 0 || scan.Looked("output") == 0 {
		t.Errorf("of %d lines, %q", scan.Looked("output"), found)
	}
}
