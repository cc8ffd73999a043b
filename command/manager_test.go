package command

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/test/testdb"
)

func TestFlagsThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{
		{"manager", "--max-concurrent-runs=0"}, {"manager", "--max-concurrent-runs-per-namespace=-1"}, {"manager", "--longest-deadline=1s"},
		{"manager", "--max-unfinished-runs-per-export=0"}, {"manager", "--allowed-destination-types=ftp"}, {"manager", "--allowed-exporters=none"},
		{"manager", "--metrics-bind-address=:8443", "--metrics-authentication=false", "--profiling"}, {"manager", "--profiling"},
		{"manager", "extra"}, {"nonsense"}} {
		command := New(builtin.Registry())
		command.SetArgs(arguments)
		flag, _, _ := strings.Cut(arguments[len(arguments)-1], "=")
		if err := command.ExecuteContext(t.Context()); err == nil || strings.HasPrefix(flag, "--") && !strings.Contains(err.Error(), flag) {
			t.Errorf("%q: %v, want an error about it", arguments, err)
		}
	}
}

func TestEveryAddressOfTheAPIServerIsKnown(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	found := apiServer(t.Context(), &rest.Config{Host: "https://localhost:6443"})
	for _, want := range []string{"10.96.0.1:443", "127.0.0.1:6443"} {
		if !slices.Contains(found, netip.MustParseAddrPort(want)) {
			t.Errorf("%s is not among %s", want, found)
		}
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBERNETES_SERVICE_PORT", "")
	if found := apiServer(t.Context(), &rest.Config{Host: "https://[2001:db8::1]"}); !slices.Equal(found, []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::1]:443")}) {
		t.Errorf("outside of a cluster it is %s", found)
	}
}

func TestMigrateMakesTheSchemaAndIsRepeatable(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	for range 2 {
		var out bytes.Buffer
		command := New(builtin.Registry())
		command.SetOut(&out)
		command.SetArgs([]string{"migrate", "--allow-insecure-databases", "--database-url", url})
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
