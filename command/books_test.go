package command

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// readsBooks downloads and verifies the files of a run, and finds its vouchers and what is held.
func (p *person) readsBooks(t *testing.T) {
	directory := t.TempDir()
	var out string
	until(t, func(context.Context) (missing string) { // the API server has to know of the operator, and of the person's role
		var err error
		if out, _, err = p.does(t, "download", "october", "--into", directory); err != nil {
			return err.Error()
		}
		return ""
	})
	for _, name := range []string{"october.csv", "manifest.json"} {
		if content, err := os.ReadFile(filepath.Join(directory, name)); err != nil || len(content) == 0 || !strings.Contains(out, name) {
			t.Errorf("%s is not there: %v\n%s", name, err, out)
		}
	}
	if _, _, err := p.does(t, "download", "october", "--into", directory); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("over files that exist it ends with %v", err)
	}
	if _, _, err := p.does(t, "download", "october", "../october.csv"); err == nil || !strings.Contains(err.Error(), "has no file") {
		t.Errorf("a file that is none ends with %v", err)
	}
	csv, _, err := p.does(t, "download", "october", "october.csv", "--into", "-")
	must(t, err)
	if content, err := os.ReadFile(filepath.Join(directory, "october.csv")); err != nil || string(content) != csv {
		t.Errorf("standard output has %q, and the file %q (%v)", csv, content, err)
	}
	var done struct{ Items []downloaded }
	p.reads(t, &done, "download", "october", "manifest.json", "--into", t.TempDir())
	if len(done.Items) != 1 || done.Items[0].Name != "manifest.json" || filepath.Base(done.Items[0].Path) != "manifest.json" || len(done.Items[0].SHA256) != 64 {
		t.Errorf("programs are told of %+v", done.Items)
	}
	p.verifies(t, directory)

	var vouchers api.VoucherList
	p.reads(t, &vouchers, "vouchers", "october")
	if len(vouchers.Items) != 2 {
		t.Fatalf("vouchers %+v", vouchers.Items)
	}
	voucher := vouchers.Items[1]
	p.saysWhoApproved(t, voucher.Number)
	if out, _, err := p.does(t, "vouchers", "october", "--number", voucher.Number); err != nil || strings.Count(out, "\n") != 2 || !strings.Contains(out, voucher.Claim) {
		t.Errorf("the table of one voucher is (%v)\n%s", err, out)
	}
	for _, what := range []string{voucher.Number, voucher.Claim} {
		var way traced
		p.reads(t, &way, "trace", "monthly", what)
		found := false
		for _, exported := range way.Exported {
			found = found || exported.Voucher == voucher && exported.Run == "october" && exported.Location != "" && len(exported.Files) == 2 && exported.Type == v1alpha1.RunExport && exported.RequestedBy != "" && exported.ApprovedBy == "bob"
		}
		if !found {
			t.Errorf("the way of %s is %+v", what, way)
		}
	}
	if out, _, err := p.does(t, "trace", "monthly", "E/1999/1"); err != nil || !strings.Contains(out, "nothing is found") {
		t.Errorf("the way of no voucher is (%v)\n%s", err, out)
	}
	p.seesHeld(t)
}

// saysWhoApproved lets the run of October, which a voucher is of, have been approved.
func (p *person) saysWhoApproved(t *testing.T, number string) {
	t.Helper()
	var run v1alpha1.ExportRun
	must(t, p.cluster.Get(t.Context(), types.NamespacedName{Namespace: "acme", Name: "october"}, &run))
	run.Status.RequestedBy = "alice"
	run.Status.Approval = &v1alpha1.RunApproval{Digest: strings.Repeat("ab", 32), ApprovedBy: "bob"}
	must(t, p.cluster.Status().Update(t.Context(), &run))
	for _, command := range [][]string{{"runs", "monthly"}, {"trace", "monthly", number}} {
		if out, _, err := p.does(t, command...); err != nil || !strings.Contains(out, "APPROVED BY") || !strings.Contains(out, " bob ") {
			t.Errorf("%q says (%v)\n%s", command, err, out)
		}
	}
}

// reads has a command print JSON.
func (p *person) reads(t *testing.T, into any, arguments ...string) {
	t.Helper()
	out, told, err := p.does(t, append(arguments, "-o", "json")...)
	if err != nil {
		t.Fatalf("%q ends with %v, and tells\n%s", arguments, err, told)
	}
	must(t, json.Unmarshal([]byte(out), into))
}

func (p *person) verifies(t *testing.T, directory string) {
	t.Helper()
	if out, _, err := p.does(t, "verify", "october", directory); err != nil || strings.Count(out, "Same") != 2 {
		t.Errorf("the verification ends with %v\n%s", err, out)
	}
	must(t, os.WriteFile(filepath.Join(directory, "october.csv"), []byte("other"), 0o600))
	must(t, os.Remove(filepath.Join(directory, "manifest.json")))
	out, _, err := p.does(t, "verify", "october", directory, "-o", "yaml")
	if err == nil || !strings.Contains(out, "Differs") || !strings.Contains(out, "Missing") {
		t.Errorf("the verification of other files ends with %v\n%s", err, out)
	}
}

// seesHeld lets a claim be held whose message moves a cursor.
func (p *person) seesHeld(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.database)
	must(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), `insert into ledgerport.held_claims (organization_id, claim_table, claim_id, run_id, reason, message)
		select r.organization_id, (select min(id) from ledgerport.claim_tables), 'a claim', r.id, 'Unmapped', E'map \x1b[2J it' from ledgerport.runs r where name = 'october'`)
	must(t, err)
	out, _, err := p.does(t, "held", "monthly")
	if err != nil || !strings.Contains(out, "Unmapped") || !strings.Contains(out, "a claim") || strings.Contains(out, "\x1b") {
		t.Errorf("held claims are (%v)\n%s", err, out)
	}
	out, _, err = p.does(t, "trace", "monthly", "a claim")
	if err != nil || !strings.Contains(out, "Unmapped") {
		t.Errorf("the way of a held claim is (%v)\n%s", err, out)
	}
	_, err = conn.Exec(t.Context(), `delete from ledgerport.held_claims where claim_id = 'a claim'`)
	must(t, err)
}
