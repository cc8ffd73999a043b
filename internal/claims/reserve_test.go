package claims_test

import (
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestReserve_GivesEveryFieldOfAClaimAsStored(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.sql(`INSERT INTO claims VALUES ($1, $2, '007', 'Kari Nordmann', 'NO9386011117947', 'approved', '2026-10-31 12:00:00.123456+02', 'boss', 'JPY', 'a trip')`, id(1), acme)
	f.sql(`INSERT INTO claim_lines VALUES ($1, 2, '1999-12-31', 'hotel', 'night', -100.5000, 0, '1', 7.123456789, 1.1, '{"project": "P1"}', 2.50, 'nights', 's3://r/1')`, id(1))
	f.sql(`INSERT INTO claim_lines (claim_id, line_no, expense_date, category) VALUES ($1, 1, 'infinity', 'other')`, id(1))
	database := f.open(v1alpha1.PostgresSource{})
	reservation := f.reserve(database, f.start(database, attemptOf("1")))

	claim, err := reservation.Next(t.Context())
	f.must(err)
	want := &ledger.Claim{
		ID: id(1), ClaimantID: "007", ClaimantName: "Kari Nordmann", ClaimantIBAN: "NO9386011117947", Currency: "JPY",
		ApprovedAt: time.Date(2026, time.October, 31, 10, 0, 0, 123456000, time.UTC), ApprovedBy: "boss", Description: "a trip",
		Lines: []ledger.Line{
			{Number: 1, Category: "other"},
			{
				Number: 2, ExpenseDate: time.Date(1999, time.December, 31, 0, 0, 0, 0, time.UTC), Category: "hotel", Description: "night",
				Gross: "-100.5000", Tax: "0.0000", TaxCode: "1", BaseGross: "7.123456789", BaseTax: "1.1",
				Dimensions: map[string]string{"project": "P1"}, Quantity: "2.50", Unit: "nights", ReceiptURI: "s3://r/1",
			},
		},
	}
	if !reflect.DeepEqual(claim, want) {
		t.Errorf("got  %+v\nwant %+v", claim, want)
	}
}

func TestReserve_ReadsOnlyWhatTheRunMayTake(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	add := func(n int, organization, status string, approved any) {
		f.sql(`INSERT INTO claims VALUES ($1, $2, 'E1', NULL, NULL, $3, $4, NULL, 'NOK', NULL)`, id(n), organization, status, approved)
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
	if want := []string{id(6), id(7), id(1)}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: approved claims of the organisation before the cutoff, by approval and id", got, want)
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
	wantNumbers := []claims.ReservedClaim{{FiscalYear: 2026, Number: 1}, {FiscalYear: 2025, Number: 1}, {FiscalYear: 2026, Number: 2}, {FiscalYear: 2026, Number: 3}}
	f.mustBeReserved(database, run, taken, wantNumbers)
	f.must(database.MarkDelivered(t.Context(), run.Fence(), "file:///x"))
	f.must(database.Commit(t.Context(), run.Fence()))

	// The next run finds the held claim, now mapped, and a new one; the numbers go on.
	f.claim(6, 1)
	years[id(4)], years[id(6)] = 2026, 2025
	run, taken = f.reserveAll(database, attemptOf("2"), yearOf)
	if want := []string{id(4), id(6)}; !slices.Equal(taken, want) {
		t.Fatalf("the second run took %v, want %v", taken, want)
	}
	f.mustBeReserved(database, run, taken, []claims.ReservedClaim{{FiscalYear: 2026, Number: 4}, {FiscalYear: 2025, Number: 2}})
	if n := f.count(`SELECT count(*) FROM ledgerport.held_claims`); n != 0 {
		t.Errorf("%d claims are still held", n)
	}
}

// mustBeReserved insists that a resumed run reads the same claims, in the same order, with these numbers.
func (f *fixture) mustBeReserved(database *claims.Database, run claims.Run, ids []string, numbers []claims.ReservedClaim) {
	f.Helper()
	reserved, err := database.Reserved(f.ctx, run.Fence())
	f.must(err)
	defer reserved.Close()
	for i, want := range numbers {
		got, err := reserved.Next(f.ctx)
		f.must(err)
		if got.ID != ids[i] || got.FiscalYear != want.FiscalYear || got.Number != want.Number || len(got.Lines) == 0 {
			f.Errorf("claim %d is %s under %d/%d with %d lines, want %s under %d/%d",
				i, got.ID, got.FiscalYear, got.Number, len(got.Lines), ids[i], want.FiscalYear, want.Number)
		}
	}
	if _, err := reserved.Next(f.ctx); !errors.Is(err, io.EOF) {
		f.Errorf("after the last claim: %v, want EOF", err)
	}
}

func TestReserve_SaysTheNumberBeforeItIsTaken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claim(1, 1)
	f.sql(`INSERT INTO ledgerport.voucher_numbers VALUES ($1, 'E', 2026, 17), ($1, 'X', 2026, 99), ($2, 'E', 2026, 55)`, acme, globex)
	database := f.open(v1alpha1.PostgresSource{})
	reservation := f.reserve(database, f.start(database, attemptOf("1")))
	_, err := reservation.Next(t.Context())
	f.must(err)
	if got := reservation.NextNumber(2026); got != 17 {
		t.Errorf("the next number is %d, want 17", got)
	}
	f.must(reservation.Take(t.Context(), 2026))
	if got := []int64{reservation.NextNumber(2026), reservation.NextNumber(2025)}; !slices.Equal(got, []int64{18, 1}) {
		t.Errorf("the next numbers are %d, want 18 and, in a new year, 1", got)
	}
	if err := reservation.Take(t.Context(), 2026); err == nil {
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
	f.sql(`INSERT INTO claims VALUES ($1, $2, 'E1', NULL, NULL, 'approved', $3, NULL, 'NOK', NULL)`, id(4), acme, before)
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
	f.must(reservation.Commit(t.Context(), claims.StateRendered, claims.Rendered{Manifest: []byte(`{}`)}))
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

func TestReserve_ManyBatchesOfTakenAndHeldClaims(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	const n = 20_000
	f.claimRange(n)
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
	want := make([]claims.ReservedClaim, n/2)
	for i := range want {
		want[i] = claims.ReservedClaim{FiscalYear: 2026, Number: int64(i + 1)}
	}
	f.mustBeReserved(database, run, taken, want)
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
	f.must(first.Commit(t.Context(), claims.StateRendered, rendered(taken, 0)))
	err := second.Commit(t.Context(), claims.StateRendered, rendered(taken, 0))
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
	mustFail(t, reservation.Commit(t.Context(), claims.StateRendered, rendered(taken, held)), v1alpha1.ReasonFenced)
	reservation.Rollback()
	if n := f.count(`SELECT count(*) FROM ledgerport.exported_claims`) + f.count(`SELECT count(*) FROM ledgerport.voucher_numbers`); n != 0 {
		t.Errorf("%d rows remain of the older attempt", n)
	}
	_, err := stale.Reserve(t.Context(), old.Fence())
	mustFail(t, err, v1alpha1.ReasonFenced)
}

func TestReserve_WhenTheContextEndsLeavesNoBackendAndNoRows(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancelled": context.WithCancel,
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 300*time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			f.claimRange(60_000)
			database := f.open(v1alpha1.PostgresSource{})
			run := f.start(database, attemptOf("1"))
			ctx, cancel := end(t.Context())
			defer cancel()
			reservation, err := database.Reserve(ctx, run.Fence())
			f.must(err)
			for n := 0; err == nil; n++ { // until the deadline, or the end of the claims
				if n == 10_000 && name == "cancelled" {
					cancel()
				}
				if _, err = reservation.Next(ctx); err == nil {
					err = reservation.Take(ctx, 2026)
				}
			}
			<-ctx.Done()
			if _, err := reservation.Next(ctx); !errors.Is(err, ctx.Err()) {
				t.Errorf("reading on gives %v, want %v", err, ctx.Err())
			}
			if err := reservation.Commit(ctx, claims.StateRendered, claims.Rendered{}); !errors.Is(err, ctx.Err()) {
				t.Errorf("committing gives %v, want %v", err, ctx.Err())
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
	ctx, cancel := context.WithTimeout(f.ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for f.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'ledgerport'`) > 0 {
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

func TestReserve_TextOfAMegabyteAndAClaimOfManyLines(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claim(1, 1)
	f.claim(2, 20_000)
	f.sql(`UPDATE claims SET description = repeat('x', 1 << 20) WHERE id = $1`, id(1))
	f.sql(`UPDATE claim_lines SET description = repeat('y', 1 << 20) WHERE claim_id = $1`, id(1))
	database := f.open(v1alpha1.PostgresSource{})
	reservation := f.reserve(database, f.start(database, attemptOf("1")))
	claim, err := reservation.Next(t.Context())
	f.must(err)
	if len(claim.Description) != 1<<20 || claim.Lines[0].Description != strings.Repeat("y", 1<<20) {
		t.Error("the text of a megabyte is not as stored")
	}
	claim, err = reservation.Next(t.Context())
	f.must(err)
	if len(claim.Lines) != 20_000 || claim.Lines[19_999].Gross != "2500000.0000" {
		t.Errorf("the claim has %d lines", len(claim.Lines))
	}
}

func TestReserve_DimensionsAreTexts(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	for n, dimensions := range []string{
		`{"project": "P1", "cost_center": 10, "share": 1.50, "billable": true, "nothing": null, "nested": {"a": 1}, "list": [1], "é\"": "ø\n"}`,
		`[1, 2]`, `"text"`, `{}`, `null`,
	} {
		f.claim(n+1, 1)
		f.sql(`UPDATE claim_lines SET dimensions = $2 WHERE claim_id = $1`, id(n+1), dimensions)
	}
	want := []map[string]string{
		{"project": "P1", "cost_center": "10", "share": "1.50", "billable": "true", "é\"": "ø\n"},
		nil, nil, {}, {},
	}
	database := f.open(v1alpha1.PostgresSource{})
	reservation := f.reserve(database, f.start(database, attemptOf("1")))
	for n := range want {
		claim, err := reservation.Next(t.Context())
		f.must(err)
		if got := claim.Lines[0].Dimensions; len(got)+len(want[n]) > 0 && !reflect.DeepEqual(got, want[n]) {
			t.Errorf("dimensions %d are %v, want %v", n, got, want[n])
		}
	}
}

func TestReserve_RefusesAnOrganizationThatTheColumnCanNotHold(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	for n, organization := range []string{"acme", strings.ToUpper(acme)} {
		database := f.open(v1alpha1.PostgresSource{})
		attempt := attemptOf(id(n))
		attempt.OrganizationID = organization
		_, err := database.Reserve(t.Context(), f.start(database, attempt).Fence())
		if failed := mustFail(t, err, v1alpha1.ReasonInvalidSpec); !failed.Stalled || !strings.Contains(failed.Message, "spec.organizationID") {
			t.Errorf("%q: %+v", organization, failed)
		}
	}
}

func TestReserve_OtherShapesOfTheApplicationsTables(t *testing.T) {
	t.Parallel()
	renamed := v1alpha1.PostgresSource{
		Claims: v1alpha1.ClaimsTable{
			Table:    "Expenses.the \"Claims\"",
			Columns:  map[string]v1alpha1.ColumnName{"id": "Claim No", "organizationID": "org", "approvedAt": "when"},
			Approved: v1alpha1.ApprovedFilter{Column: "State", Values: []string{"approved", "booked"}},
		},
		Lines: v1alpha1.LinesTable{Table: "Expenses.lines", Columns: map[string]v1alpha1.ColumnName{"claimID": "claim", "grossAmount": "cents"}},
	}
	for name, test := range map[string]struct {
		tables       string
		layout       v1alpha1.PostgresSource
		organization string
		want         []string
	}{
		"only required columns, text ids, an enum as status": {
			tables: `CREATE TYPE claim_status AS ENUM ('draft', 'approved');
				CREATE TABLE claims (id text PRIMARY KEY, organization_id varchar(40), claimant_id int, status claim_status, approved_at timestamptz, currency text);
				CREATE TABLE claim_lines (claim_id text, line_no bigint, expense_date date, category claim_status, gross_amount bigint, tax_amount int);
				INSERT INTO claims VALUES ('b\c	d', 'acme', 7, 'approved', '2026-10-02', 'NOK'), ('é', 'acme', 7, 'approved', '2026-10-01', 'NOK'), ('x', 'acme', 7, 'draft', '2026-10-01', 'NOK');
				INSERT INTO claim_lines SELECT id, 1, '2026-10-01', 'draft', 10, 0 FROM claims`,
			organization: "acme", want: []string{"é", "b\\c\td"},
		},
		"integer ids, domains and a char that is padded": {
			tables: `CREATE DOMAIN money_amount AS numeric(12,2);
				CREATE TABLE claims (id bigint PRIMARY KEY, organization_id int, claimant_id text, status varchar, approved_at timestamptz, currency char(9));
				CREATE TABLE claim_lines (claim_id bigint, line_no smallint, expense_date date, category text, gross_amount money_amount, tax_amount money_amount, dimensions json);
				INSERT INTO claims VALUES (10, 42, 'E', 'approved', '2026-10-02', 'NOK'), (9, 42, 'E', 'approved', '2026-10-02', 'NOK');
				INSERT INTO claim_lines SELECT id, 1, '2026-10-01', 'draft', 10, 0, '{"a":1}' FROM claims`,
			organization: "42", want: []string{"9", "10"},
		},
		"renamed tables and columns, two values that mean approved": {
			tables: `CREATE SCHEMA "Expenses";
				CREATE TABLE "Expenses"."the ""Claims""" ("Claim No" uuid PRIMARY KEY, org uuid, claimant_id text, "State" text, "when" timestamptz, currency text);
				CREATE TABLE "Expenses".lines (claim uuid, line_no int, expense_date date, category text, cents int, tax_amount int);
				INSERT INTO "Expenses"."the ""Claims""" VALUES ('` + id(1) + `', '` + acme + `', 'E', 'booked', '2026-10-02', 'NOK'), ('` + id(2) + `', '` + acme + `', 'E', 'approved', '2026-10-03', 'NOK');
				INSERT INTO "Expenses".lines SELECT "Claim No", 1, '2026-10-01', 'draft', 10, 0 FROM "Expenses"."the ""Claims"""`,
			layout: renamed, organization: acme, want: []string{id(1), id(2)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, test.tables)
			database := f.open(test.layout)
			_, err := database.Inspect(t.Context())
			f.must(err)
			attempt := attemptOf("1")
			attempt.OrganizationID = test.organization
			run := f.start(database, attempt)
			reservation := f.reserve(database, run)
			taken, _ := f.takeAll(reservation, year2026)
			if !slices.Equal(taken, test.want) {
				t.Fatalf("took %q, want %q", taken, test.want)
			}
			totals, err := reservation.Totals(t.Context())
			f.must(err)
			want := ledger.Totals{Claims: 2, Lines: 2, Currencies: []ledger.CurrencyTotal{{Currency: "NOK", Claims: 2, Lines: 2, Gross: 2000}}}
			if !totals.Equal(want) {
				t.Errorf("totals are %+v, want %+v", totals, want)
			}
			f.must(reservation.Commit(t.Context(), claims.StateRendered, rendered(taken, 0)))
			reservation.Rollback()
			f.mustBeReserved(database, run, taken, []claims.ReservedClaim{{FiscalYear: 2026, Number: 1}, {FiscalYear: 2026, Number: 2}})
		})
	}
}
