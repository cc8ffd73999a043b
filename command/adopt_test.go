package command

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/testdb"
)

func TestAdoptCommand(t *testing.T) {
	t.Parallel()
	database, november := testdb.New(t), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	must(t, application.CreateTables(t.Context(), conn))
	_, err = application.Fill(t.Context(), conn, application.Content{
		OrganizationID: "3f2c9a1e-0000-4000-8000-000000000001", Claims: 5, Seed: 3, ApprovedFrom: november.AddDate(0, -1, 0), ApprovedTo: november,
	})
	must(t, err)
	rows, err := conn.Query(t.Context(), `SELECT id::text FROM claims ORDER BY approved_at`)
	must(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	must(t, conn.Close(t.Context()))
	migrate(t, database)

	directory := t.TempDir()
	run := func(name string, arguments ...string) (string, error) {
		t.Helper()
		var out bytes.Buffer
		command := New(builtin.Registry())
		command.SetArgs(append([]string{name, "--allow-insecure-databases", "--database-url", database,
			"-f", "../config/samples/10_claims.yaml", "-f", "../config/samples/20_acme_csv.yaml"}, arguments...))
		command.SetOut(&out)
		command.SetErr(&out)
		err := command.ExecuteContext(t.Context())
		return out.String(), err
	}
	written := func(name, content string) string {
		path := filepath.Join(directory, name)
		must(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	booked := written("booked.csv", fmt.Sprintf("claim,voucher,date,note\n%s,2026-0117,2026-10-30,\n%s,2026-0118,2026-10-31,\"by hand, binder 7\"\n", ids[0], ids[1]))
	// As a spreadsheet of this country writes it.
	longer := written("longer.csv", fmt.Sprintf("\xef\xbb\xbfdate;claim;voucher\r\n2026-10-30;%s;2026-0117\r\n\r\n2026-10-31;%s;2026-0119\r\n", ids[0], ids[2]))

	for _, test := range []struct{ arguments, out, err string }{
		{"--claims " + booked + " --dry-run", "acme/monthly, book main: claims that would be adopted: 2, adopted before: 0; nothing was recorded\n", ""},
		{"--claims " + booked, "claims adopted: 2, by run adoption-", ""},
		{"--claims " + booked, "acme/monthly, book main: claims adopted: 0; adopted before: 2\n", ""},
		{"--claims " + longer + " --export acme/monthly", "claims adopted: 1, by run adoption-", ""},
		{"--claims " + booked + " --export yearly", "", "there are 0 such AccountingExports in the files"},
		{"--claims " + directory + "/none.csv", "", "no such file"},
		{"--claims -", "", "it is empty, or has no header"},
		{"", "", "at least one of the flags in the group [claims reverse] is required"},
		{"-f - --claims -", "", "cannot both be read from standard input"},
		{"--claims " + written("a.csv", "claim,voucher,date\nx,1,31.12.2025\n\"x\n"), "a.csv:2: date is \"31.12.2025\"; give a day such as 2025-12-31", "lines that are wrong: 2; nothing was adopted"},
		{"--claims " + written("b.csv", "claim,voucher,date\n\nx,1\n"+ids[3]+",1,2025-12-31\n"), "b.csv:3: it has 2 fields, and the header has 3", "lines that are wrong: 1;"},
		{"--claims " + written("c.csv", "claim,voucher\n"), "", "c.csv: the header lacks the column date"},
		{"--claims " + written("d.csv", "claim,voucher,date,voucher\n"), "", "the header has the column voucher twice"},
		{"--claims " + written("e.csv", "claim,voucher,date,amount\n"), "", `the header has the column "amount"`},
		{"--claims " + written("f.csv", "claim,voucher,date\n\""+strings.Repeat("x", 1<<20)), "", "a row has more than 65536 bytes; is a quote not closed?"},
		{"--reverse adoption-of-nothing", "", "no adoption acme/adoption-of-nothing"},
	} {
		out, err := run("adopt", strings.Fields(test.arguments)...)
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) || !strings.Contains(out, test.out) {
			t.Errorf("%s: %v, want %q; it printed\n%s", test.arguments, err, test.err, out)
		}
	}
	if out, err := run("render", "--output", t.TempDir()); err != nil || !strings.Contains(out, "acme/monthly: 2 claims, 0 held") {
		t.Errorf("%v; the next run has\n%s", err, out)
	}

	again := written("again.csv", "claim,voucher,date\n"+ids[1]+",2026-0200,2026-10-31\n")
	out, err := run("adopt", "--claims", again)
	name := regexp.MustCompile(`adopted by run acme/(adoption-[0-9a-f]{8}) as voucher "2026-0118" of 2026-10-31`).FindStringSubmatch(out)
	if err == nil || name == nil {
		t.Fatalf("%v; it printed\n%s", err, out)
	}
	out, err = run("adopt", "--reverse", name[1])
	if want := fmt.Sprintf("%q is reversed by \"%s-back\"; claims that are free for the next run: 2\n", name[1], name[1]); err != nil || out != want {
		t.Errorf("%v; it printed\n%s", err, out)
	}
	if out, err := run("adopt", "--reverse", name[1]); err == nil || !strings.Contains(err.Error(), "is reversed by run "+name[1]+"-back") {
		t.Errorf("a second reversal: %v; it printed\n%s", err, out)
	}
	if out, err := run("adopt", "--claims", again); err != nil || !strings.Contains(out, "claims adopted: 1, by run adoption-") {
		t.Errorf("%v; it printed\n%s", err, out)
	}
}
