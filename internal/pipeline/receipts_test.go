package pipeline_test

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
)

const largestReceipt = 1 << 10

// receiptsOf is where the operator of a test with a directory of exports has receipts.
func receiptsOf(exports string) string { return filepath.Join(filepath.Dir(exports), "receipts") }

// askForReceipts lets the export deliver receipts that a table lists and a directory has, if it is to.
func askForReceipts(ctx context.Context, objects client.Client, policy v1alpha1.ReceiptPolicy) error {
	if policy == "" {
		return nil
	}
	key := types.NamespacedName{Namespace: "acme", Name: "monthly"}
	var export v1alpha1.AccountingExport
	var source v1alpha1.ClaimSource
	if err := errors.Join(objects.Get(ctx, key, &export), objects.Get(ctx, key, &source)); err != nil {
		return err
	}
	export.Spec.Receipts = policy
	source.Spec.Receipts = &v1alpha1.ReceiptsSource{Table: &v1alpha1.ReceiptsTable{}, Filesystem: &v1alpha1.ReceiptsFilesystem{Path: "scans"}}
	return errors.Join(objects.Update(ctx, &export), objects.Update(ctx, &source))
}

// newReceipts is a stage with a receipt of each line, and one of the first claim as a whole.
func newReceipts(t *testing.T, policy v1alpha1.ReceiptPolicy) *stage {
	t.Helper()
	s := newStage(t)
	s.listReceipts(policy)
	return s
}

// listReceipts lists a receipt of each line that there is, and one of the first claim as a whole.
func (s *stage) listReceipts(policy v1alpha1.ReceiptPolicy) {
	s.Helper()
	s.receipts = policy
	s.do(`CREATE TABLE public.receipts (claim_id uuid NOT NULL, line_no integer, key text NOT NULL, name text, media_type text, size bigint, sha256 text)`)
	s.do(`INSERT INTO public.receipts (claim_id, line_no, key, media_type) SELECT claim_id, line_no, claim_id || '/' || line_no, 'application/pdf' FROM public.claim_lines`)
	s.do(`INSERT INTO public.receipts (claim_id, key, name) SELECT id, 'whole', 'Approval.PNG' FROM public.claims ORDER BY approved_at, id LIMIT 1`)
	s.do(`CREATE INDEX ON public.receipts (claim_id)`)
	s.sql(func(ctx context.Context, conn *pgx.Conn) error {
		rows, _ := conn.Query(ctx, `SELECT key FROM public.receipts`) // the error comes with the rows
		keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, key := range keys {
			s.receipt(key, "receipt "+key)
		}
		return err
	})
}

func (s *stage) do(statement string, args ...any) {
	s.Helper()
	s.sql(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, statement, args...)
		return err
	})
}

func (s *stage) store(key string) string {
	return filepath.Join(receiptsOf(s.exports), "acme", "scans", filepath.FromSlash(key))
}

// receipt puts one into the store.
func (s *stage) receipt(key, content string) {
	s.Helper()
	s.must(os.MkdirAll(filepath.Dir(s.store(key)), 0o750))
	s.must(os.WriteFile(s.store(key), []byte(content), 0o600))
}

const ofRun = "acme/books/acme/monthly/monthly-1/"

// list reads the list of the receipts of the first run, and its manifest.
func (s *stage) list() (rows [][]string, manifest artifact.Manifest) {
	s.Helper()
	files := s.files()
	s.must(json.Unmarshal([]byte(files[ofRun+"manifest.json"].content), &manifest))
	list := files[ofRun+"receipts.csv"].content
	named := false
	for _, file := range manifest.Files {
		named = named || file.Name == "receipts.csv" && file.SHA256 == fmt.Sprintf("%x", sha256.Sum256([]byte(list)))
	}
	if !named {
		s.Errorf("the manifest does not name the list with its hash: %+v", manifest.Files)
	}
	rows, err := csv.NewReader(strings.NewReader(list)).ReadAll()
	s.must(err)
	return rows[1:], manifest
}

func TestReceiptsAreDeliveredUnderTheNumbersOfTheirVouchers(t *testing.T) {
	t.Parallel()
	s := newReceipts(t, v1alpha1.IncludeReceipts)
	receipts := s.text(`SELECT count(*)::text FROM public.receipts`)
	outcome, err := s.attempt(task(1), nil)
	if err != nil || fmt.Sprint(outcome.Result.Receipts) != receipts || outcome.Result.ReceiptsMissing != 0 {
		t.Fatalf("the run ended with %+v (%v), want %s receipts", outcome, err, receipts)
	}
	files := s.files()
	rows, manifest := s.list()
	if fmt.Sprint(len(rows)) != receipts || fmt.Sprint(manifest.Receipts.Delivered) != receipts || manifest.Receipts.List != "receipts.csv" {
		t.Errorf("%d receipts are listed, and the manifest says %+v, want %s", len(rows), manifest.Receipts, receipts)
	}
	for _, row := range rows {
		is := files[ofRun+row[0]].content
		key := row[2] + "/" + row[3]
		if row[3] == "0" {
			key = "whole"
		}
		if is != "receipt "+key || row[5] != fmt.Sprint(len(is)) || row[6] != fmt.Sprintf("%x", sha256.Sum256([]byte(is))) || !strings.HasPrefix(row[0], "receipts/"+row[1]+"/"+row[1]+"-") {
			t.Errorf("the row %q leads to %q, want the receipt %s with its size and hash", row, is, key)
		}
	}
	if first := rows[0][0]; first != "receipts/E-2026-1/E-2026-1-1.png" {
		t.Errorf("the first receipt is %s", first)
	}
}

func TestReceiptsThatAreMissingAreListed(t *testing.T) {
	t.Parallel()
	s := newReceipts(t, v1alpha1.IncludeReceipts)
	keys := strings.Split(s.text(`SELECT string_agg(key, ' ' ORDER BY key) FROM public.receipts WHERE line_no = 1`), " ")
	others := filepath.Join(receiptsOf(s.exports), "globex", "scans")
	s.must(os.MkdirAll(others, 0o750))
	s.must(os.WriteFile(filepath.Join(others, "1"), []byte("theirs"), 0o600))
	want := map[string]string{}
	for n, test := range []struct {
		problem string
		wrong   func(key string)
	}{
		{"missing", func(key string) { s.must(os.Remove(s.store(key))) }},
		{"missing", func(key string) { s.must(errors.Join(os.Remove(s.store(key)), os.Mkdir(s.store(key), 0o750))) }},
		{"missing", func(key string) { s.do(`UPDATE public.receipts SET key = '../../globex/scans/1' WHERE key = $1`, key) }},
		{"missing", func(key string) { s.do(`UPDATE public.receipts SET key = '/etc/passwd' WHERE key = $1`, key) }},
		{"missing", func(key string) { s.do(`UPDATE public.receipts SET key = 's3://other/' || key WHERE key = $1`, key) }},
		{"missing", func(key string) {
			s.do(`UPDATE public.receipts SET key = E'a\nb' WHERE key = $1`, key)
		}},
		{"too large", func(key string) { s.receipt(key, strings.Repeat("x", largestReceipt+1)) }},
		{"changed", func(key string) { s.do(`UPDATE public.receipts SET size = 1 WHERE key = $1`, key) }},
		{"changed", func(key string) {
			s.do(`UPDATE public.receipts SET sha256 = repeat('0', 64) WHERE key = $1`, key)
		}},
	} {
		test.wrong(keys[n])
		claim, _, _ := strings.Cut(keys[n], "/")
		want[claim] = test.problem
	}
	outcome, err := s.attempt(task(1), nil)
	if err != nil || outcome.Result.ReceiptsMissing != int64(len(want)) || outcome.Result.Claims != claimCount {
		t.Fatalf("the run ended with %+v (%v), want %d receipts that are missing", outcome, err, len(want))
	}
	rows, _ := s.list()
	for _, row := range rows {
		problem := want[row[2]]
		if row[3] != "1" {
			problem = ""
		}
		if row[7] != problem || (row[0] == "") != (problem != "") {
			t.Errorf("the row %q, want the problem %q", row, problem)
		}
	}
}

func TestAClaimThatLacksARequiredReceiptIsHeld(t *testing.T) {
	t.Parallel()
	s := newReceipts(t, v1alpha1.RequireReceipts)
	key := s.text(`SELECT key FROM public.receipts WHERE line_no = 1 ORDER BY key LIMIT 1`)
	claim, _, _ := strings.Cut(key, "/")
	s.must(os.Remove(s.store(key)))
	outcome, err := s.attempt(task(1), nil)
	if err != nil || outcome.Result.Claims != claimCount-1 || outcome.Result.Held != 1 || outcome.Result.ReceiptsMissing != 0 {
		t.Fatalf("the run ended with %+v (%v), want one claim held", outcome, err)
	}
	if held := s.text(`SELECT claim_id || ' ' || reason FROM ledgerport.held_claims`); held != claim+" ReceiptMissing" {
		t.Errorf("held is %s, want %s", held, claim)
	}
	s.receipt(key, "it is back")
	if outcome, err := s.attempt(run(2), nil); err != nil || outcome.Result.Claims != 1 || outcome.Result.Receipts == 0 {
		t.Errorf("the next run ended with %+v (%v), want the claim with its receipts", outcome, err)
	}
}

func TestAReceiptThatGoesMissingAfterItsClaimWasBoundEndsNoRunThatRequiresIt(t *testing.T) {
	t.Parallel()
	s := newReceipts(t, v1alpha1.RequireReceipts)
	key := s.text(`SELECT key FROM public.receipts WHERE line_no = 1 ORDER BY key LIMIT 1`)
	_, err := s.attempt(task(1), func(point failpoint.Point) {
		if point == failpoint.Record.After() {
			s.must(os.Remove(s.store(key)))
		}
	})
	if failure.From(err).Reason != v1alpha1.ReasonReceiptMissing || s.state(task(1).RunID) != "rendered" {
		t.Fatalf("the run is %s (%v)", s.state(task(1).RunID), err)
	}
	s.receipt(key, "it is back")
	if outcome, err := s.attempt(task(2), nil); err != nil || outcome.Result.Claims != claimCount || outcome.Result.ReceiptsMissing != 0 {
		t.Errorf("the resumed run ended with %+v (%v)", outcome, err)
	}
}

func TestPreviewsAndReversalsDeliverNoReceipts(t *testing.T) {
	t.Parallel()
	s := newReceipts(t, v1alpha1.IncludeReceipts)
	preview := task(1)
	preview.Type = v1alpha1.RunPreview
	outcome, err := s.attempt(preview, nil)
	if err != nil || outcome.Result.Claims != claimCount || outcome.Result.Receipts != 0 {
		t.Fatalf("the preview ended with %+v (%v)", outcome, err)
	}
	for name, file := range s.files() {
		var m artifact.Manifest
		if strings.HasSuffix(name, "manifest.json") {
			s.must(json.Unmarshal([]byte(file.content), &m))
			if m.Receipts == nil || m.Receipts.Listed == 0 || m.Receipts.List != "" {
				t.Errorf("the manifest of the preview says %+v", m.Receipts)
			}
		} else if strings.Contains(name, "receipts") {
			t.Errorf("the preview delivered %s", name)
		}
	}
	_, err = s.attempt(task(1), nil)
	s.must(err)
	before := len(s.files())
	reversal := run(2)
	reversal.Type, reversal.Reverses = v1alpha1.RunReversal, "monthly-1"
	outcome, err = s.attempt(reversal, nil)
	if err != nil || outcome.Result.Claims != claimCount || outcome.Result.Receipts != 0 || len(s.files()) != before+2 {
		t.Errorf("the reversal ended with %+v (%v), and there are %d files, want %d", outcome, err, len(s.files()), before+2)
	}
}

func TestEachVoucherOfAClaimHasTheReceiptsOfItsLines(t *testing.T) {
	t.Parallel()
	s := newReceipts(t, v1alpha1.IncludeReceipts)
	s.splitBy = []v1alpha1.VoucherSplit{v1alpha1.SplitByLine}
	outcome, err := s.attempt(task(1), nil)
	s.must(err)
	receipts := s.text(`SELECT count(*)::text FROM public.receipts`)
	rows, _ := s.list()
	if fmt.Sprint(len(rows)) != receipts || fmt.Sprint(outcome.Result.Receipts) != receipts {
		t.Fatalf("%d receipts are listed and %d delivered, want %s", len(rows), outcome.Result.Receipts, receipts)
	}
	lines := map[string]string{} // of each voucher
	for _, row := range rows {
		voucher, line := row[1], row[3]
		if line == "0" { // of the claim as a whole: with its first line
			line = "1"
		}
		if was, known := lines[voucher]; known && was != line {
			t.Errorf("the voucher %s has receipts of the lines %s and %s", voucher, was, line)
		}
		lines[voucher] = line
	}
	if int64(len(lines)) <= outcome.Result.Claims {
		t.Errorf("%d vouchers of %d claims have receipts, want one for each line", len(lines), outcome.Result.Claims)
	}
}

func TestARunWhoseSourceDoesNotSayAnyMoreWhereReceiptsAreWaits(t *testing.T) {
	t.Parallel()
	s := newReceipts(t, v1alpha1.IncludeReceipts)
	s.crash(task(1), failpoint.CopyReceipts.Before())
	s.receipts = ""
	_, err := s.attempt(task(2), nil)
	if failed := failure.From(err); failed.Reason != v1alpha1.ReasonInvalidSpec || !strings.Contains(failed.Message, "does not say any more where receipts are") {
		t.Fatalf("the resumed run ended with %v", err)
	}
	s.receipts = v1alpha1.IncludeReceipts
	if outcome, err := s.attempt(task(3), nil); err != nil || outcome.Result.ReceiptsMissing != 0 {
		t.Errorf("the run ended with %+v (%v)", outcome, err)
	}
}
