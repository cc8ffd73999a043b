package claims_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestRun_KeepsOnRecordWhatEachStepSays(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(2)
	database := f.open(v1alpha1.PostgresSource{})
	attempt := attemptOf("1")
	if _, found, err := database.Run(t.Context(), "1"); found || err != nil {
		t.Fatalf("a run is recorded before it began, %v", err)
	}
	run, taken := f.reserveAll(database, attempt, year2026)
	f.must(database.MarkDelivered(t.Context(), run.Fence(), "s3://books/monthly.csv"))
	f.must(database.Commit(t.Context(), run.Fence()))

	got, found, err := database.Run(t.Context(), "1")
	f.must(err)
	if !found || got.State != claims.StateCommitted || !got.State.Finished() || got.Attempt != 1 || got.Holder != "pod-1" || got.Cluster != "here" || got.Series != "E" ||
		got.RunIdentity != attempt.RunIdentity || !got.Cutoff.Equal(cutoff) || got.Deadline.Before(got.StartedAt.Add(attempt.Deadline)) || got.Deadline.After(got.RenderedAt.Add(attempt.Deadline)) ||
		!bytes.Equal(got.Inputs, attempt.Inputs) || got.Location != "s3://books/monthly.csv" {
		t.Errorf("recorded is %+v", got)
	}
	if !reflect.DeepEqual(got.Rendered, rendered(taken, 0)) {
		t.Errorf("of the artifact there is recorded %+v", got.Rendered)
	}
	for _, at := range []*time.Time{got.RenderedAt, got.DeliveredAt, got.CommittedAt} {
		if at == nil || at.Before(got.StartedAt) {
			t.Errorf("a step was at %v", at)
		}
	}
	if got.ReleasedAt != nil {
		t.Error("the run was released")
	}
}

func TestStartAttempt_RaisesTheAttemptAndKeepsTheInputsOfTheReservation(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(1)
	database := f.open(v1alpha1.PostgresSource{})
	f.start(database, attemptOf("1"))

	changed := attemptOf("1")
	changed.Holder, changed.Inputs, changed.Series = "pod-2", []byte(`{"second": true}`), "F"
	run := f.start(database, changed)
	if run.Attempt != 2 || run.Holder != "pod-2" || string(run.Inputs) != `{"second": true}` || run.Series != "F" {
		t.Errorf("the second attempt is %+v", run)
	}
	reservation := f.reserve(database, run)
	f.takeAll(reservation, year2026)
	f.must(reservation.Commit(t.Context(), claims.Rendered{Manifest: []byte(`{}`)}))
	reservation.Rollback()

	run = f.start(database, attemptOf("1"))
	if run.Attempt != 3 || run.Holder != "pod-1" || string(run.Inputs) != `{"second": true}` || run.Series != "F" || run.State != claims.StateRendered {
		t.Errorf("the third attempt is %+v", run)
	}
	f.must(database.MarkDelivered(t.Context(), run.Fence(), ""))
	f.must(database.Commit(t.Context(), run.Fence()))
	if run = f.start(database, attemptOf("1")); run.Attempt != 3 || run.State != claims.StateCommitted {
		t.Errorf("after the end the run is %+v", run)
	}
}

func TestAnAttemptThatCannotBeCommittedReturnsNoRecord(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(*fixture, *claims.Database) (claims.Run, error){
		"StartAttempt of a new run": func(f *fixture, database *claims.Database) (claims.Run, error) {
			other := attemptOf("2")
			other.Series = "F"
			return database.StartAttempt(f.ctx, other)
		},
		"StartAttempt of a recorded run": func(f *fixture, database *claims.Database) (claims.Run, error) {
			return database.StartAttempt(f.ctx, attemptOf("1"))
		},
		"TakeOver": func(f *fixture, database *claims.Database) (claims.Run, error) {
			return database.TakeOver(f.ctx, "1", "pod-2", "here", time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			database := f.open(v1alpha1.PostgresSource{})
			f.start(database, attemptOf("1"))
			before := f.ledger(database)
			f.sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not today''; END';
				CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON ledgerport.runs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
			run, err := take(f, database)
			if err == nil || !reflect.DeepEqual(run, claims.Run{}) {
				t.Errorf("got the run %+v and %v, want an error alone", run, err)
			}
			if after := f.ledger(database); after != before {
				t.Errorf("the ledger went from %+v to %+v", before, after)
			}
		})
	}
}

func TestStartAttempt_OneUnfinishedRunPerSeries(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	database := f.open(v1alpha1.PostgresSource{})
	run := f.start(database, attemptOf("1"))

	_, err := database.StartAttempt(t.Context(), attemptOf("2"))
	if failed := failureWith(t, err, v1alpha1.ReasonSeriesBusy); failed.Stalled || !strings.Contains(failed.Message, "run acme/monthly-1 (started)") {
		t.Errorf("%+v", failed)
	}
	other := attemptOf("3")
	other.Series = "F"
	f.start(database, other)
	foreign := attemptOf("4")
	foreign.OrganizationID = globex
	f.start(database, foreign)

	f.must(database.Release(t.Context(), run.Fence(), "cancelled"))
	f.start(database, attemptOf("2"))
}

func TestStartAttempt_SupersedesOnlyWhatHoldsNothingAndIsLate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(1)
	database := f.open(v1alpha1.PostgresSource{})
	late := attemptOf("1")
	late.Deadline = -time.Second
	stale := f.start(database, late)
	f.start(database, attemptOf("2"))
	if run, _, err := database.Run(t.Context(), "1"); err != nil || run.State != claims.StateReleased || run.ReleaseReason != claims.ReleasedSuperseded {
		t.Errorf("the late run is %s (%s), %v", run.State, run.ReleaseReason, err)
	}
	_, err := database.Reserve(t.Context(), stale.Fence(), claims.Selection{})
	mustFail(t, err, v1alpha1.ReasonFenced)

	holding := attemptOf("2")
	holding.Deadline = -time.Second
	f.reserveAll(database, holding, year2026)
	_, err = database.StartAttempt(t.Context(), attemptOf("3"))
	mustFail(t, err, v1alpha1.ReasonSeriesBusy)
}

func TestRelease_GivesClaimsBackAndVoidsTheirNumbers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(4)
	database := f.open(v1alpha1.PostgresSource{})
	year := 2024
	run, taken := f.reserveAll(database, attemptOf("1"), func(*ledger.Claim) int { year++; return 2025 + year%2 })
	f.must(database.Release(t.Context(), run.Fence(), "cancelled"))

	if n := f.count(`SELECT count(*) FROM ledgerport.voided_vouchers WHERE organization_id = $1 AND series = 'E' AND run_id = '1' AND reason = 'cancelled'
		AND fiscal_year IN (2025, 2026) AND (first, last) = (1, 2)`, acme); n != 2 {
		t.Errorf("%d of two ranges are recorded as voided", n)
	}
	got, _, err := database.Run(t.Context(), "1")
	if err != nil || got.State != claims.StateReleased || got.ReleaseReason != "cancelled" || got.ReleasedAt == nil {
		t.Errorf("the released run is %+v, %v", got, err)
	}
	mustFail(t, database.Release(t.Context(), run.Fence(), "again"), v1alpha1.ReasonFenced)
	mustFail(t, database.MarkDelivered(t.Context(), run.Fence(), ""), v1alpha1.ReasonFenced)

	run, again := f.reserveAll(database, attemptOf("2"), year2026)
	if !slices.Equal(again, taken) {
		t.Errorf("the next run took %v, want %v", again, taken)
	}
	f.mustHaveVouchers(database, run, again, []number{{FiscalYear: 2026, Number: 3}, {FiscalYear: 2026, Number: 4}, {FiscalYear: 2026, Number: 5}, {FiscalYear: 2026, Number: 6}})
}

func TestSteps_OfAnOlderAttemptOrOutOfTurnChangeNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(1)
	database := f.open(v1alpha1.PostgresSource{})
	old, _ := f.reserveAll(database, attemptOf("1"), year2026)
	fresh := f.start(database, attemptOf("1"))
	for name, step := range map[string]func(claims.Fence) error{
		"delivered": func(fence claims.Fence) error { return database.MarkDelivered(t.Context(), fence, "") },
		"committed": func(fence claims.Fence) error { return database.Commit(t.Context(), fence) },
		"released":  func(fence claims.Fence) error { return database.Release(t.Context(), fence, "") },
	} {
		mustFail(t, step(old.Fence()), v1alpha1.ReasonFenced)
		mustFail(t, step(claims.Fence{RunID: "unknown", Attempt: 1}), v1alpha1.ReasonFenced)
		if run, _, err := database.Run(t.Context(), "1"); err != nil || run.State != claims.StateRendered {
			t.Errorf("%s: the run is %s, %v", name, run.State, err)
		}
	}
	_, err := database.Vouchers(t.Context(), old.Fence())
	mustFail(t, err, v1alpha1.ReasonFenced)
	mustFail(t, database.Commit(t.Context(), fresh.Fence()), v1alpha1.ReasonFenced) // not delivered yet
	f.must(database.MarkDelivered(t.Context(), fresh.Fence(), ""))
	mustFail(t, database.Release(t.Context(), fresh.Fence(), ""), v1alpha1.ReasonFenced) // somebody may have imported it
}

func TestSteps_AreTheOrganizationsForRowLevelSecurity(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(2)
	role := f.role()
	f.sql(`GRANT SELECT ON claims, claim_lines TO ` + role)
	f.sql(`GRANT USAGE ON SCHEMA ledgerport TO ` + role)
	f.sql(`GRANT ALL ON ALL TABLES IN SCHEMA ledgerport TO ` + role)
	f.sql(`ALTER TABLE claims ENABLE ROW LEVEL SECURITY`)
	f.sql(`CREATE POLICY ledgerport ON claims USING (organization_id::text = current_setting('ledgerport.organization_id', true))`)
	// COPY has no row-level security, so exported_claims cannot have it.
	for _, table := range []string{"held_claims", "voucher_numbers", "voided_vouchers"} {
		f.sql(`ALTER TABLE ledgerport.` + table + ` ENABLE ROW LEVEL SECURITY`)
		f.sql(`CREATE POLICY ledgerport ON ledgerport.` + table + ` USING (organization_id = current_setting('ledgerport.organization_id', true))`)
	}
	database, err := claims.Open(t.Context(), claims.Options{URL: f.as(role, "right"), Allowed: insecure})
	f.must(err)
	defer database.Close()
	run, taken := f.reserveAll(database, attemptOf("1"), year2026)
	if len(taken) != 2 {
		t.Errorf("took %v", taken)
	}
	f.must(database.Release(t.Context(), run.Fence(), "test"))
	if n := f.count(`SELECT count(*) FROM ledgerport.exported_claims`); n != 0 {
		t.Errorf("%d claims were not given back", n)
	}
}
