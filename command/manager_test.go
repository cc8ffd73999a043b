package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/test/testdb"
)

func TestFlagsThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{{"manager", "--max-concurrent-runs=0"}, {"manager", "extra"}, {"nonsense"}} {
		command := New(builtin.Registry())
		command.SetArgs(arguments)
		if err := command.ExecuteContext(t.Context()); err == nil {
			t.Errorf("%q was taken", arguments)
		}
	}
}

func TestMigrateMakesTheSchemaAndIsRepeatable(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	for range 2 {
		var out bytes.Buffer
		command := New(builtin.Registry())
		command.SetOut(&out)
		command.SetArgs([]string{"migrate", "--database-url", url})
		must(t, command.ExecuteContext(t.Context()))
		if !strings.HasPrefix(out.String(), "schema ledgerport is at version ") {
			t.Errorf("it says %q", out.String())
		}
	}
	command := New(builtin.Registry())
	command.SetArgs([]string{"migrate", "--database-url", "mysql://root:hunter2@db/claims"})
	if err := command.ExecuteContext(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong URL: %v, want an error without the password", err)
	}
}

func TestVersionIsPrinted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	command := New(builtin.Registry())
	command.SetOut(&out)
	command.SetArgs([]string{"version"})
	must(t, command.ExecuteContext(t.Context()))
	if !strings.HasPrefix(out.String(), "ledgerport ") {
		t.Errorf("it says %q", out.String())
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
