package claims_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// bookedElsewhere are claims of a file, and what is wrong with its first line.
type bookedElsewhere struct {
	wrong  *claims.LineError
	claims []claims.Adoptable
	read   int
}

func (b *bookedElsewhere) Next() (claims.Adoptable, error) {
	if wrong := b.wrong; wrong != nil {
		b.wrong = nil
		return claims.Adoptable{}, wrong
	}
	if b.read == len(b.claims) {
		return claims.Adoptable{}, io.EOF
	}
	b.read++
	return b.claims[b.read-1], nil
}

func (*bookedElsewhere) Origin() (name, digest string) { return "booked.csv", strings.Repeat("ab", 32) }

// elsewhere has the voucher OLD-1 for the first id, and so on.
func elsewhere(ids ...string) claims.Adoption {
	var booked bookedElsewhere
	for i, id := range ids {
		booked.claims = append(booked.claims, claims.Adoptable{
			Line: i + 2, ID: id, Voucher: fmt.Sprintf("OLD-%d", i+1), BookedOn: time.Date(2025, 12, i%28+1, 0, 0, 0, 0, time.UTC), Note: "binder 7",
		})
	}
	return claims.Adoption{Namespace: "acme", Export: "monthly", OrganizationID: acme, Book: claims.MainBook, Holder: "test", Claims: &booked}
}

// mustAdopt adopts claims, none of which may be refused.
func (f *fixture) mustAdopt(database *claims.Database, adoption claims.Adoption, adopted, already int64) claims.Adopted {
	f.Helper()
	result, err := database.Adopt(f.ctx, adoption)
	f.must(err)
	if result.Claims != adopted || result.Already != already || result.Wrong != 0 || (result.Run == "") != (adopted == 0 || adoption.DryRun) {
		f.Fatalf("the adoption comes to %+v, want %d adopted and %d before", result, adopted, already)
	}
	return result
}

// statusOf returns what the application sees of the claims of an organisation.
func (f *fixture) statusOf(organization string) (status []string) {
	f.Helper()
	f.must(pgx.BeginFunc(f.ctx, f.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(f.ctx, `SELECT set_config('ledgerport.organization_id', $1, true)`, organization); err != nil {
			return err
		}
		rows, _ := tx.Query(f.ctx, `SELECT concat_ws(' ', book, right(claim_id, 1), state, voucher, reason) FROM ledgerport.claim_status ORDER BY 1`)
		var err error
		status, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}))
	return status
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	t.Run("keeps every run of the book from exporting a claim", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.claimRange(4)
		database := f.openAs(testdb.Operator(t, f.url, "role.sql", "migrated.sql")) // the role of least rights can do it
		held, _ := f.reserveAll(database, attemptOf("0"), func(*ledger.Claim) int { return 0 })
		f.must(database.MarkDelivered(f.ctx, held.Fence(), ""))
		f.must(database.Commit(f.ctx, held.Fence()))
		before := f.ledger(database)
		// Its status says nothing: what was booked by hand may have another one long since.
		f.sql(`UPDATE claims SET status = 'paid' WHERE id = $1`, id(2))
		adopted := f.mustAdopt(database, elsewhere(id(1), strings.ToUpper("{"+id(2)+"}")), 2, 0)
		f.sql(`UPDATE claims SET status = 'approved'`)
		if after := f.ledger(database); after.Sequence != before.Sequence+1 {
			t.Errorf("the ledger went from %d to %d", before.Sequence, after.Sequence)
		}
		want := []string{"main 1 adopted OLD-1", "main 2 adopted OLD-2", "main 3 held Unmapped", "main 4 held Unmapped"}
		if got := f.statusOf(acme); !slices.Equal(got, want) {
			t.Errorf("the application sees %q, want %q", got, want)
		}
		if n := f.count(`SELECT count(*) FROM ledgerport.vouchers WHERE run = $1 AND type = 'adoption' AND state = 'committed' AND series IS NULL AND voucher_number IS NULL
			AND foreign_voucher = 'OLD-' || position AND booked_on = date '2025-12-01' + position::int - 1`, adopted.Run); n != 2 {
			t.Errorf("the view of vouchers has %d of the adoption", n)
		}
		if n := f.count(`SELECT count(*) FROM ledgerport.runs WHERE name = $1 AND claims = 2 AND inputs->>'file' = 'booked.csv' AND length(inputs->>'sha256') = 64`, adopted.Run); n != 1 {
			t.Error("its run does not say what was adopted")
		}

		run, taken := f.reserveAll(database, attemptOf("1"), year2026)
		if !slices.Equal(taken, []string{id(3), id(4)}) {
			t.Errorf("the next run takes %q", taken)
		}
		f.must(database.MarkDelivered(f.ctx, run.Fence(), ""))
		f.must(database.Commit(f.ctx, run.Fence()))
		if _, taken := f.reserveAll(database, inBook("2", "payments"), year2026); len(taken) != 4 {
			t.Errorf("another book takes %q", taken)
		}
	})
	t.Run("of the same file again adopts nothing, and of a longer one the rest", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.claimRange(3)
		database := f.open(v1alpha1.PostgresSource{})
		f.mustAdopt(database, elsewhere(id(1), id(2)), 2, 0)
		before := f.ledger(database)
		f.mustAdopt(database, elsewhere(id(1), id(2)), 0, 2)
		if after := f.ledger(database); after != before {
			t.Errorf("the ledger went from %+v to %+v", before, after)
		}
		f.sql(`DELETE FROM claim_lines`)
		f.sql(`DELETE FROM claims WHERE id = $1`, id(1)) // what is adopted is not asked for any more
		f.mustAdopt(database, elsewhere(id(1), id(2), id(3)), 1, 2)
		if n := f.count(`SELECT count(*) FROM ledgerport.runs WHERE type = 'adoption'`); n != 2 {
			t.Errorf("%d runs are recorded", n)
		}
	})
	t.Run("changes nothing as a dry run", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.claimRange(2)
		database := f.open(v1alpha1.PostgresSource{})
		before := f.ledger(database)
		adoption := elsewhere(id(1), id(2))
		adoption.DryRun = true
		f.mustAdopt(database, adoption, 2, 0)
		for _, table := range []string{"runs", "claim_tables", "exported_claims", "adopted_vouchers"} {
			if n := f.count(`SELECT count(*) FROM ledgerport.` + table); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
		if after := f.ledger(database); after != before {
			t.Errorf("the ledger went from %+v to %+v", before, after)
		}
	})
	t.Run("of thousands of claims adopts none if the last is wrong", func(t *testing.T) {
		t.Parallel()
		const many = 5000
		f := newFixture(t, applicationTables)
		f.claimRange(many)
		database := f.open(v1alpha1.PostgresSource{})
		ids := make([]string, many)
		for i := range ids {
			ids[i] = id(i + 1)
		}
		result, err := database.Adopt(f.ctx, elsewhere(append(slices.Clone(ids), id(1))...))
		f.must(err)
		if result.Wrong != 1 || result.Problems[0].Error() != fmt.Sprintf("line %d: claim %q is in the file twice", many+2, id(1)) {
			t.Errorf("the adoption comes to %+v", result)
		}
		if n := f.count(`SELECT count(*) FROM ledgerport.exported_claims`); n != 0 {
			t.Errorf("%d claims are bound", n)
		}
		f.mustAdopt(database, elsewhere(ids...), many, 0)
		if _, taken := f.reserveAll(database, attemptOf("1"), year2026); len(taken) != 0 {
			t.Errorf("the next run takes %d claims", len(taken))
		}
	})
}

func TestAdopt_RefusesByLine(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(6)
	f.sql(`UPDATE claims SET organization_id = $1 WHERE id = $2`, globex, id(4))
	database := f.open(v1alpha1.PostgresSource{})
	only := func(wanted ...string) func(*ledger.Claim) int {
		return func(claim *ledger.Claim) int {
			if slices.Contains(wanted, claim.ID) {
				return 2026
			}
			return 0
		}
	}
	exported, _ := f.reserveAll(database, attemptOf("1"), only(id(1), id(5)))
	f.must(database.MarkDelivered(f.ctx, exported.Fence(), ""))
	f.must(database.Commit(f.ctx, exported.Fence()))
	f.reserveAll(database, attemptOf("2"), only(id(3)))
	f.sql(`UPDATE ledgerport.exported_claims SET organization_id = 'before' WHERE claim_id = $1`, id(5))
	f.mustAdopt(database, elsewhere(id(6)), 1, 0)
	records := f.count(`SELECT count(*) FROM ledgerport.exported_claims`)

	with := func(change func(*claims.Adoptable)) claims.Adoption {
		adoption := elsewhere(id(2))
		change(&adoption.Claims.(*bookedElsewhere).claims[0])
		return adoption
	}
	unread := elsewhere(id(2))
	unread.Claims.(*bookedElsewhere).wrong = &claims.LineError{Line: 7, Problem: "too few fields"}
	for name, test := range map[string]struct {
		adoption claims.Adoption
		problem  string
	}{
		"a claim that is exported":                   {elsewhere(id(1)), `claim "` + id(1) + `" was exported by run acme/monthly-1`},
		"a claim that is reserved":                   {elsewhere(id(3)), `is reserved by run acme/monthly-2 (rendered)`},
		"a claim of another organisation":            {elsewhere(id(4)), `line 2: organisation ` + acme + ` has no claim "` + id(4) + `" in public.claims`},
		"a claim that does not exist":                {elsewhere(id(9)), `has no claim "` + id(9)},
		"an id that no claim can have":               {elsewhere("4711"), `"4711" is not the id of a claim: column public.claims.id is uuid`},
		"a claim that is named twice":                {elsewhere(id(2), strings.ToUpper(id(2))), `line 3: claim "` + id(2) + `" is in line 2, too`},
		"a claim that moved to another organisation": {elsewhere(id(5)), `claim "` + id(5) + `" was exported by run`},
		"a claim that has another voucher":           {with(func(c *claims.Adoptable) { c.ID, c.Voucher = id(6), "OLD-2" }), `as voucher "OLD-1" of 2025-12-01`},
		"a claim that was booked on another day":     {with(func(c *claims.Adoptable) { c.ID, c.BookedOn = id(6), cutoff }), `was adopted by run acme/adoption-`},
		"no id":                                      {with(func(c *claims.Adoptable) { c.ID = "" }), `claim is empty`},
		"no voucher":                                 {with(func(c *claims.Adoptable) { c.Voucher = "" }), `voucher is empty`},
		"a voucher that is too long":                 {with(func(c *claims.Adoptable) { c.Voucher = strings.Repeat("9", 256) }), `voucher has more than 255 bytes`},
		"a voucher of two lines":                     {with(func(c *claims.Adoptable) { c.Voucher = "1\n2" }), `voucher has a character that cannot be printed`},
		"a note that is not UTF8":                    {with(func(c *claims.Adoptable) { c.Note = "caf\xe9" }), `note is not UTF-8`},
		"a day of no year":                           {with(func(c *claims.Adoptable) { c.BookedOn = time.Time{} }), `date is in the year 1`},
		"a line that cannot be read":                 {unread, `line 7: too few fields`},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := database.Adopt(f.ctx, test.adoption)
			f.must(err)
			if result.Run != "" || result.Wrong != 1 || len(result.Problems) != 1 || !strings.Contains(result.Problems[0].Error(), test.problem) {
				t.Errorf("the adoption comes to %+v, want %q", result, test.problem)
				for _, problem := range result.Problems {
					t.Error(problem)
				}
			}
			if n := f.count(`SELECT count(*) FROM ledgerport.exported_claims`); n != records {
				t.Errorf("%d claims are bound, want the %d of before", n, records)
			}
		})
	}
}

// waits until a session of the database waits for another's lock.
func (f *fixture) waits() {
	f.Helper()
	for f.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
		select {
		case <-f.ctx.Done():
			f.Fatal("no session waits")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestAdopt_BesideARunThatReserves(t *testing.T) {
	t.Parallel()
	type outcome struct {
		adopted claims.Adopted
		err     error
	}
	// beside lets a run take the claims and an adoption wait for it, and returns the run's reservation.
	beside := func(t *testing.T) (*fixture, *claims.Reservation, []string, chan outcome) {
		f := newFixture(t, applicationTables)
		f.claimRange(2)
		database, other := f.open(v1alpha1.PostgresSource{}), f.open(v1alpha1.PostgresSource{})
		run := f.start(database, attemptOf("1"))
		reservation := f.reserve(database, run)
		taken, _ := f.takeAll(reservation, year2026)
		_, err := reservation.Totals(f.ctx) // all is written
		f.must(err)
		ended := make(chan outcome, 1)
		ctx, cancel := context.WithTimeout(f.ctx, time.Minute)
		t.Cleanup(cancel)
		go func() {
			adopted, err := other.Adopt(ctx, elsewhere(id(2)))
			ended <- outcome{adopted, err}
		}()
		f.waits()
		return f, reservation, taken, ended
	}
	t.Run("it refuses what the run has reserved in the end", func(t *testing.T) {
		t.Parallel()
		f, reservation, taken, ended := beside(t)
		f.must(reservation.Commit(f.ctx, rendered(taken, 0)))
		end := <-ended
		f.must(end.err)
		if end.adopted.Run != "" || end.adopted.Wrong != 1 || !strings.Contains(end.adopted.Problems[0].Error(), "is reserved by run acme/monthly-1 (rendered)") {
			t.Errorf("the adoption comes to %+v", end.adopted)
		}
	})
	t.Run("it adopts what the run gives back", func(t *testing.T) {
		t.Parallel()
		f, reservation, _, ended := beside(t)
		reservation.Rollback()
		end := <-ended
		f.must(end.err)
		if end.adopted.Run == "" || end.adopted.Claims != 1 {
			t.Errorf("the adoption comes to %+v", end.adopted)
		}
	})
	t.Run("the run takes nothing that was adopted since it began to read", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.claimRange(3)
		database := f.open(v1alpha1.PostgresSource{})
		run := f.start(database, attemptOf("1"))
		reservation := f.reserve(database, run)
		f.mustAdopt(f.open(v1alpha1.PostgresSource{}), elsewhere(id(2)), 1, 0)
		taken, _ := f.takeAll(reservation, year2026)
		mustFail(t, reservation.Commit(f.ctx, rendered(taken, 0)), v1alpha1.ReasonReservationConflict)
		reservation.Rollback()
		reservation = f.reserve(database, run)
		if taken, _ := f.takeAll(reservation, year2026); !slices.Equal(taken, []string{id(1), id(3)}) {
			t.Errorf("the second pass takes %q", taken)
		}
		f.must(reservation.Commit(f.ctx, rendered(nil, 0)))
	})
	t.Run("two adoptions of one file adopt it once", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.claimRange(500)
		ids := make([]string, 500)
		for i := range ids {
			ids[i] = id(i + 1)
		}
		ended := make(chan outcome, 2)
		for range 2 {
			database := f.open(v1alpha1.PostgresSource{})
			go func() {
				adopted, err := database.Adopt(f.ctx, elsewhere(ids...))
				ended <- outcome{adopted, err}
			}()
		}
		first, second := <-ended, <-ended
		f.must(first.err)
		f.must(second.err)
		if first.adopted.Claims+second.adopted.Claims != 500 || first.adopted.Already+second.adopted.Already != 500 || (first.adopted.Run == "") == (second.adopted.Run == "") {
			t.Errorf("they come to %+v and %+v", first.adopted, second.adopted)
		}
	})
}

func TestReverseAdoption(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(2)
	database := f.openAs(testdb.Operator(t, f.url, "role.sql", "migrated.sql"))
	adopted := f.mustAdopt(database, elsewhere(id(1), id(2)), 2, 0)
	by := attemptOf("back").RunIdentity

	_, err := database.Reversible(f.ctx, by, adopted.Run, nil)
	if failed := failureWith(t, err, v1alpha1.ReasonNotReversible); !strings.Contains(failed.Message, "ledgerport adopt --reverse "+adopted.Run) {
		t.Errorf("an ExportRun that reverses it is told %q", failed.Message)
	}
	_, err = database.ReverseAdoption(f.ctx, by, "monthly-1", "test")
	mustFail(t, err, v1alpha1.ReasonRunNotFound)
	if _, found, err := database.RunNamed(f.ctx, claims.RunIdentity{Namespace: "acme", Export: "monthly", Name: adopted.Run, OrganizationID: acme}); found || err != nil {
		t.Errorf("an ExportRun of its name is told its record (%v)", err)
	}

	before := f.ledger(database)
	reversal, err := database.ReverseAdoption(f.ctx, by, adopted.Run, "test")
	f.must(err)
	if reversal.Type != claims.TypeReversal || reversal.State != claims.StateCommitted || reversal.Claims != 2 || reversal.Sequence != before.Sequence+1 {
		t.Errorf("the reversal is %+v", reversal)
	}
	_, err = database.ReverseAdoption(f.ctx, by, adopted.Run, "test")
	if failed := failureWith(t, err, v1alpha1.ReasonAlreadyReversed); !strings.Contains(failed.Message, reversal.Name) {
		t.Errorf("a second reversal is told %q", failed.Message)
	}
	if got := f.statusOf(acme); len(got) != 0 {
		t.Errorf("the application sees %q", got)
	}
	if n := f.count(`SELECT count(*) FROM ledgerport.vouchers WHERE run = $1 AND reversed_by = $2 AND foreign_voucher IN ('OLD-1', 'OLD-2')`, adopted.Run, reversal.Name); n != 2 {
		t.Errorf("the history has %d of its vouchers", n)
	}
	f.mustAdopt(database, elsewhere(id(1)), 1, 0)
	if _, taken := f.reserveAll(database, attemptOf("1"), year2026); !slices.Equal(taken, []string{id(2)}) {
		t.Errorf("the next run takes %q", taken)
	}
}
