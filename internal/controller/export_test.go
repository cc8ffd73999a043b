package controller_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/apd/v3"
	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/test/application"
)

func TestRequestedExportDeliversABalancedFileThatEqualsTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(500)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	export := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
	last := export.Status.LastRun
	if last.Claims != 500 || last.Held != 0 || last.Location == "" || last.SHA256 == "" || last.Currency != "EUR" {
		t.Fatalf("last run %+v", last)
	}
	if problem := condition(export.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady); problem != "" {
		t.Error(problem)
	}
	if export.Status.LastSuccessfulRun.Name != last.Name || export.Status.LastHandledRequest != "now" {
		t.Errorf("status %+v", export.Status)
	}
	run := eventually(w, w.run(last.Name), func(run *v1alpha1.ExportRun) string { return "" })
	if run.Status.FirstVoucher == "" || run.Status.LastVoucher == "" || run.Status.Attempts != 1 || run.Status.Duration == "" {
		t.Errorf("run status %+v", run.Status)
	}
	if n := w.count(`select count(*) from ledgerport.exported_claims where run_id = $1`, string(run.UID)); n != 500 {
		t.Errorf("%d claims are recorded, want 500", n)
	}
	w.checkFileAgainstManifestAndSQL(run)
	w.expectEvent(run.Name, v1alpha1.ReasonSucceeded)
}

// checkFileAgainstManifestAndSQL sums the delivered CSV with nothing of ours and compares it with the manifest and with
// what SQL says of the application's tables.
func (w *world) checkFileAgainstManifestAndSQL(run *v1alpha1.ExportRun) {
	w.Helper()
	var manifest struct {
		Claims, Lines int64
		Base          struct{ Currency, Debit, Credit string }
		Files         []struct {
			Name string
			Size int64
		}
	}
	raw, err := os.ReadFile(w.delivered("monthly", run.Name, "manifest.json"))
	w.must(err)
	w.must(json.Unmarshal(raw, &manifest))
	content, err := os.ReadFile(w.delivered("monthly", run.Name, manifest.Files[0].Name))
	w.must(err)
	if int64(len(content)) != manifest.Files[0].Size {
		w.Errorf("the file has %d bytes, the manifest says %d", len(content), manifest.Files[0].Size)
	}
	debit, credit := sumCSV(w, content, "base_debit"), sumCSV(w, content, "base_credit")
	if debit != manifest.Base.Debit || credit != manifest.Base.Credit || debit != credit {
		w.Errorf("the file sums to debit %s and credit %s, the manifest says %+v", debit, credit, manifest.Base)
	}
	lines := w.count(`select count(*) from claim_lines l join ledgerport.exported_claims e on e.claim_id = l.claim_id::text where e.run_id = $1`, string(run.UID))
	if lines != manifest.Lines || manifest.Claims != run.Status.Claims {
		w.Errorf("SQL counts %d lines, the manifest has %d; claims %d and %d", lines, manifest.Lines, manifest.Claims, run.Status.Claims)
	}
}

// sumCSV adds up one column of a CSV file.
func sumCSV(w *world, content []byte, column string) string {
	w.Helper()
	records, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	w.must(err)
	at := -1
	for i, name := range records[0] {
		if name == column {
			at = i
		}
	}
	if at < 0 {
		w.Fatalf("no column %s among %q", column, records[0])
	}
	sum := apd.New(0, 0)
	for _, record := range records[1:] {
		if record[at] == "" {
			continue
		}
		value, _, err := apd.NewFromString(record[at])
		w.must(err)
		_, err = apd.BaseContext.WithPrecision(40).Add(sum, sum, value)
		w.must(err)
	}
	return sum.Text('f')
}

func TestSecondRunExportsOnlyWhatWasApprovedSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(10)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	first := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun

	w.insertClaim(application.Claim{})
	w.request("again")
	second := eventually(w, w.export(), lastRunIsNot(first.Name)).Status.LastRun
	if second.Claims != 1 {
		t.Fatalf("the second run exported %d claims, want the one approved since", second.Claims)
	}
	w.request("once more")
	third := eventually(w, w.export(), lastRunIsNot(second.Name)).Status.LastRun
	if third.Claims != 0 || third.Reason != v1alpha1.ReasonNoClaims {
		t.Errorf("the third run %+v, want success with reason NoClaims", third)
	}
	if n := w.count(`select count(distinct voucher_number) from ledgerport.exported_claims`); n != 11 {
		t.Errorf("%d voucher numbers, want 11", n)
	}
}

func TestDueSlotRunsAndIsNamedByItsMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	w.create(w.secret(), w.source(), w.chart(), w.destination())
	export := w.export()
	export.Spec.Schedule, export.Spec.TimeZone = "0 6 * * *", "Europe/Berlin"
	w.create(export)
	first := eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		if export.Status.NextScheduleTime == nil {
			return "there is no nextScheduleTime"
		}
		return exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady)(export)
	}).Status.NextScheduleTime
	if export.Status.LastRun != nil {
		t.Fatal("a run began before its slot")
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	w.must(err)
	newest := first.In(berlin).AddDate(0, 0, 2)
	w.clock.ahead.Store(int64(time.Until(newest.Add(time.Hour)))) // two more slots are missed
	w.touch(w.export())
	last := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
	if want := fmt.Sprintf("monthly-%d", newest.Unix()/60); last.Status.LastRun.Name != want {
		t.Errorf("the run is %s, want %s", last.Status.LastRun.Name, want)
	}
	if !last.Status.LastScheduleTime.Time.Equal(newest) || last.Status.LastRun.Claims != 3 {
		t.Errorf("status %+v", last.Status)
	}
}

// TestSlotMissedForTooLongIsSkippedAndSaidSoOnce lets somebody else change the export when that is about to be recorded.
func TestSlotMissedForTooLongIsSkippedAndSaidSoOnce(t *testing.T) {
	t.Parallel()
	var conflicts atomic.Int64
	w := newWorldWith(t, func(w *world) {
		w.failpoints = func(at failpoint.Point) {
			if at == failpoint.ExportStatus.Before() && w.clock.ahead.Load() > 0 && conflicts.Add(1) <= 3 {
				w.touch(w.export())
			}
		}
	})
	w.create(w.secret(), w.source(), w.chart(), w.destination())
	export := w.export()
	export.Spec.Schedule, export.Spec.StartingDeadline = "0 6 * * *", &metav1.Duration{Duration: time.Hour}
	w.create(export)
	first := eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		if export.Status.NextScheduleTime == nil {
			return "there is no nextScheduleTime"
		}
		return ""
	}).Status.NextScheduleTime
	w.clock.ahead.Store(int64(time.Until(first.Time) + 3*time.Hour))
	w.touch(w.export())
	said := w.expectEvent("monthly", v1alpha1.ReasonSlotSkipped)
	if said.Series != nil || conflicts.Load() <= 3 {
		t.Errorf("after %d refusals it is said more than once: %v", conflicts.Load(), said)
	}
	skipped := eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		if export.Status.LastScheduleTime == nil {
			return "there is no lastScheduleTime"
		}
		return ""
	})
	if skipped.Status.LastRun != nil {
		t.Errorf("the slot was run: %+v", skipped.Status.LastRun)
	}
}

func TestRunThatAPersonCreatesIsAdoptedAndTakesItsTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(4)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export())
	eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
	first, second := w.run("by-hand-1"), w.run("by-hand-2")
	first.Spec.Cutoff = &metav1.Time{Time: time.Now().Add(-100 * 24 * time.Hour)}
	w.create(first, second)
	eventually(w, second, runIs(v1alpha1.RunSucceeded))
	eventually(w, first, runIs(v1alpha1.RunSucceeded))
	if first.Status.Claims != 0 || second.Status.Claims != 4 {
		t.Errorf("claims %d and %d, want none before the cutoff of the first, and 4", first.Status.Claims, second.Status.Claims)
	}
	if len(second.OwnerReferences) == 0 {
		t.Errorf("the run was not adopted: %+v", second.ObjectMeta)
	}
	w.must(api.client.Delete(t.Context(), second))
	w.gone(second)
}

func TestSuspendedExportAnswersNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	export := requested(w.export())
	export.Spec.Suspend = true
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
	eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonSuspended))
	patch := client.MergeFrom(export.DeepCopy())
	export.Spec.Suspend = false
	w.must(api.client.Patch(t.Context(), export, patch))
	last := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun
	if last.Reason != v1alpha1.ReasonNoClaims {
		t.Errorf("last run %+v, want NoClaims", last)
	}
}

func TestDueRunWaitsForWhatItNeedsAndBeginsWhenItIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(2)
	w.create(w.source(), w.chart(), w.destination(), requested(w.export()))
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound, "a run is due and waits")
	})
	w.create(w.secret())
	eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
}

// TestRequestedRunCostsAtMostSevenWritesInAllItsLife counts to the end of the run's object: two for the run's status, two for the
// export's, and to create it, to free it and to delete it.
func TestRequestedRunCostsAtMostSevenWritesInAllItsLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(5)
	export := w.export()
	export.Finalizers = []string{v1alpha1.ExportFinalizer} // as one that has had a run
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
	eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
	w.writes.take()
	w.request("now")
	last := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun
	run := eventually(w, w.run(last.Name), func(run *v1alpha1.ExportRun) string {
		if len(run.Finalizers) > 0 {
			return fmt.Sprintf("the finished run has finalizers %q", run.Finalizers)
		}
		return ""
	})
	written := w.writes.take()
	if len(written) > 6 {
		t.Errorf("the run cost %d writes to the API server, want at most 6 before it is deleted: %q", len(written), written)
	}
	// A change that asks for nothing makes every reconciler of the export look again.
	w.touch(w.export())
	w.exec(`select pg_sleep(2.5)`) // the source and the destination are looked at again every second
	if written := w.writes.take(); len(written) > 0 {
		t.Errorf("looking again cost writes to the API server: %q", written)
	}
	w.must(api.client.Delete(t.Context(), run))
	w.gone(run)
	if written := w.writes.take(); len(written) > 0 {
		t.Errorf("to delete the finished run cost further writes: %q", written)
	}
}

func TestHistoryLimitsRemoveRunsAndKeepTheLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	export := w.export()
	one := int32(1)
	export.Spec.History = v1alpha1.HistoryLimits{Succeeded: &one, Failed: &one}
	w.fill(1)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(export))
	first := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun.Name
	w.insertClaim(application.Claim{})
	w.request("again")
	eventually(w, w.export(), lastRunIsNot(first))
	w.hoursPass()
	w.gone(w.run(first))
	if n := w.count(`select count(*) from ledgerport.runs where state = 'committed'`); n != 2 {
		t.Errorf("%d committed runs are recorded, want 2", n)
	}
}

func TestOperatorThatStopsLeavesNothingRunningAndTheNextGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(50)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export())
	eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))

	// A lock on the claims lets the run begin and not go on.
	lock, err := pgx.Connect(t.Context(), w.database)
	w.must(err)
	tx, err := lock.Begin(t.Context())
	w.must(err)
	_, err = tx.Exec(t.Context(), `lock table claim_lines in access exclusive mode`)
	w.must(err)
	w.create(w.run("interrupted"))
	eventually(w, w.run("interrupted"), runIs(v1alpha1.RunRunning))
	w.waitForBackends(1)
	w.stopOperator()
	if left := eventually(w, w.run("interrupted"), runSays(v1alpha1.ReasonInterrupted)); left.Status.Attempt.Holder != "" || left.Status.Phase != v1alpha1.RunRunning {
		t.Errorf("the run that was left is %s, and held by %q", left.Status.Phase, left.Status.Attempt.Holder)
	}
	w.waitForBackends(0)
	w.must(tx.Rollback(t.Context()))
	w.must(lock.Close(t.Context()))

	w.startOperator(w.namespace)
	run := eventually(w, w.run("interrupted"), runIs(v1alpha1.RunSucceeded))
	if run.Status.Claims != 50 || run.Status.Attempts < 2 || run.Status.Failures+run.Status.LostAttempts != 0 {
		t.Errorf("the resumed run: %d claims, %d attempts, %d failures, %d lost; want 50, more than 1, 0, 0", run.Status.Claims, run.Status.Attempts, run.Status.Failures, run.Status.LostAttempts)
	}
}

// waitForBackends waits until the operator has so many connections that wait for a lock, or none at all for 0.
func (w *world) waitForBackends(want int64) {
	w.Helper()
	query := `select count(*) from pg_stat_activity where datname = current_database() and application_name like 'ledgerport%' and wait_event_type = 'Lock'`
	if want == 0 {
		query = `select count(*) from pg_stat_activity where datname = current_database() and application_name like 'ledgerport%'`
	}
	w.until(func(context.Context) string {
		have := w.count(query)
		if want == 0 && have == 0 || want > 0 && have >= want {
			return ""
		}
		return fmt.Sprintf("the operator has %d such connections, want %d", have, want)
	})
}

func lastRunIs(phase v1alpha1.RunPhase) func(*v1alpha1.AccountingExport) string {
	return func(export *v1alpha1.AccountingExport) string {
		if export.Status.LastRun == nil {
			return fmt.Sprintf("there is no last run; conditions %+v", export.Status.Conditions)
		}
		if export.Status.LastRun.Phase != phase {
			return fmt.Sprintf("the last run is %+v, want phase %s", export.Status.LastRun, phase)
		}
		return ""
	}
}

// lastRunIsNot waits for another run than the named one to succeed.
func lastRunIsNot(name string) func(*v1alpha1.AccountingExport) string {
	return func(export *v1alpha1.AccountingExport) string {
		if export.Status.LastRun.Name == name {
			return "the last run is still " + name
		}
		return lastRunIs(v1alpha1.RunSucceeded)(export)
	}
}

func exportIs(status metav1.ConditionStatus, reason string) func(*v1alpha1.AccountingExport) string {
	return func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionReady, status, reason)
	}
}

// lastRunSaid looks at how the newest run of an export has ended. That does not keep the export from being ready.
func lastRunSaid(status metav1.ConditionStatus, reason string) func(*v1alpha1.AccountingExport) string {
	return func(export *v1alpha1.AccountingExport) string {
		if problem := condition(export.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady); problem != "" {
			return problem
		}
		return condition(export.Status.Conditions, v1alpha1.ConditionLastRunSucceeded, status, reason)
	}
}

func runIs(phase v1alpha1.RunPhase) func(*v1alpha1.ExportRun) string {
	return func(run *v1alpha1.ExportRun) string {
		if run.Status.Phase != phase {
			return fmt.Sprintf("the run is %+v, want phase %s", run.Status, phase)
		}
		return ""
	}
}

func (w *world) request(value string) {
	w.Helper()
	w.annotate(map[string]string{v1alpha1.RequestedAtAnnotation: value})
}

func (w *world) annotate(annotations map[string]string) {
	w.Helper()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	w.must(err)
	w.must(api.client.Patch(w.Context(), w.export(), client.RawPatch(types.MergePatchType, patch)))
}

func TestAnExportHasAFinalizerOnceItHasARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export())
	export := eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
	if len(export.Finalizers) > 0 {
		t.Errorf("it has no run and will have none, and has the finalizers %q", export.Finalizers)
	}
	w.request("first")
	export = eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
	if !slices.Contains(export.Finalizers, v1alpha1.ExportFinalizer) {
		t.Errorf("it has had a run, and the finalizers %q", export.Finalizers)
	}
}

func TestExportsOfOneOrganisationShareItsClaimsAndTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(40)
	w.create(w.secret(), w.source(), w.chart(), w.destination())
	names := []string{"first", "second", "third"}
	for _, name := range names {
		export := requested(w.export())
		export.Name = name
		w.create(export)
	}
	total := int64(0)
	for _, name := range names {
		export := w.export()
		export.Name = name
		total += eventually(w, export, lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun.Claims
	}
	if total != 40 {
		t.Errorf("the exports have %d claims between them, want each of the 40 once", total)
	}
	if n := w.count(`select count(distinct voucher_number) from ledgerport.exported_claims where voucher_number between 1 and 40`); n != 40 {
		t.Errorf("%d voucher numbers from 1 to 40 are used, want all", n)
	}
}

// TestARunThatHasEndedIsCompleteAndNamesItsFiles is for programs that wait for an end, whichever it is.
func TestARunThatHasEndedIsCompleteAndNamesItsFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export(), w.run("well"))
	well := eventually(w, w.run("well"), runIs(v1alpha1.RunSucceeded))
	ended := meta.FindStatusCondition(well.Status.Conditions, v1alpha1.ConditionComplete)
	if ended == nil || ended.Status != metav1.ConditionTrue || ended.Reason != v1alpha1.ReasonSucceeded || !ended.LastTransitionTime.Equal(well.Status.CompletedAt) {
		t.Errorf("Complete is %+v", ended)
	}
	files := well.Status.Files
	if well.Status.FileCount != 2 || len(files) != 2 || files[0].Name != "well.csv" || files[0].SHA256 != well.Status.SHA256 || files[0].MediaType == "" || files[0].Size == 0 {
		t.Errorf("%d files: %+v", well.Status.FileCount, files)
	}
	eventually(w, w.export(), lastRunSaid(metav1.ConditionTrue, v1alpha1.ReasonSucceeded))

	cancelled := w.run("cancelled")
	cancelled.Spec.Cancel = true
	w.create(cancelled)
	off := eventually(w, cancelled, runIs(v1alpha1.RunCancelled))
	if problem := condition(off.Status.Conditions, v1alpha1.ConditionComplete, metav1.ConditionTrue, v1alpha1.ReasonCancelled); problem != "" || len(off.Status.Files) > 0 {
		t.Errorf("%s; files are %+v", problem, off.Status.Files)
	}
	eventually(w, w.export(), lastRunSaid(metav1.ConditionFalse, v1alpha1.ReasonCancelled))
}

// TestARunNamesWhoAskedForItAndWhoCancelledIt: the operator passes on who has changed the request of an export.
func TestARunNamesWhoAskedForItAndWhoCancelledIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export())
	w.annotate(map[string]string{v1alpha1.RequestedAtAnnotation: "1", v1alpha1.RequestedByAnnotation: "oidc:alice"})
	last := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun
	asked := eventually(w, &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: last.Name}}, runIs(v1alpha1.RunSucceeded))
	if by := asked.Annotations[v1alpha1.RequestedByAnnotation]; by != "oidc:alice" || asked.Status.RequestedBy != by || asked.Status.CancelledBy != "" {
		t.Errorf("the run is of %q, and its status says %q, cancelled by %q", by, asked.Status.RequestedBy, asked.Status.CancelledBy)
	}
	cancelled := &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "cancelled", Annotations: map[string]string{v1alpha1.CancelledByAnnotation: "bob"}},
		Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: w.export().Name}, Cancel: true},
	}
	w.create(cancelled)
	if ended := eventually(w, cancelled, runIs(v1alpha1.RunCancelled)); ended.Status.RequestedBy != "" || ended.Status.CancelledBy != "bob" {
		t.Errorf("the status says that %q asked for the run, and %q cancelled it", ended.Status.RequestedBy, ended.Status.CancelledBy)
	}
}
