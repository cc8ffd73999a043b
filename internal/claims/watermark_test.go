package claims_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
)

// openWatermarked opens the database as the operator does, which compares all once in an hour.
func (f *fixture) openWatermarked(layout v1alpha1.PostgresSource) *claims.Database {
	f.Helper()
	database, err := claims.Open(f.ctx, claims.Options{URL: f.url, Allowed: insecure, Layout: layout, FullCheck: time.Hour})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(database.Close)
	return database
}

// old approves claims of acme long before the cutoff.
func (f *fixture) old(ids ...string) {
	f.Helper()
	f.sql(`INSERT INTO claims (id, organization_id, claimant_id, status, approved_at, currency) SELECT id, $1, 'E1', 'approved', $2, 'NOK' FROM unnest($3::text[]::uuid[]) id`,
		acme, before.AddDate(0, -1, 0), ids)
}

// exports makes a run of acme to its end, and returns the claims that it took.
func (f *fixture) exports(database *claims.Database, run string, selection claims.Selection) []string {
	f.Helper()
	started := f.start(database, attemptOf(run))
	reservation, err := database.Reserve(f.ctx, started.Fence(), selection)
	f.must(err)
	defer reservation.Rollback()
	taken, held := f.takeAll(reservation, year2026)
	f.must(reservation.Commit(f.ctx, rendered(taken, held)))
	reservation.Rollback()
	f.end(database, started)
	return taken
}

// comparedAll reports whether a run compared all claims.
func (f *fixture) comparedAll(run string) bool {
	f.Helper()
	return f.count(`SELECT (compared_at = rendered_at)::int FROM ledgerport.runs WHERE id = $1`, run) == 1
}

func TestAClaimThatIsApprovedIntoThePast(t *testing.T) {
	t.Parallel()
	t.Run("is found when all are compared again", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.old(id(1))
		database := f.openWatermarked(v1alpha1.PostgresSource{})
		f.exports(database, "1", claims.Selection{})
		f.old(id(2))
		f.claim(3, 1)
		if taken := f.exports(database, "2", claims.Selection{}); !slices.Equal(taken, []string{id(3)}) {
			t.Errorf("run 2 took %q: it does not use the watermark", taken)
		}
		f.sql(`UPDATE ledgerport.runs SET compared_at = compared_at - interval '1 hour'`)
		if taken := f.exports(database, "3", claims.Selection{}); !slices.Equal(taken, []string{id(2)}) {
			t.Errorf("run 3 took %q", taken)
		}
	})
	t.Run("is found by a run that names it", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		database := f.openWatermarked(v1alpha1.PostgresSource{})
		f.exports(database, "1", claims.Selection{})
		f.old(id(2), id(3))
		if taken := f.exports(database, "2", claims.Selection{IDs: []string{id(2), "no id"}}); !slices.Equal(taken, []string{id(2)}) {
			t.Errorf("run 2 took %q", taken)
		}
	})
	t.Run("is found at once by an operator that always compares all", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.exports(f.openWatermarked(v1alpha1.PostgresSource{}), "1", claims.Selection{})
		f.old(id(2))
		if taken := f.exports(f.open(v1alpha1.PostgresSource{}), "2", claims.Selection{}); !slices.Equal(taken, []string{id(2)}) {
			t.Errorf("run 2 took %q", taken)
		}
	})
}

// TestARunComparesAllClaims shows what ends a watermark.
func TestARunComparesAllClaims(t *testing.T) {
	t.Parallel()
	all := claims.Selection{}
	for name, c := range map[string]struct {
		change func(f *fixture, database *claims.Database)
		next   claims.Selection
		want   bool
	}{
		"not when nothing but time has passed": {func(*fixture, *claims.Database) {}, all, false},
		"not when another organisation has given claims back": {func(f *fixture, database *claims.Database) {
			f.sql(`INSERT INTO claims (id, organization_id, claimant_id, status, approved_at, currency) VALUES ($1, $2, 'E1', 'approved', $3, 'NOK')`, id(9), globex, before)
			attempt := attemptOf("2")
			attempt.OrganizationID = globex
			run, _ := f.reserveAll(database, attempt, year2026)
			f.must(database.Release(f.ctx, run.Fence(), "test"))
		}, all, false},
		"not when a run had nothing to give back": {func(f *fixture, database *claims.Database) {
			f.must(database.Release(f.ctx, f.start(database, attemptOf("2")).Fence(), "test"))
		}, all, false},
		"when the selection has changed":    {func(*fixture, *claims.Database) {}, claims.Selection{Expression: "true"}, true},
		"when it begins at another instant": {func(*fixture, *claims.Database) {}, claims.Selection{ApprovedFrom: before}, true},
		"when a run has given claims back": {func(f *fixture, database *claims.Database) {
			f.claim(2, 1)
			run, _ := f.reserveAll(database, attemptOf("2"), year2026)
			f.must(database.Release(f.ctx, run.Fence(), "test"))
		}, all, true},
		"when a run was reversed": {func(f *fixture, database *claims.Database) {
			attempt := attemptOf("2")
			attempt.Reverses = "1"
			run, _ := f.reverse(database, attempt)
			f.end(database, run)
		}, all, true},
		"when an adoption was reversed": {func(f *fixture, database *claims.Database) {
			f.claim(2, 1)
			adopted := f.mustAdopt(database, elsewhere(id(2)), 1, 0)
			_, err := database.ReverseAdoption(f.ctx, attemptOf("").RunIdentity, adopted.Run, "test")
			f.must(err)
		}, all, true},
		"when the ledger was renewed": {func(f *fixture, database *claims.Database) {
			_, err := database.AcceptLedger(f.ctx, true)
			f.must(err)
		}, all, true},
		"when the clock of the database was ahead": {func(f *fixture, _ *claims.Database) {
			f.sql(`UPDATE ledgerport.runs SET compared_at = compared_at + interval '1 day'`)
		}, all, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			f.claim(1, 1)
			database := f.openWatermarked(v1alpha1.PostgresSource{})
			f.exports(database, "1", all)
			c.change(f, database)
			f.exports(database, "last", c.next)
			if got := f.comparedAll("last"); got != c.want {
				t.Errorf("all were compared: %t", got)
			}
		})
	}
	t.Run("when another source means something else by approved", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.exports(f.openWatermarked(v1alpha1.PostgresSource{}), "1", all)
		other := v1alpha1.PostgresSource{Claims: v1alpha1.ClaimsTable{Approved: v1alpha1.ApprovedFilter{Values: []string{"approved", "paid"}}}}
		f.exports(f.openWatermarked(other), "2", all)
		if !f.comparedAll("2") {
			t.Error("the watermark of another meaning was used")
		}
	})
	t.Run("when their ids are texts, of which two may have one key", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, strings.ReplaceAll(strings.ReplaceAll(applicationTables, "id uuid PRIMARY KEY", "id text PRIMARY KEY"), "claim_id uuid", "claim_id text"))
		f.sql(`INSERT INTO claims (id, organization_id, claimant_id, status, approved_at, currency) VALUES ('007', $1, 'E1', 'approved', $2, 'NOK')`, acme, before.AddDate(0, -1, 0))
		database := f.openWatermarked(v1alpha1.PostgresSource{})
		f.exports(database, "1", all)
		f.sql(`INSERT INTO claims (id, organization_id, claimant_id, status, approved_at, currency) VALUES ('7', $1, 'E1', 'approved', $2, 'NOK')`, acme, before)
		if _, held := f.takeSound(database, f.start(database, attemptOf("2"))); held["7"] == "" {
			t.Errorf("it held %v", held)
		}
	})
}

// TestASystemThatAccepts lets an accounting system take both claims of a run, or one of them. The role is the least-privileged one.
func TestASystemThatAccepts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state claims.VoucherState
		want  []string
	}{
		"one claim of two frees the other": {claims.VoucherRejected, []string{id(2)}},
		"all claims ends no watermark":     {claims.VoucherAcknowledged, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubmission(t, 2)
			s.sql(`UPDATE claims SET approved_at = approved_at - interval '1 month'`)
			s.answer(claims.VoucherAcknowledged, 1)
			s.answer(c.state, 2)
			database, err := claims.Open(s.ctx, claims.Options{URL: s.url, Allowed: insecure, FullCheck: time.Hour})
			s.must(err)
			t.Cleanup(database.Close)
			beside := attemptOf("2")
			beside.Series = "F"
			run := s.start(database, beside)
			reservation := s.reserve(database, run)
			_, held := s.takeAll(reservation, year2026)
			s.must(reservation.Commit(s.ctx, rendered(nil, held)))
			reservation.Rollback()
			accepted := s.taken[:2-len(c.want)]
			s.must(s.Settle(s.ctx, s.run.Fence(), rendered(accepted, int64(len(c.want)))))
			s.sql(`DELETE FROM ledgerport.held_claims`) // by which it would be found, too
			s.end(database, run)
			s.end(s.Database, s.run)
			if taken := s.exports(database, "3", claims.Selection{}); !slices.Equal(taken, c.want) || s.comparedAll("3") != (c.want != nil) {
				t.Errorf("run 3 took %q", taken)
			}
		})
	}
}

// TestAHeldClaimIsLookedAtAgain shows that a hold is lifted though the claim is far below the watermark.
func TestAHeldClaimIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	for name, tables := range map[string]string{
		"where ids are uuids":    applicationTables,
		"where ids are integers": strings.ReplaceAll(strings.ReplaceAll(applicationTables, "id uuid PRIMARY KEY", "id bigint PRIMARY KEY"), "claim_id uuid", "claim_id bigint"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, tables)
			claim := id(1)
			if tables != applicationTables {
				claim = "1"
			}
			f.sql(`INSERT INTO claims (id, organization_id, claimant_id, status, approved_at, currency) SELECT $2, $1, 'E1', 'approved', $3, 'NOK'`, acme, claim, before.AddDate(0, -1, 0))
			database := f.openWatermarked(v1alpha1.PostgresSource{})
			for _, run := range []string{"1", "2"} {
				started, _ := f.reserveAll(database, attemptOf(run), func(*ledger.Claim) int { return 0 })
				f.end(database, started)
				if n := f.count(`SELECT count(*) FROM ledgerport.held_claims WHERE run_id = $1`, run); n != 1 {
					t.Fatalf("run %s held %d claims", run, n)
				}
			}
			// What was held when the ids were of another type, or is too large for this one, is in nobody's way.
			f.sql(`INSERT INTO ledgerport.held_claims (organization_id, claim_table, claim_id, run_id, reason, message)
				SELECT $1, 1, id, '0', 'Unmapped', '' FROM unnest('{x,"",99999999999999999999,9999999999999999999,-1}'::text[]) id`, acme)
			if taken := f.exports(database, "3", claims.Selection{}); !slices.Equal(taken, []string{claim}) || f.comparedAll("3") {
				t.Errorf("run 3 took %q", taken)
			}
		})
	}
}

// TestAReleaseThatARunHasNotSeen commits while a reservation is under way: its watermark must not count.
func TestAReleaseThatARunHasNotSeen(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.old(id(1))
	database, beside := f.openWatermarked(v1alpha1.PostgresSource{}), f.openWatermarked(v1alpha1.PostgresSource{})
	first, _ := f.reserveAll(database, attemptOf("1"), year2026)
	attempt := attemptOf("2")
	attempt.Series = "F"
	second := f.start(beside, attempt)
	reservation := f.reserve(beside, second)
	f.must(database.Release(f.ctx, first.Fence(), "test"))
	taken, held := f.takeAll(reservation, year2026)
	f.must(reservation.Commit(f.ctx, rendered(taken, held)))
	reservation.Rollback()
	f.end(beside, second)
	if len(taken) > 0 {
		t.Fatalf("run 2 took %q", taken)
	}
	if taken := f.exports(database, "3", claims.Selection{}); !slices.Equal(taken, []string{id(1)}) {
		t.Errorf("run 3 took %q: the released claim is lost", taken)
	}
}

// TestARunReadsWhatIsNew counts the rows that a run reads, in all tables.
func TestARunReadsWhatIsNew(t *testing.T) {
	t.Parallel()
	t.Run("and nothing that it has exported before", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.claimRange(20_000)
		f.sql(`UPDATE claims SET approved_at = approved_at - interval '1 year'`)
		f.sql(`ANALYZE`)
		database := f.openWatermarked(v1alpha1.PostgresSource{})
		f.exports(database, "1", claims.Selection{})
		f.sql(`ANALYZE`)
		for n := range 100 {
			f.claim(30_000+n, 1)
		}
		for run, selection := range map[string]claims.Selection{"new": {}, "named": {IDs: []string{id(30_000), id(1)}}} {
			attempt := attemptOf(run)
			attempt.Series = run
			reservation, err := database.Reserve(f.ctx, f.start(database, attempt).Fence(), selection)
			f.must(err)
			taken, _ := f.takeAll(reservation, year2026)
			_, err = reservation.Totals(f.ctx)
			f.must(err)
			if read, err := reservation.RowsRead(f.ctx); err != nil || read > 2000 || len(taken) == 0 {
				t.Errorf("the run of %s claims read %d rows for %d claims (%v)", run, read, len(taken), err)
			}
			reservation.Rollback()
		}
	})
	t.Run("and no claims of others to sum up its own", func(t *testing.T) {
		t.Parallel()
		const own, others = 5100, 30_000 // more than are looked up anyhow, in a table of more pages
		f := newFixture(t, applicationTables)
		f.claimRange(own)
		f.sql(`INSERT INTO claims (id, organization_id, claimant_id, status, approved_at, currency, description)
			SELECT gen_random_uuid(), $1, 'E1', 'approved', $2, 'NOK', repeat(md5(i::text), 50) FROM generate_series(1, $3::int) i`, globex, before, others)
		f.sql(`INSERT INTO claim_lines (claim_id, line_no, expense_date, category, gross_amount, tax_amount) SELECT id, 1, '2026-10-20', 'travel', 125, 25 FROM claims WHERE organization_id = $1`, globex)
		f.sql(`ANALYZE`)
		database := f.open(v1alpha1.PostgresSource{})
		reservation := f.reserve(database, f.start(database, attemptOf("1")))
		taken, _ := f.takeAll(reservation, year2026)
		before, err := reservation.RowsRead(f.ctx)
		f.must(err)
		totals, err := reservation.Totals(f.ctx)
		f.must(err)
		after, err := reservation.RowsRead(f.ctx)
		f.must(err)
		if totals.Claims != own || len(taken) != own || after-before > 4*own {
			t.Errorf("it read %d rows to sum up %d claims", after-before, totals.Claims)
		}
	})
}

// TestAPreviewUsesTheWatermark lets a preview show what a run would take.
func TestAPreviewUsesTheWatermark(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claim(1, 1)
	database := f.openWatermarked(v1alpha1.PostgresSource{})
	f.exports(database, "1", claims.Selection{})
	f.old(id(2))
	f.claim(3, 1)
	preview, err := database.Preview(f.ctx, claims.Run{RunIdentity: attemptOf("2").RunIdentity, Book: claims.MainBook, Series: "E", Cutoff: cutoff})
	f.must(err)
	defer preview.Close()
	claim, err := preview.Next(f.ctx)
	f.must(err)
	if claim.ID != id(3) || fmt.Sprint(len(claim.Lines)) != "1" {
		t.Errorf("it shows %+v", claim)
	}
}
