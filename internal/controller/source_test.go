package controller_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// moved makes the export take its claims from another database, which has some of its own, and returns that one's world.
func (w *world) moved(count int) *world {
	w.Helper()
	other := &world{T: w.T, namespace: w.namespace, organization: w.organization, database: testdb.New(w.T)}
	other.sql(application.CreateTables)
	other.fill(count)
	secret, source := other.secret(), other.source()
	secret.Name, source.Name = "other-db", "other"
	source.Spec.Postgres.ConnectionSecretRef.Name = secret.Name
	w.create(secret, source)
	w.merge(w.export(), `{"spec":{"sourceRef":{"name":"other"}}}`)
	eventually(w, source, func(source *v1alpha1.ClaimSource) string {
		return condition(source.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
	w.accept(w.export(), source.Status.LedgerID)
	return other
}

// accept says that an object may have a ledger.
func (w *world) accept(object client.Object, ledgerID string) {
	w.Helper()
	if object.GetNamespace() == "" {
		object.SetNamespace(w.namespace)
	}
	w.merge(object, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AcceptedLedgerAnnotation, ledgerID))
}

// renewLedger is what "ledgerport ledger accept --renew" does, and returns the id.
func (w *world) renewLedger() string {
	w.Helper()
	database, err := claims.Open(w.Context(), claims.Options{URL: w.database, Allowed: claims.Allowances{Insecure: true}})
	w.must(err)
	defer database.Close()
	ledger, err := database.AcceptLedger(w.Context(), true)
	w.must(err)
	return ledger.ID
}

const exportedClaims = `select count(*) from ledgerport.exported_claims`

// TestRunStaysWithTheSourceThatItHasClaimsOf has the export name another source while its run holds claims.
func TestRunStaysWithTheSourceThatItHasClaimsOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end   func(*world, *v1alpha1.ExportRun)
		phase v1alpha1.RunPhase
		left  int64
	}{
		"it goes on":      {func(w *world, _ *v1alpha1.ExportRun) { w.enlargeVolume() }, v1alpha1.RunSucceeded, 500},
		"it is cancelled": {(*world).cancel, v1alpha1.RunCancelled, 0},
		"it is deleted":   {func(w *world, run *v1alpha1.ExportRun) { w.must(api.client.Delete(w.Context(), run)) }, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			run := w.retryingRunOf(&parts{w.secret(), w.source(), w.chart(), w.destination(), w.export()})
			if at := run.Status.SourceRef; at == nil || *at != (v1alpha1.NamespacedReference{Namespace: w.namespace, Name: "claims"}) {
				t.Fatalf("the run is recorded at %v", at)
			}
			other := w.moved(3)
			test.end(w, run)
			if test.phase == "" {
				w.gone(run)
			} else {
				eventually(w, run, runIs(test.phase))
			}
			if n := w.count(exportedClaims); n != test.left {
				t.Errorf("%d claims of the run's source are bound to it, want %d", n, test.left)
			}
			w.enlargeVolume()
			w.create(w.run("next"))
			if next := eventually(w, w.run("next"), runIs(v1alpha1.RunSucceeded)); next.Status.Claims != 3 || other.count(exportedClaims) != 3 {
				t.Errorf("the next run exported %d claims, want the 3 of the export's new source", next.Status.Claims)
			}
		})
	}
}

func TestReversalIsWithTheRunThatItReverses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exported(5)
	other := w.moved(3)
	w.create(w.reversal("back", "first"))
	eventually(w, w.run("back"), runIs(v1alpha1.RunSucceeded))
	w.cancelOut("first", "back")
	if n := w.count(exportedClaims); n != 0 {
		t.Errorf("%d claims are still bound to a run", n)
	}
	if n := other.count(`select count(*) from ledgerport.runs`); n != 0 {
		t.Errorf("%d runs are recorded in the database that the export names now", n)
	}
}

func TestRunWhoseSourceIsGoneSaysWhatToDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := &parts{w.secret(), w.source(), w.chart(), w.destination(), w.export()}
	run := w.retryingRunOf(p)
	w.moved(3)
	w.must(api.client.Delete(t.Context(), p.source))
	w.cancel(run)
	eventually(w, run, func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonSourceNotFound,
			fmt.Sprintf("ClaimSource %s/claims", w.namespace), "create it again until the run has ended")
	})
	w.create(w.source())
	eventually(w, run, runIs(v1alpha1.RunCancelled))
	if n := w.count(exportedClaims); n != 0 {
		t.Errorf("%d claims are still bound to the run", n)
	}
}

// TestADatabaseThatHasForgottenAnExportIsNoticed has the database restored from a backup that is older than the newest run.
func TestADatabaseThatHasForgottenAnExportIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exported(5)
	forget := func(run types.UID) {
		w.exec(`delete from ledgerport.exported_claims where run_id = $1`, string(run))
		w.exec(`delete from ledgerport.run_vouchers where run_id = $1`, string(run))
		w.exec(`delete from ledgerport.runs where id = $1`, string(run))
	}
	first := eventually(w, w.run("first"), runIs(v1alpha1.RunSucceeded))
	w.create(w.run("empty"))
	empty := eventually(w, w.run("empty"), runIs(v1alpha1.RunSucceeded))
	forget(first.UID)
	forget(empty.UID)

	weekly, renamed := w.export(), w.source()
	weekly.Name, weekly.Spec.VoucherSeries, weekly.Spec.SourceRef.Name, renamed.Name = "weekly", "W", "renamed", "renamed"
	w.create(weekly, renamed)
	for _, export := range []string{"monthly", "weekly"} {
		run := w.run("refused-" + export)
		run.Spec.ExportRef.Name = export
		w.create(run)
		eventually(w, run, func(run *v1alpha1.ExportRun) string {
			return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonLedgerIncomplete, "exported again")
		})
		w.expectEvent(run.Name, v1alpha1.ReasonLedgerIncomplete)
		w.cancel(run)
	}
	for _, source := range []string{"claims", "renamed"} { // people see it before a run
		eventually(w, w.sourceNamed(source), func(source *v1alpha1.ClaimSource) string {
			return condition(source.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonLedgerIncomplete, "ledgerport ledger accept --renew")
		})
	}
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionSourceReady, metav1.ConditionFalse, v1alpha1.ReasonLedgerIncomplete)
	})
	preview := w.run("preview")
	preview.Spec.Type = v1alpha1.RunPreview
	w.create(preview)
	eventually(w, preview, runIs(v1alpha1.RunSucceeded))
	if n := w.count(exportedClaims); n != 0 {
		t.Errorf("%d claims were exported again", n)
	}

	ledger := w.renewLedger() // a person has seen to the books
	eventually(w, w.sourceNamed("claims"), func(source *v1alpha1.ClaimSource) string {
		return condition(source.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonLedgerChanged, ledger, v1alpha1.AcceptedLedgerAnnotation)
	})
	w.accept(w.source(), ledger)
	w.create(w.run("anew"))
	if anew := eventually(w, w.run("anew"), runIs(v1alpha1.RunSucceeded)); anew.Status.Claims != 5 || anew.Status.Ledger.ID != ledger {
		t.Errorf("the run exported %d claims, want the 5 that are not recorded", anew.Status.Claims)
	}
}

func (w *world) sourceNamed(name string) *v1alpha1.ClaimSource {
	source := w.source()
	source.Namespace, source.Name = w.namespace, name
	return source
}

// TestADatabaseThatKnowsTheNewestRunIsBelieved has a run applied again, so that it has another UID than the recorded one, and
// then reversed.
func TestADatabaseThatKnowsTheNewestRunIsBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	forget := func(run *v1alpha1.ExportRun) {
		w.must(api.client.Delete(t.Context(), run))
		w.gone(run)
	}
	succeeds := func(run *v1alpha1.ExportRun, claims int64) {
		w.create(run)
		if ended := eventually(w, run, runIs(v1alpha1.RunSucceeded)); ended.Status.Claims != claims {
			t.Errorf("run %s has %d claims, want %d", run.Name, ended.Status.Claims, claims)
		}
	}
	w.exported(3)
	forget(w.run("first"))
	succeeds(w.run("first"), 3)
	succeeds(w.run("nothing"), 0)
	forget(w.run("nothing"))
	succeeds(w.reversal("back", "first"), 3)
	forget(w.run("back")) // so that the one that was reversed is the newest
	succeeds(w.run("again"), 3)
}

// TestRunIsNotTakenForReleasedByADatabaseThatDoesNotKnowIt has the source lead to another database while its run holds claims.
func TestRunIsNotTakenForReleasedByADatabaseThatDoesNotKnowIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tinyVolume()
	w.fill(505)
	w.exec(`update claims set status = 'draft' where id in (select id from claims order by id limit 500)`)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export(), w.run("first"))
	eventually(w, w.run("first"), runIs(v1alpha1.RunSucceeded))
	w.exec(`update claims set status = 'approved'`)
	w.fillVolume()
	w.merge(w.export(), `{"spec":{"retry":{"limit":20}}}`)
	w.create(w.run("by-hand"))
	run := eventually(w, w.run("by-hand"), runIs(v1alpha1.RunRetrying))
	if n := w.count(exportedClaims); n != 505 {
		t.Fatalf("%d claims are bound, want those of both runs", n)
	}
	other := &world{T: t, organization: w.organization, database: testdb.New(t)}
	other.sql(application.CreateTables)
	secret := w.secret()
	secret.Namespace = w.namespace
	w.merge(secret, fmt.Sprintf(`{"stringData":{"url":%q}}`, other.database))
	w.cancel(run)
	eventually(w, run, func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonLedgerChanged, "cannot be given back yet", v1alpha1.AcceptedLedgerAnnotation)
	})
	w.merge(secret, fmt.Sprintf(`{"stringData":{"url":%q}}`, w.database))
	eventually(w, run, runIs(v1alpha1.RunCancelled))
	if n := w.count(exportedClaims); n != 5 {
		t.Errorf("%d claims are bound, want those of the first run", n)
	}
}

// TestMigrationOfAnOldSchemaIsToldAndKeepsNoOtherSourceWaiting has a schema that was made by an older operator, and another
// process that is migrating it already.
func TestMigrationOfAnOldSchemaIsToldAndKeepsNoOtherSourceWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(2)
	w.exec(`create schema ledgerport; create table ledgerport.schema_version (id integer primary key generated by default as identity,
		version_id bigint not null, is_applied boolean not null, tstamp timestamp not null default now());
		insert into ledgerport.schema_version (version_id, is_applied) values (0, true)`)
	scripts, err := filepath.Glob("../claims/migrations/*.sql")
	w.must(err)
	for i, script := range scripts[:len(scripts)-1] {
		content, err := os.ReadFile(script)
		w.must(err)
		w.exec(string(content))
		w.exec(`insert into ledgerport.schema_version (version_id, is_applied) values ($1, true)`, i+1)
	}
	other, err := pgx.Connect(t.Context(), w.database)
	w.must(err)
	defer func() { _ = other.Close(context.Background()) }()
	_, err = other.Exec(t.Context(), `select pg_advisory_lock(x'6c6564676572706f'::bigint)`)
	w.must(err)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	eventually(w, w.sourceNow(), func(source *v1alpha1.ClaimSource) string {
		return condition(source.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonMigrating, "is being migrated from version")
	})
	elsewhere, secret := w.source(), w.secret()
	elsewhere.Name, elsewhere.Spec.Postgres.ConnectionSecretRef.Name = "elsewhere", "elsewhere"
	secret.Name, secret.StringData = "elsewhere", map[string]string{"url": w.newDatabase()}
	w.create(secret, elsewhere)
	eventually(w, elsewhere, func(source *v1alpha1.ClaimSource) string {
		return condition(source.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
	eventually(w, w.export(), exportIs(metav1.ConditionFalse, v1alpha1.ReasonMigrating))
	_, err = other.Exec(t.Context(), `select pg_advisory_unlock_all()`)
	w.must(err)
	eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
}

// newDatabase is a further one with the application's tables.
func (w *world) newDatabase() string {
	w.Helper()
	url := testdb.New(w.T)
	conn, err := pgx.Connect(w.Context(), url)
	w.must(err)
	w.must(application.CreateTables(w.Context(), conn))
	w.must(conn.Close(w.Context()))
	return url
}

func (w *world) sourceNow() *v1alpha1.ClaimSource {
	source := w.source()
	source.Namespace = w.namespace
	return source
}
