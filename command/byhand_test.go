package command

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// bound is a database with a run that has bound three claims, and whose process is gone.
type bound struct {
	url      string
	database *claims.Database
	conn     *pgx.Conn
}

const boundOrganization = "3f2c9a1e-0000-4000-8000-000000000001"

func bindClaims(t *testing.T) *bound {
	t.Helper()
	b := &bound{url: testdb.New(t)}
	var err error
	b.conn, err = pgx.Connect(t.Context(), b.url)
	must(t, err)
	t.Cleanup(func() { _ = b.conn.Close(context.Background()) })
	must(t, application.CreateTables(t.Context(), b.conn))
	cutoff := time.Now()
	_, err = application.Fill(t.Context(), b.conn, application.Content{
		OrganizationID: boundOrganization, Claims: 3, Seed: 1, ApprovedFrom: cutoff.Add(-48 * time.Hour), ApprovedTo: cutoff.Add(-time.Hour),
	})
	must(t, err)
	migrate(t, b.url)
	b.database, err = claims.Open(t.Context(), claims.Options{URL: b.url, Allowed: claims.Allowances{Insecure: true}})
	must(t, err)
	t.Cleanup(b.database.Close)
	run, err := b.database.StartAttempt(t.Context(), claims.Attempt{
		RunIdentity: claims.RunIdentity{ID: "gone", Namespace: "acme", Export: "monthly", Name: "first", OrganizationID: boundOrganization},
		Holder:      "pod", Cluster: "here", Deadline: time.Minute, Book: claims.MainBook, Series: "E", Cutoff: cutoff, Inputs: []byte(`{}`),
	})
	must(t, err)
	reservation, err := b.database.Reserve(t.Context(), run.Fence(), claims.Selection{})
	must(t, err)
	defer reservation.Rollback()
	euro, err := ledger.ParseCurrency("EUR")
	must(t, err)
	for {
		claim, err := reservation.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		must(t, reservation.Take(t.Context(), []ledger.Voucher{{
			Series: "E", FiscalYear: 2026, Number: reservation.NextNumber(2026), PostingDate: cutoff.UTC().Truncate(24 * time.Hour), ClaimID: claim.ID, ClaimantID: claim.ClaimantID,
			ApprovedAt: claim.ApprovedAt, Currency: euro, BaseCurrency: euro, Postings: []ledger.Posting{
				{Kind: ledger.ExpensePosting, Account: "4660", Amount: 100, BaseAmount: 100}, {Kind: ledger.OffsetPosting, Account: "1740", Amount: -100, BaseAmount: -100},
			},
		}}))
	}
	must(t, reservation.Commit(t.Context(), claims.Rendered{
		Files:    []claims.File{{Name: "first.csv", MediaType: "text/csv", Size: 3, SHA256: strings.Repeat("ab", 32)}},
		Manifest: []byte(`{}`), Claims: 3, FirstVoucher: "E/2026/1", LastVoucher: "E/2026/3",
	}))
	return b
}

func (b *bound) count(t *testing.T, query string) (n int) {
	t.Helper()
	must(t, b.conn.QueryRow(t.Context(), query).Scan(&n))
	return n
}

func TestARunWhoseExportRunIsGone(t *testing.T) {
	t.Parallel()
	t.Run("is released once somebody has looked for its files", func(t *testing.T) {
		t.Parallel()
		b := bindClaims(t)
		said, err := ofLedger(t, b.url, "release", "--run", "gone")
		if err == nil || !strings.Contains(err.Error(), "--not-delivered") || !strings.Contains(said, `"acme/monthly/first/first.csv"`) || !strings.Contains(said, strings.Repeat("ab", 32)) {
			t.Errorf("without --not-delivered it ends with %v, and says\n%s", err, said)
		}
		if n := b.count(t, `select count(*) from ledgerport.exported_claims`); n != 3 {
			t.Errorf("then %d claims are bound", n)
		}
		if said, err := ofLedger(t, b.url, "release", "--run", "gone", "--not-delivered"); err != nil || !strings.Contains(said, `"acme/first" is released`) {
			t.Errorf("it ends with %v, and says %s", err, said)
		}
		if free, void := b.count(t, `select count(*) from ledgerport.exported_claims`), b.count(t, `select coalesce(sum(last - first + 1), 0) from ledgerport.voided_vouchers`); free != 0 || void != 3 {
			t.Errorf("%d claims are bound, and %d numbers void", free, void)
		}
		if _, err := ofLedger(t, b.url, "commit", "--run", "gone", "--location", "file:///first.csv"); err == nil || !strings.Contains(err.Error(), "is released, and cannot become committed") {
			t.Errorf("to commit it then ends with %v", err)
		}
	})
	t.Run("is committed once somebody says where its files are", func(t *testing.T) {
		t.Parallel()
		b := bindClaims(t)
		if said, err := ofLedger(t, b.url, "commit", "--run", "gone"); err == nil || !strings.Contains(err.Error(), "--location") || !strings.Contains(said, "first.csv") {
			t.Errorf("without --location it ends with %v, and says\n%s", err, said)
		}
		if _, err := ofLedger(t, b.url, "commit", "--run", "gone", "--location", "first.csv"); err == nil || !strings.Contains(err.Error(), "give a URL") {
			t.Errorf("with a location that is no URL it ends with %v", err)
		}
		if _, err := ofLedger(t, b.url, "commit", "--run", "gone", "--location", "file:///exports/first.csv"); err != nil {
			t.Error(err)
		}
		if n := b.count(t, `select count(*) from ledgerport.runs where state = 'committed' and location = 'file:///exports/first.csv'`); n != 1 {
			t.Error("the run is not committed with its location")
		}
		if _, err := ofLedger(t, b.url, "release", "--run", "gone", "--not-delivered"); err == nil || !strings.Contains(err.Error(), "is committed, and cannot become released") {
			t.Errorf("to release it then ends with %v", err)
		}
	})
	t.Run("is left to the operator while an accounting system may have vouchers of it", func(t *testing.T) {
		t.Parallel()
		b := bindClaims(t)
		_, err := b.conn.Exec(t.Context(), `insert into ledgerport.submitted_vouchers (run_id, organization_id, claim_table, claim_id, position, fiscal_year, voucher_number, reference, currency, lines, debit, payable, base_debit, base_payable, state, sent_at)
			select run_id, organization_id, claim_table, claim_id, position, fiscal_year, voucher_number, 'E-' || voucher_number, 'EUR', 1, 100, 100, 100, 100, 'sent', now() from ledgerport.exported_claims`)
		must(t, err)
		for _, arguments := range [][]string{{"release", "--run", "gone", "--not-delivered"}, {"commit", "--run", "gone", "--location", "file:///first.csv"}} {
			if _, err := ofLedger(t, b.url, arguments...); err == nil || !strings.Contains(err.Error(), "may have 3 of them") {
				t.Errorf("%q ends with %v", arguments, err)
			}
		}
	})
	t.Run("is named by its id", func(t *testing.T) {
		t.Parallel()
		b := bindClaims(t)
		if _, err := ofLedger(t, b.url, "release", "--run", "other", "--not-delivered"); err == nil || !strings.Contains(err.Error(), "ledger show") {
			t.Errorf("an id that no run has ends with %v", err)
		}
	})
}
