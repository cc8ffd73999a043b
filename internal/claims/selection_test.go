package claims_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestARunTakesTheClaimsOfItsSelectionAlone(t *testing.T) {
	t.Parallel()
	const first, third, last = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000003", "00000000-0000-4000-8000-000000000005"
	for name, c := range map[string]struct {
		selection claims.Selection
		want      []string
	}{
		"those approved from an instant on":           {claims.Selection{ApprovedFrom: before.Add(5 * time.Millisecond)}, []string{last}},
		"those that it names, however it writes them": {claims.Selection{IDs: []string{third, "{" + first + "}"}}, []string{first, third}},
		"both":                             {claims.Selection{ApprovedFrom: before.Add(2 * time.Millisecond), IDs: []string{first, third}}, []string{third}},
		"none where it names what is none": {claims.Selection{IDs: []string{`"} OR true --`, `\`, "{", ""}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			f.claimRange(5)
			database := f.open(v1alpha1.PostgresSource{})
			run := f.start(database, attemptOf("1"))
			preview, err := database.Preview(f.ctx, claims.Run{RunIdentity: run.RunIdentity, Book: run.Book, Series: run.Series, Cutoff: run.Cutoff, Selection: c.selection})
			f.must(err)
			var shown []string
			for {
				claim, err := preview.Next(f.ctx)
				if errors.Is(err, io.EOF) {
					break
				}
				f.must(err)
				shown = append(shown, claim.ID)
			}
			preview.Close()
			reservation, err := database.Reserve(f.ctx, run.Fence(), c.selection)
			f.must(err)
			t.Cleanup(reservation.Rollback)
			taken, _ := f.takeAll(reservation, year2026)
			if !sameTexts(taken, c.want) || !sameTexts(shown, c.want) {
				t.Errorf("it took %q and previewed %q, want %q", taken, shown, c.want)
			}
			_, err = reservation.Totals(f.ctx)
			f.must(err)
			f.must(reservation.Commit(f.ctx, rendered(taken, 0)))
			if n := f.count(`SELECT count(*) FROM ledgerport.exported_claims`); n != len(c.want) {
				t.Errorf("%d claims are exported, want %d", n, len(c.want))
			}
		})
	}
}

func TestARunLeavesTheHoldsOfClaimsThatItIsNotFor(t *testing.T) {
	t.Parallel()
	const first = "00000000-0000-4000-8000-000000000001"
	f := newFixture(t, applicationTables)
	f.claimRange(3)
	database := f.open(v1alpha1.PostgresSource{})
	holdAll := func(attempt claims.Attempt, selection claims.Selection) {
		t.Helper()
		run := f.start(database, attempt)
		reservation, err := database.Reserve(f.ctx, run.Fence(), selection)
		f.must(err)
		t.Cleanup(reservation.Rollback)
		_, held := f.takeAll(reservation, func(*ledger.Claim) int { return 0 })
		f.must(reservation.Commit(f.ctx, rendered(nil, held)))
		reservation.Rollback()
		f.must(database.MarkDelivered(f.ctx, run.Fence(), ""))
		f.must(database.Commit(f.ctx, run.Fence()))
	}
	held := func(want int) {
		t.Helper()
		if n := f.count(`SELECT count(*) FROM ledgerport.held_claims`); n != want {
			t.Errorf("%d claims are held, want %d", n, want)
		}
	}
	holdAll(attemptOf("1"), claims.Selection{})
	held(3)
	f.sql(`UPDATE claims SET status = 'rejected' WHERE id <> $1`, first)
	holdAll(attemptOf("2"), claims.Selection{IDs: []string{first}})
	held(3) // the run says nothing of the others
	other := attemptOf("3")
	other.Inputs = []byte(`{"claims": {"expression": "claim.currency == 'EUR'"}}`)
	holdAll(other, claims.Selection{ApprovedFrom: cutoff})
	held(3) // those of an export for other claims
	holdAll(attemptOf("4"), claims.Selection{})
	held(1)
}
