package claims_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/application"
)

// benchClaims is the number of claims, of three lines each, that BenchmarkReserve reserves.
const benchClaims = 100_000

// copyBaseline is the least that reading the claims could cost: the same joined, ordered rows, written nowhere.
var copyBaseline = fmt.Sprintf(`COPY (
	SELECT c.id, c.claimant_id, c.claimant_name, c.claimant_iban, c.currency, c.approved_at, c.approved_by, c.description,
	       l.line_no, l.expense_date, l.category, l.description, l.gross_amount, l.tax_amount, l.tax_code,
	       l.base_gross_amount, l.base_tax_amount, l.dimensions, l.quantity, l.unit, l.receipt_uri
	FROM claims c LEFT JOIN claim_lines l ON l.claim_id = c.id
	WHERE c.organization_id = '%s' AND c.status = 'approved' AND c.approved_at < '2026-11-01Z'
	ORDER BY c.approved_at, c.id, l.line_no) TO STDOUT`, acme)

// BenchmarkReserve reports the time from Reserve to Commit, and its ratio to the COPY of the same rows just before.
func BenchmarkReserve(b *testing.B) {
	f := newFixture(b, "")
	f.must(application.CreateTables(f.ctx, f.conn))
	if _, err := application.Fill(f.ctx, f.conn, application.Content{
		OrganizationID: acme, Claims: benchClaims, ApprovedFrom: before.AddDate(0, -1, 0), ApprovedTo: before, ForeignEvery: 20,
	}); err != nil {
		b.Fatal(err)
	}
	var copying, reserving time.Duration
	b.ResetTimer()
	for n := range b.N {
		start := time.Now()
		if _, err := f.conn.PgConn().CopyTo(f.ctx, io.Discard, copyBaseline); err != nil {
			b.Fatal(err)
		}
		copying += time.Since(start)
		reserving += f.reserveOnce(b, fmt.Sprint(n))
	}
	b.ReportMetric(copying.Seconds()/float64(b.N), "copy-s/op")
	b.ReportMetric(reserving.Seconds()/float64(b.N), "reserve-s/op")
	b.ReportMetric(reserving.Seconds()/copying.Seconds(), "ratio")
}

// reserveOnce reserves everything, gives it back, and says how long the first took.
func (f *fixture) reserveOnce(b *testing.B, runID string) time.Duration {
	database := f.open(v1alpha1.PostgresSource{})
	defer database.Close()
	run := f.start(database, attemptOf(runID))
	start := time.Now()
	reservation := f.reserve(database, run)
	for {
		claim, err := reservation.Next(f.ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		f.must(err)
		f.must(reservation.Take(f.ctx, one(voucher(claim, 2026, reservation.NextNumber(2026)))))
	}
	streamed := time.Since(start)
	totals, err := reservation.Totals(f.ctx)
	f.must(err)
	if totals.Claims != benchClaims || totals.Lines != 3*benchClaims {
		b.Fatalf("totals are %+v", totals)
	}
	summed := time.Since(start)
	f.must(reservation.Commit(f.ctx, claims.Rendered{Manifest: []byte(`{}`), Claims: totals.Claims}))
	took := time.Since(start)
	b.Logf("streamed after %v, summed after %v, committed after %v", streamed, summed, took)
	reservation.Rollback()
	f.must(database.Release(f.ctx, run.Fence(), "benchmark"))
	f.sql(`VACUUM ledgerport.exported_claims`)
	return took
}
