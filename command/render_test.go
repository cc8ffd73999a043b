package command

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/leaks"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// TestMain lets the program of these tests be the command under the names by which kubectl finds it on the PATH.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); name == plugin || name == completer {
		Main()
		return
	}
	os.Exit(m.Run())
}

// TestRenderWritesWhatItIsAskedFor returns the command's flags, with twenty claims of October in the database.
func TestRenderWritesWhatItIsAskedFor(t *testing.T) {
	t.Parallel()
	database, november := testdb.New(t), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	must(t, application.CreateTables(t.Context(), conn))
	_, err = application.Fill(t.Context(), conn, application.Content{
		OrganizationID: "3f2c9a1e-0000-4000-8000-000000000001", Claims: 20, Seed: 3, ApprovedFrom: november.AddDate(0, -1, 0), ApprovedTo: november,
	})
	must(t, err)
	december := november.AddDate(0, 1, 0)
	_, err = application.Fill(t.Context(), conn, application.Content{
		OrganizationID: "3f2c9a1e-0000-4000-8000-000000000004", Claims: 1, Seed: 4, UnmappedEvery: 1, Currency: "NOK", ApprovedFrom: november, ApprovedTo: december,
	})
	must(t, err)
	must(t, conn.Close(t.Context()))
	migrate(t, database)

	const samples = "-f ../config/samples/10_claims.yaml -f ../config/samples/20_acme_csv.yaml "
	for _, test := range []struct {
		arguments, out, err, file string
	}{
		{samples, "acme/monthly: 20 claims, 0 held, ", "", "acme/monthly/monthly/monthly.csv"},
		{samples + "--export acme/monthly --limit 7", "acme/monthly: 7 claims, 0 held, ", "", "acme/monthly/monthly/monthly.csv"},
		{samples + "--export monthly --run-name monthly-29691000", "acme/monthly: 20 claims, ", "", "acme/monthly/monthly-29691000/monthly-29691000.csv"},
		{samples + "--cutoff 2026-10-01T00:00:00Z", "acme/monthly: 0 claims, 0 held, 0.00 EUR, nothing to deliver", "", ""},
		// docs/cli.md: render writes what the next run would deliver. Where that is nothing it says why.
		{"-f ../config/samples/10_claims.yaml -f ../config/samples/50_fjelltopp_gbat10.yaml --cutoff 2026-12-01T00:00:00Z", `(Unmapped): line 1 with category "gifts" matches no rule; add a rule to the chart of accounts`, "", ""},
		{"-f ../config/samples/10_claims.yaml -f ../config/samples/50_fjelltopp_gbat10.yaml --cutoff 2026-12-01T00:00:00Z", `fjelltopp/monthly: 0 claims, 1 held (1 Unmapped), `, "", ""},
		{samples + "--cutoff yesterday", "", `--cutoff is "yesterday"; give a time such as`, ""},
		{samples + "--export yearly", "", "there is no such AccountingExport in the files", ""},
		{"-f ../config/samples/20_acme_csv.yaml", "spec.sourceRef: ClaimSource expenses/claims is not among the files", "1 problem in ", ""},
	} {
		output := t.TempDir()
		leaks.AtEnd(t, func(_ context.Context, scan *leaks.Scan) error { return scan.Files(output) })
		var out bytes.Buffer
		command := New(builtin.Registry())
		command.SetArgs(append([]string{"render", "--allow-insecure-databases", "--database-url", database, "--output", output}, strings.Fields(test.arguments)...))
		command.SetOut(&out)
		err := command.ExecuteContext(t.Context())
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) || !strings.Contains(out.String(), test.out) {
			t.Errorf("%s: %v, want %q; it printed\n%s", test.arguments, err, test.err, out.String())
		}
		if test.file == "" {
			continue
		}
		if content, err := os.ReadFile(filepath.Join(output, "_preview", filepath.FromSlash(test.file))); err != nil || len(content) == 0 {
			t.Errorf("%s: %d bytes in %s (%v)", test.arguments, len(content), test.file, err)
		}
	}
}

// TestRenderBeforeTheFirstMigrationNamesIt has claims to render, and no ledger that says which of them were exported.
func TestRenderBeforeTheFirstMigrationNamesIt(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	must(t, application.CreateTables(t.Context(), conn))
	must(t, conn.Close(t.Context()))
	var out bytes.Buffer
	render := New(builtin.Registry())
	render.SetArgs([]string{"render", "--allow-insecure-databases", "--database-url", database, "--output", t.TempDir(),
		"-f", "../config/samples/10_claims.yaml", "-f", "../config/samples/20_acme_csv.yaml"})
	render.SetOut(&out)
	err = render.ExecuteContext(t.Context())
	if err == nil || !strings.Contains(err.Error()+out.String(), `run "ledgerport migrate"`) || strings.Contains(out.String(), "nothing to deliver") {
		t.Errorf("it ends with %v, and prints %q", err, &out)
	}
}

// TestKubectlFindsTheCommandAsItsPlugin lets a real kubectl run it.
func TestKubectlFindsTheCommandAsItsPlugin(t *testing.T) {
	t.Parallel()
	assets, err := environment.ControlPlaneAssets(t.Context(), os.Stderr)
	must(t, err)
	kubectl, found := environment.Kubectl(assets)
	if !found {
		t.Skip("there is no kubectl beside the control plane (KUBEBUILDER_ASSETS) or on the PATH")
	}
	program, err := os.Executable()
	must(t, err)
	directory := t.TempDir()
	must(t, os.Symlink(program, filepath.Join(directory, plugin)))
	command := exec.CommandContext(t.Context(), kubectl, "ledgerport", "validate", "-f", "../config/samples") // #nosec G204 -- a path that the environment chose
	command.Env = append(os.Environ(), "PATH="+directory+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "resources are valid") {
		t.Errorf("kubectl ledgerport ended with %v and printed\n%s", err, out)
	}
}

// migrate makes the schema of the ledger in a database.
func migrate(t *testing.T, database string) {
	t.Helper()
	opened, err := claims.Open(t.Context(), claims.Options{URL: database, Allowed: claims.Allowances{Insecure: true}})
	must(t, err)
	defer opened.Close()
	must(t, opened.Migrate(t.Context()))
}
