package claims_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

// reverse starts a reversal of a run, or of claims of it, and returns it in state rendered, with the claims whose vouchers it reverses.
func (f *fixture) reverse(database *claims.Database, attempt claims.Attempt, ids ...string) (claims.Run, []string) {
	f.Helper()
	run := f.start(database, attempt)
	reversal, err := database.Reverse(f.ctx, run.Fence(), ids)
	f.must(err)
	f.Cleanup(reversal.Rollback)
	var voucher ledger.Voucher
	var taken []string
	for {
		reverse, err := reversal.Next(f.ctx, &voucher)
		if errors.Is(err, io.EOF) {
			break
		}
		f.must(err)
		if reverse {
			voucher.Number = reversal.NextNumber(voucher.FiscalYear)
			f.must(reversal.Take(f.ctx, &voucher))
			taken = append(taken, voucher.ClaimID)
		}
	}
	f.must(reversal.Commit(f.ctx, rendered(taken, 0)))
	reversal.Rollback()
	return run, taken
}

// end commits a run that is rendered.
func (f *fixture) end(database *claims.Database, run claims.Run) {
	f.Helper()
	f.must(database.MarkDelivered(f.ctx, run.Fence(), ""))
	f.must(database.Commit(f.ctx, run.Fence()))
}

func TestClaimsThatAReversalNamesAreReversedAllOrNone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(4)
	database := f.open(v1alpha1.PostgresSource{})
	first, _ := f.reserveAll(database, attemptOf("1"), year2026)
	f.end(database, first)
	back := attemptOf("2")
	back.Reverses = first.ID
	reversed, taken := f.reverse(database, back, "{"+strings.ToUpper(id(2))+"}", id(3), id(2))
	if !sameTexts(taken, []string{id(2), id(3)}) {
		t.Fatalf("it reversed %q", taken)
	}
	f.end(database, reversed)
	for name, test := range map[string]struct {
		ids    []string
		reason v1alpha1.Reason
		words  []string
	}{
		"a claim that is reversed":     {[]string{id(1), id(2)}, v1alpha1.ReasonAlreadyReversed, []string{id(2) + " (by run monthly-2)"}},
		"a claim of no run":            {[]string{id(1), id(9)}, v1alpha1.ReasonClaimNotExported, []string{"run monthly-1", "did not export " + id(9)}},
		"what is no id":                {[]string{"\u202e'; DROP"}, v1alpha1.ReasonClaimNotExported, []string{`\u202e'; DROP`}},
		"more than a message can have": {[]string{"a", "b", "c", "d", "e", "f", "g"}, v1alpha1.ReasonClaimNotExported, []string{"a, b, c, d, e, and 2 more"}},
	} {
		t.Run("not with "+name, func(t *testing.T) {
			_, err := database.Reversible(f.ctx, attemptOf("3").RunIdentity, first.Name, test.ids)
			failed := failureWith(t, err, test.reason)
			if !failed.Stalled || slices.ContainsFunc(test.words, func(word string) bool { return !strings.Contains(failed.Message, word) }) {
				t.Errorf("%+v, want %q", failed, test.words)
			}
		})
	}
	t.Run("but with any that are left", func(t *testing.T) {
		source, err := database.Reversible(f.ctx, attemptOf("3").RunIdentity, first.Name, []string{id(4), id(1)})
		if err != nil || source.ID != first.ID {
			t.Errorf("%+v, %v", source, err)
		}
	})
	t.Run("and the rest without a name", func(t *testing.T) {
		rest := attemptOf("4")
		rest.Reverses = first.ID
		run, taken := f.reverse(database, rest)
		if !sameTexts(taken, []string{id(1), id(4)}) {
			t.Errorf("it reversed %q", taken)
		}
		f.end(database, run)
		_, err := database.Reversible(f.ctx, attemptOf("5").RunIdentity, first.Name, nil)
		if failed := failureWith(t, err, v1alpha1.ReasonAlreadyReversed); !strings.Contains(failed.Message, "is reversed by run monthly-2, monthly-4") {
			t.Errorf("%+v", failed)
		}
	})
}

// TestEachVoucherIsReversedOnce makes runs, reversals of everything and of some, and gives some of them back, in any order, and compares
// the ledger with what each has taken.
func TestEachVoucherIsReversedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(12)
	database := f.open(v1alpha1.PostgresSource{})
	random := rand.New(rand.NewPCG(1, 2)) // the same each time
	exported := map[string]string{}       // by claim: the run
	var runs []string
	for n := 1; n <= 40; n++ {
		attempt := attemptOf(fmt.Sprint(n))
		if len(runs) == 0 || random.IntN(3) == 0 {
			run, taken := f.reserveAll(database, attempt, year2026)
			if free := 12 - len(exported); len(taken) != free {
				t.Fatalf("run %d took %d claims, and %d are free", n, len(taken), free)
			}
			if random.IntN(4) == 0 {
				f.must(database.Release(f.ctx, run.Fence(), "test"))
				continue
			}
			f.end(database, run)
			for _, claim := range taken {
				exported[claim] = run.ID
			}
			if len(taken) > 0 {
				runs = append(runs, run.ID)
			}
			continue
		}
		of := runs[random.IntN(len(runs))]
		var left, named []string
		for claim, run := range exported {
			if run == of {
				left = append(left, claim)
			}
		}
		slices.Sort(left)
		want := left
		if len(left) > 0 && random.IntN(3) > 0 {
			random.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
			named = left[:1+random.IntN(len(left))]
			want = named
		}
		_, err := database.Reversible(f.ctx, attempt.RunIdentity, "monthly-"+of, named)
		if len(left) == 0 {
			mustFail(t, err, v1alpha1.ReasonAlreadyReversed)
			continue
		}
		f.must(err)
		attempt.Reverses = of
		run, taken := f.reverse(database, attempt, named...)
		if !sameTexts(taken, want) {
			t.Fatalf("reversal %d took %q, want %q", n, taken, want)
		}
		if random.IntN(4) == 0 {
			f.must(database.Release(f.ctx, run.Fence(), "test"))
			continue
		}
		f.end(database, run)
		for _, claim := range taken {
			delete(exported, claim)
		}
	}
	for query, want := range map[string]int{
		`SELECT count(*) FROM ledgerport.exported_claims`: len(exported),
		// Each voucher but those of reversals that is not exported has exactly one committed reversal, and that of its own claim.
		`SELECT count(*) FROM ledgerport.reversal_vouchers v WHERE v.reverses IS NULL AND 1 <> (SELECT count(*) FROM ledgerport.reversal_vouchers w
			JOIN ledgerport.runs r ON r.id = w.run_id AND r.state = 'committed' WHERE w.reverses = v.run_id AND w.reverses_position = v.position AND w.claim_id = v.claim_id)`: 0,
		`SELECT count(*) FROM ledgerport.vouchers WHERE type = 'reversal' AND (reverses IS NULL OR reversed_by IS NOT NULL)`:                                                                                    0,
		`SELECT count(*) FROM ledgerport.vouchers v WHERE type = 'export' AND (reversed_by IS NULL) <> EXISTS (SELECT FROM ledgerport.exported_claims e WHERE e.run_id = v.run_id AND e.position = v.position)`: 0,
		`SELECT (SELECT count(*) FROM ledgerport.vouchers) - (SELECT count(*) FROM ledgerport.exported_claims) - (SELECT count(*) FROM ledgerport.reversal_vouchers)`:                                           0,
	} {
		if n := f.count(query); n != want {
			t.Errorf("%d, want %d: %s", n, want, query)
		}
	}
}

func TestAReversalRefusesVouchersThatAreNotThoseOfItsRun(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		"one too few":      `DELETE FROM ledgerport.exported_claims WHERE position = 3`,
		"the last missing": `DELETE FROM ledgerport.exported_claims WHERE position = 4`,
		"of another claim": `UPDATE ledgerport.exported_claims SET claim_id = 'x' WHERE position = 2`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			f.claimRange(4)
			database := f.open(v1alpha1.PostgresSource{})
			first, _ := f.reserveAll(database, attemptOf("1"), year2026)
			f.end(database, first)
			f.sql(damage)
			back := attemptOf("2")
			back.Reverses = first.ID
			reversal, err := database.Reverse(f.ctx, f.start(database, back).Fence(), nil)
			f.must(err)
			defer reversal.Rollback()
			var voucher ledger.Voucher
			for err == nil {
				_, err = reversal.Next(f.ctx, &voucher)
			}
			var failed *failure.Error
			if !errors.As(err, &failed) || failed.Reason != v1alpha1.ReasonRecordInvalid {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

func TestMigration_ReversalsOfBeforeKnowWhichVouchersTheyReverse(t *testing.T) {
	t.Parallel()
	f := upTo(t, 9)
	f.sql(`INSERT INTO ledgerport.claim_tables (id) VALUES (1)`)
	f.sql(`INSERT INTO ledgerport.runs (id, namespace, export, name, organization_id, series, state, attempt, holder, deadline, inputs, cutoff, type, reverses, committed_at, released_at)
		SELECT id, 'acme', 'monthly', id, 'acme', 'E', state, 1, 'pod', now(), '{}', now(), CASE WHEN reverses IS NULL THEN 'export' ELSE 'reversal' END, reverses,
			CASE state WHEN 'committed' THEN now() END, CASE state WHEN 'released' THEN now() END
		FROM (VALUES ('a', 'committed', NULL), ('back-a', 'committed', 'a'), ('b', 'committed', NULL), ('gone-b', 'released', 'b'), ('back-b', 'delivered', 'b')) r (id, state, reverses)`)
	f.sql(`INSERT INTO ledgerport.exported_claims SELECT 1, 'acme', 'claim-' || n, 'b', n * 10, 2026, n + 6 FROM generate_series(1, 3) n`) // some were rejected, by a system
	f.sql(`INSERT INTO ledgerport.reversal_vouchers SELECT 'acme', 'same', run, n, 2026, n + first FROM (VALUES ('a', 0), ('back-a', 3)) r (run, first), generate_series(1, 3) n`)
	f.sql(`INSERT INTO ledgerport.reversal_vouchers SELECT 'acme', 'claim-' || n, 'back-b', n, 2026, n + 9 FROM generate_series(1, 3) n`)
	database := f.open(v1alpha1.PostgresSource{})
	f.must(database.Migrate(f.ctx))
	for query, want := range map[string]int{
		`SELECT count(*) FROM ledgerport.reversal_vouchers WHERE reverses IS NULL`:                                                           3,
		`SELECT count(*) FROM ledgerport.reversal_vouchers WHERE run_id = 'back-a' AND reverses = 'a' AND reverses_position = position`:      3,
		`SELECT count(*) FROM ledgerport.reversal_vouchers WHERE run_id = 'back-b' AND reverses = 'b' AND reverses_position = position * 10`: 3,
		`SELECT count(*) FROM ledgerport.vouchers WHERE run_id = 'a' AND reversed_by = 'back-a'`:                                             3,
		`SELECT count(*) FROM ledgerport.vouchers WHERE run_id = 'b' AND reversed_by IS NOT NULL`:                                            0,
		`SELECT count(*) FROM ledgerport.vouchers WHERE type = 'reversal' AND reverses = 'E/2026/' || voucher_number - 3`:                    6,
	} {
		if n := f.count(query); n != want {
			t.Errorf("%d, want %d: %s", n, want, query)
		}
	}
	f.must(database.Commit(f.ctx, claims.Fence{RunID: "back-b", OrganizationID: "acme", Attempt: 1}))
	if n := f.count(`SELECT count(*) FROM ledgerport.exported_claims`); n != 0 {
		t.Errorf("%d claims of the run are not free after its reversal", n)
	}
}
