package command

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/leaks"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// TestDiffShowsWhatAChangeMakesOfTheClaims changes the sample's chart as a pull request would.
func TestDiffShowsWhatAChangeMakesOfTheClaims(t *testing.T) {
	t.Parallel()
	database, november := testdb.New(t), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	must(t, application.CreateTables(t.Context(), conn))
	_, err = application.Fill(t.Context(), conn, application.Content{
		OrganizationID: "3f2c9a1e-0000-4000-8000-000000000001", Claims: 20, Seed: 3, ApprovedFrom: november.AddDate(0, -1, 0), ApprovedTo: november,
	})
	must(t, err)
	must(t, conn.Close(t.Context()))
	migrate(t, database)
	sample, err := os.ReadFile("../config/samples/20_acme_csv.yaml")
	must(t, err)

	for name, test := range map[string]struct {
		old, new  string // in the sample
		arguments string
		want      []string
		without   string
		differ    bool
	}{
		"nothing differs where nothing was changed": {"", "", "--exit-code", []string{"acme/monthly: 0 claims differ, 20 are the same\n"}, "claim", false},
		"an account that is another one":            {`"4668"`, `"4669"`, "--exit-code", []string{"- 4668 debit ", "+ 4669 debit ", "acme/monthly: 7 claims differ, 13 are the same\n"}, "1600 credit", true},
		"a category that has no rule any more":      {"[mileage]", "[rides]", "--exit-code", []string{"- posted on 2026-", `+ held (Unmapped): line 1 with category "mileage" matches no rule`}, "", true},
		"only as many as are asked for":             {`"4668"`, `"4669"`, "--show 1", []string{"acme/monthly: 7 claims differ, 13 are the same\n", "6 claims that differ are not shown (--show)\n"}, "", false},
		"as JSON":                                   {`"4668"`, `"4669"`, "--show 1 -o json --exit-code", []string{`"acme/monthly": {`, `"different": 7`, `"same": 13`, `"claim": "`, `"4668 debit `, `"4669 debit `}, "", true},
		"of the first claims":                       {`"4668"`, `"4669"`, "--limit 1", []string{"acme/monthly: "}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := filepath.Join(t.TempDir(), "changed.yaml")
			if test.old != "" && !bytes.Contains(sample, []byte(test.old)) {
				t.Fatalf("the sample has no %s", test.old)
			}
			must(t, os.WriteFile(changed, bytes.ReplaceAll(sample, []byte(test.old), []byte(test.new)), 0o600))
			var out bytes.Buffer
			command := New(builtin.Registry())
			command.SetArgs(append([]string{"diff", "--allow-insecure-databases", "--database-url", database,
				"--before", "../config/samples/10_claims.yaml,../config/samples/20_acme_csv.yaml", "--after", "../config/samples/10_claims.yaml," + changed}, strings.Fields(test.arguments)...))
			command.SetOut(&out)
			err := command.ExecuteContext(t.Context())
			var told *ended
			if test.differ != errors.As(err, &told) || err != nil && told == nil || told != nil && told.code != exitDiffers {
				t.Errorf("it ended with %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, out.String())
				}
			}
			scan := leaks.New()
			scan.Lines("output", name, out.Bytes())
			for _, found := range scan.Found() {
				t.Error(found)
			}
			if test.without != "" && strings.Contains(out.String(), test.without+" ") {
				t.Errorf("it says %q:\n%s", test.without, out.String())
			}
		})
	}
}
