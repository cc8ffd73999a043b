package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters/builtin"
)

func TestValidateEndsWithAnErrorWhereThereIsAProblem(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ stdin, arguments, out, err string }{
		{"", "-f ../config/samples", "resources are valid\n", ""},
		{"kind: ExportDestination\napiVersion: accounting.ledgerport.dev/v1alpha1\n", "-f -", "<stdin>:1: ExportDestination default/: ", " in 1 resource"},
		{"", "-f -", "", "there is no resource of Ledgerport in these files"},
		{"", "", "", `required flag(s) "filename" not set`},
		{"", "-f no-such-directory", "", "no-such-directory: no such file or directory"},
	} {
		var out bytes.Buffer
		command := New(builtin.Registry())
		command.SetArgs(append([]string{"validate"}, strings.Fields(test.arguments)...))
		command.SetIn(strings.NewReader(test.stdin))
		command.SetOut(&out)
		err := command.ExecuteContext(t.Context())
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) || !strings.Contains(out.String(), test.out) {
			t.Errorf("%s: %v, want %q; it printed\n%s", test.arguments, err, test.err, out.String())
		}
	}
}
