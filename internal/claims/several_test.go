package claims_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
)

// reserveSeveral takes every claim with three vouchers, the second of which is of the year before.
func (f *fixture) reserveSeveral(database *claims.Database, attempt claims.Attempt) claims.Run {
	f.Helper()
	run := f.start(database, attempt)
	reservation := f.reserve(database, run)
	var taken []string
	for {
		claim, err := reservation.Next(f.ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		f.must(err)
		vouchers := []ledger.Voucher{*voucher(claim, 2026, 0), *voucher(claim, 2025, 0), *voucher(claim, 2026, 0)}
		reservation.Number(vouchers)
		f.must(reservation.Take(f.ctx, vouchers))
		taken = append(taken, claim.ID)
	}
	f.must(reservation.Commit(f.ctx, rendered(taken, 0)))
	reservation.Rollback()
	return run
}

// conclude commits a run that is rendered.
func (f *fixture) conclude(database *claims.Database, run claims.Run) {
	f.Helper()
	f.must(database.MarkDelivered(f.ctx, run.Fence(), ""))
	f.must(database.Commit(f.ctx, run.Fence()))
}

// reverseRun reverses every voucher of a run.
func (f *fixture) reverseRun(database *claims.Database, attempt claims.Attempt) claims.Run {
	f.Helper()
	run := f.start(database, attempt)
	reversal, err := database.Reverse(f.ctx, run.Fence(), nil)
	f.must(err)
	defer reversal.Rollback()
	var voucher ledger.Voucher
	var taken []string
	for {
		_, err := reversal.Next(f.ctx, &voucher)
		if errors.Is(err, io.EOF) {
			break
		}
		f.must(err)
		voucher.Number = reversal.NextNumber(voucher.FiscalYear)
		f.must(reversal.Take(f.ctx, &voucher))
		taken = append(taken, voucher.ClaimID)
	}
	f.must(reversal.Commit(f.ctx, rendered(taken, 0)))
	return run
}

// texts returns texts that a query has.
func (f *fixture) texts(query string, arguments ...any) []string {
	f.Helper()
	rows, _ := f.conn.Query(f.ctx, query, arguments...) // the error comes with the rows
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	f.must(err)
	return found
}

const (
	allVouchers = `SELECT concat_ws(' ', position, right(claim_id, 1), fiscal_year || '/' || voucher_number, reverses, reversed_by) FROM ledgerport.vouchers WHERE run_id = $1 ORDER BY position`
	seenByApp   = `SELECT concat_ws(' ', right(claim_id, 1), state, voucher, vouchers::text) FROM ledgerport.claim_status, set_config('ledgerport.organization_id', $1, false) ORDER BY 1`
)

func TestAClaimIsBoundWithAllOfItsVouchers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(2)
	database := f.open(v1alpha1.PostgresSource{})
	want := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}

	given := f.reserveSeveral(database, attemptOf("1"))
	f.must(database.Release(f.ctx, given.Fence(), "a test"))
	want("vouchers of a run that was given back", f.texts(allVouchers, "1"))
	want("voided numbers", f.texts(`SELECT fiscal_year || ' ' || first || '-' || last FROM ledgerport.voided_vouchers ORDER BY fiscal_year`), "2025 1-2", "2026 1-4")

	run := f.reserveSeveral(database, attemptOf("2"))
	if totals := f.count(`SELECT count(*) FROM ledgerport.exported_claims`); totals != 2 {
		t.Errorf("%d claims are bound", totals)
	}
	f.conclude(database, run)
	want("vouchers", f.texts(allVouchers, "2"), "1 1 2026/5", "2 1 2025/3", "3 1 2026/6", "4 2 2026/7", "5 2 2025/4", "6 2 2026/8")
	want("what the application sees", f.texts(seenByApp, acme),
		"1 exported E/2026/5 {E/2026/5,E/2025/3,E/2026/6}", "2 exported E/2026/7 {E/2026/7,E/2025/4,E/2026/8}")
	if again := f.reserveSeveral(database, attemptOf("3")); f.count(`SELECT count(*) FROM ledgerport.vouchers WHERE run_id = $1`, again.ID) != 0 {
		t.Error("a claim is exported again")
	} else {
		f.must(database.Release(f.ctx, again.Fence(), "a test"))
	}

	back := attemptOf("4")
	back.Reverses = run.ID
	f.conclude(database, f.reverseRun(database, back))
	want("reversing vouchers", f.texts(allVouchers, "4"), "1 1 2026/9 E/2026/5", "2 1 2025/5 E/2025/3", "3 1 2026/10 E/2026/6",
		"4 2 2026/11 E/2026/7", "5 2 2025/6 E/2025/4", "6 2 2026/12 E/2026/8")
	want("reversed vouchers", f.texts(allVouchers, "2"), "1 1 2026/5 monthly-4", "2 1 2025/3 monthly-4", "3 1 2026/6 monthly-4",
		"4 2 2026/7 monthly-4", "5 2 2025/4 monthly-4", "6 2 2026/8 monthly-4")
	if left := f.count(`SELECT count(*) FROM ledgerport.exported_claims`); left != 0 {
		t.Errorf("%d claims are bound", left)
	}
	f.conclude(database, f.reserveSeveral(database, attemptOf("6")))
	want("what the application sees", f.texts(seenByApp, acme),
		"1 exported E/2026/13 {E/2026/13,E/2025/7,E/2026/14}", "2 exported E/2026/15 {E/2026/15,E/2025/8,E/2026/16}")
}
