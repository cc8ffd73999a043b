package claims_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/test/testdb"
)

const (
	acme   = "3f2c9a1e-0000-4000-8000-000000000001"
	globex = "3f2c9a1e-0000-4000-8000-000000000002"
)

var (
	cutoff = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
	before = cutoff.Add(-24 * time.Hour)
)

// insecure is what the servers of tests need, which speak no TLS.
var insecure = claims.Allowances{Insecure: true}

// applicationTables are the tables of an application that follows the contract to the letter.
const applicationTables = `
	CREATE TABLE claims (
		id uuid PRIMARY KEY, organization_id uuid NOT NULL, claimant_id text NOT NULL, claimant_name text, claimant_iban text,
		status text NOT NULL, approved_at timestamptz, approved_by text, currency char(3) NOT NULL, description text);
	CREATE INDEX ON claims (organization_id, status, approved_at);
	CREATE TABLE claim_lines (
		claim_id uuid NOT NULL REFERENCES claims, line_no int NOT NULL, expense_date date NOT NULL, category text NOT NULL, description text,
		gross_amount numeric(14,4), tax_amount numeric(14,4), tax_code text, base_gross_amount numeric, base_tax_amount numeric,
		dimensions jsonb, quantity numeric, unit text, receipt_uri text, PRIMARY KEY (claim_id, line_no));`

// fixture is a database of its own for one test, and a connection to arrange things with.
type fixture struct {
	testing.TB
	ctx  context.Context
	url  string
	conn *pgx.Conn
}

// newFixture makes a database with the application's tables and Ledgerport's schema.
func newFixture(t testing.TB, tables string) *fixture {
	t.Helper()
	f := &fixture{TB: t, ctx: t.Context(), url: testdb.New(t)}
	var err error
	if f.conn, err = pgx.Connect(f.ctx, f.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.conn.Close(context.Background()) })
	f.sql(tables)
	database := f.open(v1alpha1.PostgresSource{})
	defer database.Close()
	f.must(database.Migrate(f.ctx))
	return f
}

func (f *fixture) open(layout v1alpha1.PostgresSource) *claims.Database {
	f.Helper()
	database, err := claims.Open(f.ctx, claims.Options{URL: f.url, Allowed: insecure, Layout: layout})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(database.Close)
	return database
}

func (f *fixture) sql(statement string, args ...any) {
	f.Helper()
	if _, err := f.conn.Exec(f.ctx, statement, args...); err != nil {
		f.Fatal(err)
	}
}

// count returns the single number that a query selects.
func (f *fixture) count(query string, args ...any) (n int) {
	f.Helper()
	if err := f.conn.QueryRow(f.ctx, query, args...).Scan(&n); err != nil {
		f.Fatal(err)
	}
	return n
}

// id makes readable, ordered uuids.
func id(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// claim adds an approved claim of acme with lines of 125.00, 250.00, … of which a fifth is tax.
func (f *fixture) claim(n, lines int) {
	f.Helper()
	f.sql(`INSERT INTO claims VALUES ($1, $2, 'E1', 'Kari Nordmann', NULL, 'approved', $3, NULL, 'NOK', NULL)`, id(n), acme, before.Add(time.Duration(n)*time.Second))
	f.sql(`INSERT INTO claim_lines (claim_id, line_no, expense_date, category, gross_amount, tax_amount)
		SELECT $1, i, '2026-10-20', 'travel', 125 * i, 25 * i FROM generate_series(1, $2::int) i`, id(n), lines)
}

// claimRange adds n claims with one line each.
func (f *fixture) claimRange(n int) {
	f.Helper()
	f.sql(`INSERT INTO claims (id, organization_id, claimant_id, status, approved_at, currency)
		SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, $1, 'E1', 'approved', $2::timestamptz + i * interval '1 ms', 'NOK'
		FROM generate_series(1, $3::int) i`, acme, before, n)
	f.sql(`INSERT INTO claim_lines (claim_id, line_no, expense_date, category, gross_amount, tax_amount) SELECT id, 1, '2026-10-20', 'travel', 125, 25 FROM claims`)
}

func attemptOf(run string) claims.Attempt {
	return claims.Attempt{
		RunIdentity: claims.RunIdentity{ID: strings.ReplaceAll(run, " ", "-"), Namespace: "acme", Export: "monthly", Name: "monthly-" + run, OrganizationID: acme},
		Holder:      "pod-1", Cluster: "here", Deadline: time.Minute, Book: claims.MainBook, Series: "E", Cutoff: cutoff, Inputs: []byte(`{"exporter": "csv"}`),
	}
}

func (f *fixture) start(database *claims.Database, attempt claims.Attempt) claims.Run {
	f.Helper()
	run, err := database.StartAttempt(f.ctx, attempt)
	if err != nil {
		f.Fatal(err)
	}
	return run
}

func (f *fixture) reserve(database *claims.Database, run claims.Run) *claims.Reservation {
	f.Helper()
	reservation, err := database.Reserve(f.ctx, run.Fence(), claims.Selection{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(reservation.Rollback)
	return reservation
}

// year2026 takes every claim for the fiscal year 2026.
func year2026(*ledger.Claim) int { return 2026 }

// takeAll takes every claim for the fiscal year that a function says, and returns their ids; year 0 holds the claim.
func (f *fixture) takeAll(reservation *claims.Reservation, year func(*ledger.Claim) int) (ids []string, held int64) {
	f.Helper()
	for {
		claim, err := reservation.Next(f.ctx)
		if errors.Is(err, io.EOF) {
			return ids, held
		}
		if err != nil {
			f.Fatal(err)
		}
		if in := year(claim); in == 0 {
			held++
			err = reservation.Hold(f.ctx, &ledger.Hold{ClaimID: claim.ID, Reason: ledger.HoldUnmapped, Message: "map it"})
		} else {
			ids = append(ids, claim.ID)
			err = reservation.Take(f.ctx, one(voucher(claim, in, reservation.NextNumber(in))))
		}
		if err != nil {
			f.Fatal(err)
		}
	}
}

// voucher is a small voucher of a claim.
func voucher(claim *ledger.Claim, year int, number int64) *ledger.Voucher {
	nok, _ := ledger.ParseCurrency("NOK")
	return &ledger.Voucher{
		Series: "E", FiscalYear: year, Number: number, PostingDate: before.Truncate(24 * time.Hour), ClaimID: claim.ID, ClaimantID: claim.ClaimantID,
		ApprovedAt: claim.ApprovedAt, Currency: nok, BaseCurrency: nok, Postings: []ledger.Posting{
			{Kind: ledger.ExpensePosting, Account: "7140", Amount: 100, BaseAmount: 100},
			{Kind: ledger.OffsetPosting, Account: "2910", Amount: -100, BaseAmount: -100},
		},
	}
}

// one is all that a claim becomes.
func one(v *ledger.Voucher) []ledger.Voucher { return []ledger.Voucher{*v} }

// rendered is what a run records of an artifact in these tests.
func rendered(taken []string, held int64) claims.Rendered {
	return claims.Rendered{
		Files:    []claims.File{{Name: "monthly.csv", MediaType: "text/csv", Size: 3, SHA256: strings.Repeat("ab", 32)}},
		Manifest: []byte("{\"run\":\n 1}\n"), Claims: int64(len(taken)), Held: held, FirstVoucher: "E/2026/1", LastVoucher: "E/2026/9",
	}
}

// reserveAll starts a run that takes everything and returns it in state rendered.
func (f *fixture) reserveAll(database *claims.Database, attempt claims.Attempt, year func(*ledger.Claim) int) (claims.Run, []string) {
	f.Helper()
	run := f.start(database, attempt)
	reservation := f.reserve(database, run)
	taken, held := f.takeAll(reservation, year)
	f.must(reservation.Commit(f.ctx, rendered(taken, held)))
	reservation.Rollback()
	return run, taken
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// mustFail insists on a failure with a reason.
func mustFail(t testing.TB, err error, reason v1alpha1.Reason) {
	t.Helper()
	_ = failureWith(t, err, reason)
}

// failureWith returns the failure, and insists on its reason.
func failureWith(t testing.TB, err error, reason v1alpha1.Reason) *failure.Error {
	t.Helper()
	var failed *failure.Error
	if !errors.As(err, &failed) || failed.Reason != reason {
		t.Fatalf("got %v, want a failure with reason %s", err, reason)
	}
	return failed
}

// takeSound takes what nothing is wrong with in a run of text ids, holds the rest, and commits the reservation; a second pass is
// made as the pipeline does.
func (f *fixture) takeSound(database *claims.Database, run claims.Run) (taken []string, held map[string]string) {
	f.Helper()
	for pass := 0; ; pass++ {
		reservation, err := database.Reserve(f.ctx, run.Fence(), claims.Selection{})
		if err == nil {
			taken, held, err = f.pass(reservation)
			reservation.Rollback()
		}
		var failed *failure.Error
		if errors.As(err, &failed) && failed.Reason == v1alpha1.ReasonReservationConflict && pass == 0 {
			continue
		}
		f.must(err)
		return taken, held
	}
}

// pass takes what the mapper makes a voucher of.
func (f *fixture) pass(reservation *claims.Reservation) (taken []string, held map[string]string, err error) {
	mapper, err := ledger.NewMapper(&v1alpha1.ChartOfAccountsSpec{
		Currency: "NOK", Accounts: []v1alpha1.Account{{Number: "7140"}, {Number: "2910"}},
		Rules:  []v1alpha1.MappingRule{{Match: v1alpha1.RuleMatch{Expression: "true"}, Account: "7140"}},
		Offset: v1alpha1.OffsetPosting{Account: "2910", Subledger: v1alpha1.SubledgerNone},
	}, ledger.VoucherPolicy{Series: "E", Cutoff: cutoff})
	f.must(err)
	held = map[string]string{}
	var total ledger.Totals
	for {
		claim, err := reservation.Next(f.ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		var hold *ledger.Hold
		vouchers, err := mapper.Map(f.ctx, claim)
		if errors.As(err, &hold) {
			held[hold.ClaimID] = string(hold.Reason)
			if err := reservation.Hold(f.ctx, hold); err != nil {
				return nil, nil, err
			}
			continue
		}
		var gross ledger.Amount
		for _, posting := range vouchers[0].Postings {
			if posting.Amount > 0 && posting.Kind == ledger.ExpensePosting || posting.Kind == ledger.TaxPosting {
				gross += posting.Amount
			}
		}
		taken = append(taken, claim.ID)
		f.must(total.Add(claim.Currency, int64(len(claim.Lines)), gross))
		reservation.Number(vouchers)
		if err := reservation.Take(f.ctx, vouchers); err != nil {
			return nil, nil, err
		}
	}
	sums, err := reservation.Totals(f.ctx)
	if err == nil && !sums.Equal(total) {
		f.Errorf("SQL sums up %+v, and the vouchers %+v", sums, total)
	}
	if err == nil {
		err = reservation.Commit(f.ctx, rendered(taken, int64(len(held))))
	}
	return taken, held, err
}

// sameTexts reports whether two lists have the same texts, in whatever order.
func sameTexts(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
