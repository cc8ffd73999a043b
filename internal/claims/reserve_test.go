package claims_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestReserve_ReadsOnlyWhatTheRunMayTake(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	add := func(n int, organization, status string, approved any) {
		f.sql(`INSERT INTO claims (id, organization_id, claimant_id, status, approved_at, currency) VALUES ($1, $2, 'E1', $3, $4, 'NOK')`, id(n), organization, status, approved)
	}
	add(1, acme, "approved", cutoff.Add(-time.Microsecond))
	add(2, acme, "approved", cutoff)
	add(3, acme, "approved", nil)
	add(4, acme, "draft", before)
	add(5, globex, "approved", before)
	add(7, acme, "approved", before)
	add(6, acme, "approved", before)
	database := f.open(v1alpha1.PostgresSource{})
	got, _ := f.takeAll(f.reserve(database, f.start(database, attemptOf("1"))), year2026)
	if want := []string{id(6), id(7), id(1), id(3)}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: approved claims of the organisation before the cutoff, by approval and id, and behind them what was approved at no time", got, want)
	}
}

func TestReserve_TakesEachClaimOnceAndNumbersEachFiscalYear(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	for n := 1; n <= 5; n++ {
		f.claim(n, 2)
	}
	years := map[string]int{id(1): 2026, id(2): 2025, id(3): 2026, id(4): 0, id(5): 2026}
	yearOf := func(claim *ledger.Claim) int { return years[claim.ID] }
	database := f.open(v1alpha1.PostgresSource{})
	run, taken := f.reserveAll(database, attemptOf("1"), yearOf)
	if want := []string{id(1), id(2), id(3), id(5)}; !slices.Equal(taken, want) {
		t.Fatalf("took %v, want %v", taken, want)
	}
	wantNumbers := []number{{FiscalYear: 2026, Number: 1}, {FiscalYear: 2025, Number: 1}, {FiscalYear: 2026, Number: 2}, {FiscalYear: 2026, Number: 3}}
	f.mustHaveVouchers(database, run, taken, wantNumbers)
	f.must(database.MarkDelivered(t.Context(), run.Fence(), "file:///x"))
	f.must(database.Commit(t.Context(), run.Fence()))

	// The next run finds the held claim, now mapped, and a new one; the numbers go on.
	f.claim(6, 1)
	years[id(4)], years[id(6)] = 2026, 2025
	run, taken = f.reserveAll(database, attemptOf("2"), yearOf)
	if want := []string{id(4), id(6)}; !slices.Equal(taken, want) {
		t.Fatalf("the second run took %v, want %v", taken, want)
	}
	f.mustHaveVouchers(database, run, taken, []number{{FiscalYear: 2026, Number: 4}, {FiscalYear: 2025, Number: 2}})
	if n := f.count(`SELECT count(*) FROM ledgerport.held_claims`); n != 0 {
		t.Errorf("%d claims are still held", n)
	}
}

// number is the number of a voucher in a fiscal year.
type number struct {
	FiscalYear int
	Number     int64
}

// mustHaveVouchers insists that a resumed run reads the vouchers of these claims, in this order, with these numbers, and
// that the tables say the same.
func (f *fixture) mustHaveVouchers(database *claims.Database, run claims.Run, ids []string, numbers []number) {
	f.Helper()
	vouchers, err := database.Vouchers(f.ctx, run.Fence())
	f.must(err)
	var got ledger.Voucher
	for i, want := range numbers {
		f.must(vouchers.Next(f.ctx, &got))
		if got.ClaimID != ids[i] || got.FiscalYear != want.FiscalYear || got.Number != want.Number || len(got.Postings) != 2 {
			f.Errorf("voucher %d is %+v, want claim %s under %d/%d", i, got, ids[i], want.FiscalYear, want.Number)
		}
		if n := f.count(`SELECT count(*) FROM ledgerport.vouchers WHERE claim_id = $1 AND position = $2 AND fiscal_year = $3 AND voucher_number = $4 AND run_id = $5`,
			ids[i], i+1, want.FiscalYear, want.Number, run.ID); n != 1 && len(numbers) < 100 {
			f.Errorf("voucher %d of claim %s is %d times in the view", i, ids[i], n)
		}
	}
	if err := vouchers.Next(f.ctx, &got); !errors.Is(err, io.EOF) {
		f.Errorf("after the last voucher: %v, want EOF", err)
	}
}

func TestReserve_SaysTheNumberBeforeItIsTaken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claim(1, 1)
	f.sql(`INSERT INTO ledgerport.voucher_numbers VALUES ($1, 'E', 2026, 17), ($1, 'X', 2026, 99), ($2, 'E', 2026, 55)`, acme, globex)
	database := f.open(v1alpha1.PostgresSource{})
	reservation := f.reserve(database, f.start(database, attemptOf("1")))
	claim, err := reservation.Next(t.Context())
	f.must(err)
	if got := reservation.NextNumber(2026); got != 17 {
		t.Errorf("the next number is %d, want 17", got)
	}
	f.must(reservation.Take(t.Context(), one(voucher(claim, 2026, 17))))
	if got := []int64{reservation.NextNumber(2026), reservation.NextNumber(2025)}; !slices.Equal(got, []int64{18, 1}) {
		t.Errorf("the next numbers are %d, want 18 and, in a new year, 1", got)
	}
	if err := reservation.Take(t.Context(), one(voucher(claim, 2026, 18))); err == nil {
		t.Error("a claim was taken twice")
	}
}

func TestReserve_CountsAndSumsIndependently(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claim(1, 3) // 125 + 250 + 375
	f.claim(2, 1)
	f.claim(3, 1)
	f.sql(`UPDATE claims SET currency = 'JPY' WHERE id = $1`, id(2))
	f.sql(`INSERT INTO claims (id, organization_id, claimant_id, status, approved_at, currency) VALUES ($1, $2, 'E1', 'approved', $3, 'NOK')`, id(4), acme, before)
	database := f.open(v1alpha1.PostgresSource{})
	reservation := f.reserve(database, f.start(database, attemptOf("1")))
	f.takeAll(reservation, func(claim *ledger.Claim) int {
		if claim.ID == id(3) {
			return 0
		}
		return 2026
	})
	got, err := reservation.Totals(t.Context())
	f.must(err)
	want := ledger.Totals{Claims: 3, Lines: 4, Currencies: []ledger.CurrencyTotal{
		{Currency: "JPY", Claims: 1, Lines: 1, Gross: 125}, {Currency: "NOK", Claims: 2, Lines: 3, Gross: 75000},
	}}
	if !got.Equal(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestReserve_WithNothingApprovedReservesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	database := f.open(v1alpha1.PostgresSource{})
	run := f.start(database, attemptOf("1"))
	reservation := f.reserve(database, run)
	if _, err := reservation.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v, want EOF", err)
	}
	totals, err := reservation.Totals(t.Context())
	f.must(err)
	if !totals.Equal(ledger.Totals{}) {
		t.Errorf("totals of nothing are %+v", totals)
	}
	f.must(reservation.Commit(t.Context(), claims.Rendered{Manifest: []byte(`{}`)}))
	f.must(database.MarkDelivered(t.Context(), run.Fence(), ""))
	f.must(database.Commit(t.Context(), run.Fence()))
}

func TestReserve_KeepsHeldClaimsOnRecord(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(3)
	database := f.open(v1alpha1.PostgresSource{})
	holdAll := func(*ledger.Claim) int { return 0 }
	run, _ := f.reserveAll(database, attemptOf("1"), holdAll)
	f.must(database.Release(t.Context(), run.Fence(), "test"))
	f.sql(`UPDATE ledgerport.held_claims SET held_since = '2020-01-01'`)
	f.sql(`UPDATE claims SET status = 'withdrawn' WHERE id = $1`, id(3))

	f.reserveAll(database, attemptOf("2"), holdAll)
	if n := f.count(`SELECT count(*) FROM ledgerport.held_claims WHERE held_since = '2020-01-01' AND run_id = '2' AND reason = 'Unmapped' AND message = 'map it'`); n != 2 {
		t.Errorf("%d claims are held since they first were, want 2", n)
	}
	if n := f.count(`SELECT count(*) FROM ledgerport.held_claims`); n != 2 {
		t.Errorf("%d claims are held, want 2: the withdrawn one is settled", n)
	}
}

func TestReserve_KeepsTheHoldsOfClaimsThatItDidNotLookAt(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(3)
	database := f.open(v1alpha1.PostgresSource{})
	holdAll := func(*ledger.Claim) int { return 0 }
	holding := attemptOf("1")
	holding.Inputs = []byte(`{"source": "acme/source"}`)
	run, _ := f.reserveAll(database, holding, holdAll)
	f.must(database.Release(t.Context(), run.Fence(), "test"))

	for name, change := range map[string]func(*claims.Attempt){
		"an earlier cutoff":   func(attempt *claims.Attempt) { attempt.Cutoff = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) },
		"another ClaimSource": func(attempt *claims.Attempt) { attempt.Inputs = []byte(`{"source": "acme/other"}`) },
	} {
		later := holding
		later.ID = strings.ReplaceAll(name, " ", "-")
		later.Name = later.ID
		change(&later)
		run := f.start(database, later)
		reservation := f.reserve(database, run)
		f.must(reservation.Commit(t.Context(), claims.Rendered{Manifest: []byte(`{}`)}))
		reservation.Rollback()
		f.must(database.Release(t.Context(), run.Fence(), "test"))
		if n := f.count(`SELECT count(*) FROM ledgerport.held_claims WHERE run_id = '1'`); n != 3 {
			t.Errorf("after a run with %s %d claims are recorded as held, want 3", name, n)
		}
	}
}

func TestReserve_ManyBatchesOfTakenAndHeldClaims(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	const n = 20_000
	f.claimRange(n)
	f.sql(`VACUUM ANALYZE ledgerport.exported_claims`) // the planner now takes for empty what grows under its query
	database := f.open(v1alpha1.PostgresSource{})
	odd := false
	run, taken := f.reserveAll(database, attemptOf("1"), func(*ledger.Claim) int {
		if odd = !odd; odd {
			return 0
		}
		return 2026
	})
	if len(taken) != n/2 || f.count(`SELECT count(*) FROM ledgerport.held_claims`) != n/2 {
		t.Fatalf("took %d claims of %d, half of which are to be held", len(taken), n)
	}
	want := make([]number, n/2)
	for i := range want {
		want[i] = number{FiscalYear: 2026, Number: int64(i + 1)}
	}
	f.mustHaveVouchers(database, run, taken, want)
}

func TestReserve_OfTwoRunsAtOnceOnlyOneGetsAClaim(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(10)
	one, two := f.open(v1alpha1.PostgresSource{}), f.open(v1alpha1.PostgresSource{})
	other := attemptOf("2")
	other.Series = "F"
	first, second := f.reserve(one, f.start(one, attemptOf("1"))), f.reserve(two, f.start(two, other))
	taken, _ := f.takeAll(first, year2026)
	f.takeAll(second, year2026) // the same claims: neither sees the other
	f.must(first.Commit(t.Context(), rendered(taken, 0)))
	err := second.Commit(t.Context(), rendered(taken, 0))
	mustFail(t, err, v1alpha1.ReasonReservationConflict)
	second.Rollback()
	if n := f.count(`SELECT count(*) FROM ledgerport.exported_claims WHERE run_id = '1'`); n != 10 {
		t.Errorf("run 1 has %d claims, want all", n)
	}
	if n := f.count(`SELECT count(*) FROM ledgerport.exported_claims WHERE run_id = '2'`); n != 0 {
		t.Errorf("run 2 has %d claims, want none", n)
	}
}

func TestReserve_AnOlderAttemptChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(10)
	stale, fresh := f.open(v1alpha1.PostgresSource{}), f.open(v1alpha1.PostgresSource{})
	old := f.start(stale, attemptOf("1"))
	reservation := f.reserve(stale, old)
	taken, held := f.takeAll(reservation, year2026)
	if run := f.start(fresh, attemptOf("1")); run.Attempt != 2 || run.State != claims.StateStarted {
		t.Fatalf("the second attempt is %d in state %s", run.Attempt, run.State)
	}
	// Its session was ended, so that the second attempt need not wait for its locks.
	mustFail(t, reservation.Commit(t.Context(), rendered(taken, held)), v1alpha1.ReasonDatabaseUnreachable)
	reservation.Rollback()
	if n := f.count(`SELECT count(*) FROM ledgerport.exported_claims`) + f.count(`SELECT count(*) FROM ledgerport.voucher_numbers`); n != 0 {
		t.Errorf("%d rows remain of the older attempt", n)
	}
	_, err := stale.Reserve(t.Context(), old.Fence(), claims.Selection{})
	mustFail(t, err, v1alpha1.ReasonFenced)
}

// deadlineAtWill is a context whose deadline passes when a test wants it to.
type deadlineAtWill struct {
	context.Context
	passed chan struct{}
}

func withDeadlineAtWill(parent context.Context) (context.Context, context.CancelFunc) {
	ctx := deadlineAtWill{parent, make(chan struct{})}
	return ctx, sync.OnceFunc(func() { close(ctx.passed) })
}

func (d deadlineAtWill) Done() <-chan struct{} { return d.passed }

func (d deadlineAtWill) Err() error {
	select {
	case <-d.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestReserve_WhenTheContextEndsLeavesNoBackendAndNoRows(t *testing.T) {
	t.Parallel()
	for name, ending := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancelled": context.WithCancel,
		"deadline":  withDeadlineAtWill,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			f.claimRange(60_000)
			database := f.open(v1alpha1.PostgresSource{})
			run := f.start(database, attemptOf("1"))
			ctx, end := ending(t.Context())
			defer end()
			reservation, err := database.Reserve(ctx, run.Fence(), claims.Selection{})
			f.must(err)
			for n := 0; err == nil; n++ {
				if n == 10_000 { // in the middle
					end()
				}
				var claim *ledger.Claim
				if claim, err = reservation.Next(ctx); err == nil {
					err = reservation.Take(ctx, one(voucher(claim, 2026, reservation.NextNumber(2026))))
				}
			}
			if _, err := reservation.Next(ctx); !errors.Is(err, ctx.Err()) {
				t.Errorf("reading on returns %v, want %v", err, ctx.Err())
			}
			if err := reservation.Commit(ctx, claims.Rendered{}); !errors.Is(err, ctx.Err()) {
				t.Errorf("committing returns %v, want %v", err, ctx.Err())
			}
			reservation.Rollback()
			database.Close()
			f.noBackends()
			if n := f.count(`SELECT count(*) FROM ledgerport.exported_claims`); n != 0 {
				t.Errorf("%d claims are reserved", n)
			}
		})
	}
}

// noBackends waits until the server has no connection of ours in this database.
func (f *fixture) noBackends() {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for f.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'ledgerport%'`) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.Fatal("the server still has backends of a run that was given up")
		}
	}
}

func TestReserve_AClaimThatIsNotReadToItsEndHarmsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(30_000)
	database := f.open(v1alpha1.PostgresSource{})
	run := f.start(database, attemptOf("1"))
	reservation := f.reserve(database, run)
	_, err := reservation.Next(t.Context())
	f.must(err)
	reservation.Rollback()
	// The same Database goes on working.
	got, _ := f.takeAll(f.reserve(database, run), year2026)
	if len(got) != 30_000 {
		t.Errorf("read %d claims", len(got))
	}
}
