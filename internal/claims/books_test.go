package claims_test

import (
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
)

// inBook is an attempt of a run that exports to a book.
func inBook(run, book string) claims.Attempt {
	attempt := attemptOf(run)
	attempt.Book = book
	return attempt
}

// oneMore approves a claim with one line.
func (f *fixture) oneMore(id string) {
	f.Helper()
	f.sql(`INSERT INTO claims (id, organization_id, claimant_id, status, approved_at, currency) VALUES ($1, $2, 'E1', 'approved', $3, 'NOK')`, id, acme, before)
	f.sql(`INSERT INTO claim_lines (claim_id, line_no, expense_date, category, gross_amount, tax_amount) VALUES ($1, 1, '2026-10-20', 'travel', 125, 25)`, id)
}

func TestEachClaimIsExportedOnceToEachBook(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(5)
	database := f.open(v1alpha1.PostgresSource{})
	end := func(run claims.Run) {
		t.Helper()
		f.must(database.MarkDelivered(f.ctx, run.Fence(), ""))
		f.must(database.Commit(f.ctx, run.Fence()))
	}
	// Both are under way at once, in one series: their numbers have nothing to do with each other.
	posting, posted := f.reserveAll(database, inBook("1", claims.MainBook), year2026)
	paying, paid := f.reserveAll(database, inBook("2", "payments"), year2026)
	if len(posted) != 5 || !sameTexts(posted, paid) {
		t.Fatalf("main has %q, and payments %q", posted, paid)
	}
	if last := f.count(`SELECT count(*) FROM ledgerport.vouchers WHERE voucher_number IN (1, 5)`); last != 4 {
		t.Errorf("%d vouchers have the first and the last number of a book", last)
	}
	end(posting)
	end(paying)
	for i, book := range []string{claims.MainBook, "payments"} {
		again, taken := f.reserveAll(database, inBook([]string{"3", "4"}[i], book), year2026)
		if len(taken) != 0 {
			t.Errorf("%s has %q a second time", book, taken)
		}
		end(again)
	}

	t.Run("a reversal frees them for its own book alone", func(t *testing.T) {
		attempt := inBook("5", "payments")
		attempt.Reverses = paying.ID
		run, reversed := f.reverse(database, attempt)
		if !sameTexts(reversed, paid) {
			t.Errorf("it reversed %q, want %q", reversed, paid)
		}
		end(run)
		again, freed := f.reserveAll(database, inBook("6", "payments"), year2026)
		if !sameTexts(freed, paid) {
			t.Errorf("payments has %q after the reversal, want %q", freed, paid)
		}
		end(again)
		main, none := f.reserveAll(database, inBook("7", claims.MainBook), year2026)
		if len(none) != 0 {
			t.Errorf("main has %q after a reversal in payments", none)
		}
		end(main)
	})
	t.Run("a claim that one book holds is not held by the other", func(t *testing.T) {
		f.oneMore("00000000-0000-4000-8000-000000000006")
		holding, _ := f.reserveAll(database, inBook("8", claims.MainBook), func(*ledger.Claim) int { return 0 })
		end(holding)
		before := f.count(`SELECT count(*) FROM ledgerport.held_claims`)
		taking, taken := f.reserveAll(database, inBook("9", "payments"), year2026)
		end(taking)
		if after := f.count(`SELECT count(*) FROM ledgerport.held_claims`); before == 0 || after != before || len(taken) == 0 {
			t.Errorf("%d claims are held, and %d once the other book has taken %d", before, after, len(taken))
		}
	})
	t.Run("a run that gives its claims back voids the numbers of its book", func(t *testing.T) {
		f.oneMore("00000000-0000-4000-8000-000000000007")
		run, taken := f.reserveAll(database, inBook("10", "payments"), year2026)
		f.must(database.Release(f.ctx, run.Fence(), "test"))
		if n := f.count(`SELECT count(*) FROM ledgerport.voided_vouchers WHERE book = 'payments'`); n != 1 || len(taken) == 0 {
			t.Errorf("%d ranges of numbers are void for %d claims", n, len(taken))
		}
	})
}

// TestTheBooksOfOneTenantAreReadByNobodyElse has more books in a database than any check could read.
func TestTheBooksOfOneTenantAreReadByNobodyElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(3)
	database := f.open(v1alpha1.PostgresSource{})
	run, taken := f.reserveAll(database, inBook("1", claims.MainBook), year2026)
	f.must(database.MarkDelivered(f.ctx, run.Fence(), ""))
	f.must(database.Commit(f.ctx, run.Fence()))
	f.sql(`INSERT INTO ledgerport.claim_tables (id, book, schema_name, table_name, relation, server, id_column, id_type, source)
		SELECT n, 'a-book-of-thirty-characters-' || n, schema_name, table_name, relation, server, id_column, id_type, source
		FROM ledgerport.claim_tables, generate_series(2, 40000) n WHERE id = 1`)

	database = f.open(v1alpha1.PostgresSource{})
	if _, err := database.Inspect(f.ctx); err != nil {
		t.Errorf("inspecting: %s", err)
	}
	if _, err := database.Check(f.ctx); err != nil {
		t.Errorf("checking: %s", err)
	}
	f.oneMore(id(77))
	if _, again := f.reserveAll(database, inBook("2", claims.MainBook), year2026); len(taken) != 3 || len(again) != 1 {
		t.Errorf("%q and then %q were exported, want three claims and the new one", taken, again)
	}
	if _, paid := f.reserveAll(database, inBook("3", "payments"), year2026); len(paid) != 4 {
		t.Errorf("%q went to another book, want all four", paid)
	}
}
