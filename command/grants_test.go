package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters/builtin"
)

// grants runs the command on a manifest and returns what it prints.
func grants(t *testing.T, manifest string, arguments ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	command := New(builtin.Registry())
	command.SetOut(&out)
	command.SetErr(&out)
	command.SetIn(strings.NewReader(manifest))
	command.SetArgs(append([]string{"grants", "-f", "-"}, arguments...))
	err := command.ExecuteContext(t.Context())
	return out.String(), err
}

const grantedSource = `{"apiVersion": "accounting.ledgerport.dev/v1alpha1", "kind": "ClaimSource", "metadata": {"name": "claims", "namespace": "acme"},
	"spec": {"postgres": {"connectionSecretRef": {"name": "db", "key": "url"}%s}}}`

func TestGrantsAreThoseOfTheSource(t *testing.T) {
	t.Parallel()
	of := func(more string) string { return strings.Replace(grantedSource, "%s", more, 1) }
	shipped := func(name string) string {
		content, err := os.ReadFile(filepath.Join("../config/postgres", name))
		must(t, err)
		return string(content)
	}
	said, err := grants(t, of(""))
	if err != nil || said != shipped("role.sql")+"\n"+shipped("managed.sql") {
		t.Errorf("for the default tables it prints %q, %v; want config/postgres", said, err)
	}
	said, err = grants(t, of(`, "manageSchema": false`))
	if err != nil || strings.Contains(said, "CREATE SCHEMA") || !strings.Contains(said, "config/postgres/migrated.sql") {
		t.Errorf("where the schema is not managed it prints %q, %v", said, err)
	}
	said, err = grants(t, of(`, "claims": {"table": "hr.expenses", "columns": {"id": "number"}}`), "--role", "its own")
	must(t, err)
	for _, words := range []string{"its own", "expenses", "number"} {
		if !strings.Contains(said, words) {
			t.Errorf("%q lacks %s", said, words)
		}
	}
	if strings.Contains(said, "ledgerport_operator") {
		t.Error("it grants to another role than was asked for")
	}
	if said, err := grants(t, of(`, "tables": 1`)); err == nil || strings.Contains(said, "GRANT") {
		t.Errorf("of a source that is refused it prints %q", said)
	}
	if _, err := grants(t, of(""), "--source", "other"); err == nil || !strings.Contains(err.Error(), "one is needed") {
		t.Errorf("of a source that is not among the files: %v", err)
	}
}
