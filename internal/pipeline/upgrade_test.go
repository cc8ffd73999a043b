package pipeline_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/test/leaks"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// upgraded is a database that runs of an earlier version have filled, after today's migrations and with today's pipeline.
func upgraded(t *testing.T) *stage {
	t.Helper()
	s := &stage{T: t, database: testdb.New(t), exports: t.TempDir()}
	leaks.AtEnd(t, func(_ context.Context, scan *leaks.Scan) error { return scan.Files(s.exports) })
	dump, err := os.ReadFile("testdata/schema6.sql")
	s.must(err)
	s.sql(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, strings.ReplaceAll(string(dump), "/exports", s.exports))
		return err
	})
	books := filepath.Join(s.exports, "acme", "books")
	s.must(os.MkdirAll(books, 0o750))
	s.must(os.WriteFile(filepath.Join(books, ".ledgerport-destination"), []byte("MUAZULODNIATNQVSW2S6CMY2BF\n"), 0o600)) // the marker that the runs had
	database, err := claims.Open(t.Context(), claims.Options{URL: s.database, Source: "acme/monthly", Allowed: claims.Allowances{Insecure: true}})
	s.must(err)
	defer database.Close()
	s.must(database.Migrate(t.Context()))
	_, err = database.AcceptLedger(t.Context(), false) // as for every dump that is restored on another server
	s.must(err)
	return s
}

// statuses is how many claims the application sees in each state, of which book, and from which voucher to which.
func (s *stage) statuses() string {
	s.Helper()
	return s.text(`with organization as materialized (select set_config('ledgerport.organization_id', $1, false) as id)
		select coalesce(string_agg(line, '; ' order by line), '') from (
			select concat_ws(' ', state, book, run, reason, count(*), min(voucher), max(voucher)) as line
			from organization, ledgerport.claim_status where organization_id = id group by state, book, run, reason) as lines`, organization)
}

// bound is every claim that is bound to a run, in the order of its number.
func (s *stage) bound() string {
	s.Helper()
	return s.text(`select string_agg(run_id || ' ' || position || ' ' || claim_id || ' ' || voucher_number, ',' order by voucher_number) from ledgerport.exported_claims`)
}

// upTo is a task for claims that were approved before a day of October.
func upTo(t pipeline.Task, day int) pipeline.Task {
	t.Cutoff = time.Date(2026, time.October, day, 0, 0, 0, 0, time.UTC)
	return t
}

func TestADatabaseOfAnEarlierVersionKeepsWhatIsExported(t *testing.T) {
	t.Parallel()
	const (
		exported = "exported main monthly-2 4 E/2026/31 E/2026/34"
		held     = "held main monthly-4 NoLines 1"
	)
	s := upgraded(t)
	if got, want := s.statuses(), exported+"; exporting main monthly-4 3 E/2026/35 E/2026/37; "+held; got != want {
		t.Fatalf("after the migrations the application sees\n%s, want\n%s", got, want)
	}
	before, reversed := s.bound(), s.reversing()
	if n := strings.Count(reversed, ",") + 1; n != 30 {
		t.Errorf("%d vouchers are reversed or reversing, want those of 15 claims", n)
	}

	resumed := upTo(run(4), 16)
	resumed.Number = 2
	if outcome, err := s.attempt(resumed, nil); err != nil || !outcome.Committed || outcome.Result.Claims != 3 {
		t.Fatalf("the run that had reserved claims ended with %+v (%v)", outcome, err)
	}
	if got := s.bound(); got != before {
		t.Errorf("the claims are bound as\n%s, want\n%s", got, before)
	}
	// 8 claims were reversed and not exported since, and 7 are new; two have no lines.
	outcome, err := s.attempt(run(5), nil)
	if err != nil || outcome.Result.Claims != 15 || outcome.Result.Held != 2 || outcome.FirstVoucher != "E/2026/38" || outcome.LastVoucher != "E/2026/52" {
		t.Fatalf("the next run ended with %+v (%v)", outcome, err)
	}
	if got, want := s.statuses(), exported+"; exported main monthly-4 3 E/2026/35 E/2026/37; exported main monthly-5 15 E/2026/38 E/2026/52; held main monthly-5 NoLines 2"; got != want {
		t.Errorf("in the end the application sees\n%s, want\n%s", got, want)
	}
	if got := s.bound(); !strings.HasPrefix(got, before) || strings.Count(got, ",")+1 != 22 {
		t.Errorf("the claims are bound as\n%s", got)
	}
	if got := s.reversing(); got != reversed {
		t.Errorf("reversed and reversing vouchers are\n%s, want\n%s", got, reversed)
	}

	again := run(8)
	again.Type, again.Reverses = v1alpha1.RunReversal, "monthly-1"
	if _, err := s.attempt(again, nil); err == nil || !strings.Contains(err.Error(), "run monthly-1 is reversed by run back") {
		t.Errorf("a second reversal of monthly-1: %v", err)
	}
	back := run(6)
	back.Type, back.Reverses = v1alpha1.RunReversal, "monthly-2"
	if outcome, err := s.attempt(back, nil); err != nil || outcome.Result.Claims != 4 || outcome.FirstVoucher != "E/2026/53" {
		t.Errorf("the reversal of a run of the earlier version ended with %+v (%v)", outcome, err)
	}
	if outcome, err := s.attempt(run(7), nil); err != nil || outcome.Result.Claims != 4 || outcome.FirstVoucher != "E/2026/57" {
		t.Errorf("the run after it ended with %+v (%v)", outcome, err)
	}
}
