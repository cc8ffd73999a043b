package controller_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/controller"
	"github.com/ledgerport/ledgerport/internal/controller/exportrun"
	"github.com/ledgerport/ledgerport/internal/references"
)

// faulty is an exporter with a bug that a claim meets, and with the claim in its words.
type faulty struct{ exporters.Exporter }

// Type implements exporters.Exporter.
func (faulty) Type() string { return "faulty" }

// Begin implements exporters.Exporter.
func (faulty) Begin(_ context.Context, batch exporters.Batch, _ exporters.Sink) (exporters.Writer, error) {
	panic("no account for " + batch.OrganizationID)
}

func TestFaultOfAnExporterEndsItsRunAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	broken, sound := w.export(), w.export()
	broken.Name, broken.Spec.Exporter.Type, broken.Spec.Retry.Limit = "broken", "faulty", ptr.To[int32](0)
	broken.Spec.VoucherSeries = "B"
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(broken))
	failed := eventually(w, broken, lastRunIs(v1alpha1.RunFailed)).Status.LastRun
	if failed.Reason != v1alpha1.ReasonPanicked {
		t.Errorf("the run failed for %s, want %s", failed.Reason, v1alpha1.ReasonPanicked)
	}
	if said := operatorLog.all(); !bytes.Contains(said, []byte("walls_test.go")) || bytes.Contains(said, []byte("no account for")) {
		t.Error("the log does not have the stack, or has what the exporter said")
	}
	w.create(requested(sound))
	eventually(w, sound, lastRunIs(v1alpha1.RunSucceeded))
}

// left makes a run as a process leaves it that is killed in the middle of an attempt. No operator runs.
func (w *world) left(name string, attempts, failures, lost int32) *v1alpha1.ExportRun {
	w.Helper()
	run := w.run(name)
	w.create(run)
	run.Status = v1alpha1.ExportRunStatus{
		Phase: v1alpha1.RunRunning, Attempts: attempts, Failures: failures, LostAttempts: lost, Holder: "killed/1",
		StartedAt: &metav1.MicroTime{Time: run.CreationTimestamp.Time}, SourceRef: &v1alpha1.NamespacedReference{Namespace: w.namespace, Name: "claims"},
	}
	w.must(api.client.Status().Update(w.Context(), run))
	return w.run(name)
}

func TestAttemptsThatEndedWithTheirProcess(t *testing.T) {
	t.Parallel()
	prepared := func(t *testing.T) *world {
		w := newWorld(t)
		w.fill(3)
		w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export())
		eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
		w.stopOperator()
		return w
	}
	t.Run("the first is resumed", func(t *testing.T) {
		t.Parallel()
		w := prepared(t)
		run := w.left("poor", 1, 0, 0)
		w.startOperator(w.namespace)
		run = eventually(w, run, runIs(v1alpha1.RunSucceeded))
		if run.Status.Failures != 0 || run.Status.LostAttempts != 0 {
			t.Errorf("%d failures, %d lost attempts; want none, and that what ended well is forgotten", run.Status.Failures, run.Status.LostAttempts)
		}
	})
	t.Run("the second in a row is a failure", func(t *testing.T) {
		t.Parallel()
		w := prepared(t)
		run := w.left("poor", 2, 0, 1)
		w.startOperator(w.namespace)
		w.expectEvent("poor", v1alpha1.ReasonAttemptLost)
		run = eventually(w, run, runIs(v1alpha1.RunSucceeded))
		if run.Status.Failures != 1 || run.Status.LostAttempts != 0 {
			t.Errorf("%d failures, %d lost attempts; want one, and that what ended well is forgotten", run.Status.Failures, run.Status.LostAttempts)
		}
	})
	t.Run("the third ends the run, and the next one waits", func(t *testing.T) {
		t.Parallel()
		w := prepared(t)
		run := w.left("poison", 3, 1, 2)
		w.startOperator(w.namespace)
		run = eventually(w, run, runIs(v1alpha1.RunFailed))
		if problem := condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAttemptLost, "3 attempts in a row"); problem != "" {
			t.Error(problem)
		}
		next := w.run("next")
		w.create(next)
		eventually(w, next, func(run *v1alpha1.ExportRun) string {
			return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAttemptLost, "ExportRun poison before it", "runs alone")
		})
		w.clock.ahead.Store(int64(20 * 60 * 1e9))
		w.touch(next)
		eventually(w, next, runIs(v1alpha1.RunSucceeded))
	})
}

// lockClaims lets attempts begin and not go on until they are unlocked.
func (w *world) lockClaims() (unlock func()) {
	w.Helper()
	lock, err := pgx.Connect(w.Context(), w.database)
	w.must(err)
	_, err = lock.Exec(w.Context(), `begin; lock table claim_lines in access exclusive mode`)
	w.must(err)
	return func() {
		w.Helper()
		w.must(lock.Close(context.Background()))
	}
}

func runSays(reason string, words ...string) func(*v1alpha1.ExportRun) string {
	return func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, reason, words...)
	}
}

func TestMoreRunsThanAnExportMayHaveEndAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, func(w *world) { w.limits = controller.Limits{Limits: exportrun.Limits{UnfinishedRunsPerExport: 3}} })
	w.fill(3)
	export := w.export()
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
	eventually(w, export, exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
	unlock := w.lockClaims()
	var runs []*v1alpha1.ExportRun
	for i := range 6 {
		runs = append(runs, w.run(fmt.Sprintf("run-%d", i)))
		w.create(runs[i])
	}
	eventually(w, runs[0], runSays(v1alpha1.ReasonRunning))
	eventually(w, runs[1], runSays(v1alpha1.ReasonQueued, "waits for ExportRun run-0 to end; 1 run is before it"))
	eventually(w, runs[2], runSays(v1alpha1.ReasonQueued, "waits for ExportRun run-0 to end; 2 runs are before it"))
	for _, run := range runs[3:] {
		eventually(w, run, runIs(v1alpha1.RunFailed))
		eventually(w, run, runSays(v1alpha1.ReasonTooManyRuns, "--max-unfinished-runs-per-export"))
		if len(run.Finalizers) > 0 || !metav1.IsControlledBy(run, export) {
			t.Errorf("%s has the finalizers %v and the owners %v; it has nothing to give back, and belongs to its export", run.Name, run.Finalizers, run.OwnerReferences)
		}
	}
	unlock()
	for _, run := range runs[:3] {
		eventually(w, run, runIs(v1alpha1.RunSucceeded))
	}
}

func TestNamespaceHasOnlySoManyPlacesAndARunThatGoesByForceKeepsNone(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, func(w *world) { w.perNamespace = 1 })
	w.fill(3)
	other := w.export()
	other.Name, other.Spec.VoucherSeries = "other", "O"
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export(), other)
	eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
	eventually(w, other, exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
	unlock := w.lockClaims()
	defer unlock()
	hung, waits := w.run("hung"), w.run("waits")
	waits.Spec.ExportRef.Name = "other"
	w.create(hung)
	w.waitForBackends(1)
	w.create(waits)
	eventually(w, waits, runSays(v1alpha1.ReasonQueued, "--max-concurrent-runs", "0 runs are before it"))
	// Deleted first: a finalizer that is taken from a run that stays is put back.
	w.must(api.client.Delete(t.Context(), hung))
	w.merge(hung, `{"metadata":{"finalizers":null}}`)
	w.gone(hung)
	eventually(w, waits, runSays(v1alpha1.ReasonRunning))
}

func TestDeadlineIsNoLongerThanTheAdministratorAllows(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, func(w *world) { w.limits = controller.Limits{Limits: exportrun.Limits{LongestDeadline: 2e9}} })
	w.fill(3)
	export := w.export()
	export.Spec.Deadline = &metav1.Duration{Duration: 24 * 60 * 60 * 1e9}
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
	eventually(w, export, exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
	unlock := w.lockClaims()
	defer unlock()
	run := w.run("long")
	w.create(run)
	eventually(w, run, func(run *v1alpha1.ExportRun) string {
		if said := runSays(v1alpha1.ReasonDeadlineExceeded, "2s")(run); said != "" && !strings.Contains(said, "no condition") {
			return said
		}
		if run.Status.Failures == 0 {
			return "no attempt has failed"
		}
		return ""
	})
}

func TestScheduleThatIsTooFrequentDoesNotRun(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, func(w *world) { w.limits = controller.Limits{ShortestScheduleInterval: 15 * time.Minute} })
	export := w.export()
	export.Spec.Schedule = "0,1 6 1 * *"
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
	eventually(w, export, func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonScheduleTooFrequent, "1m0s apart", "15m0s")
	})
	w.merge(export, `{"spec":{"schedule":"0 6 1 * *"}}`)
	eventually(w, export, exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
}

func TestWhatTheAdministratorDoesNotAllowIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, func(w *world) {
		w.restrictions = references.Restrictions{DestinationTypes: []string{"s3"}, Exporters: []string{"sie"}, OwnNamespaceOnly: true}
	}, "default")
	export := w.export()
	export.Spec.SourceRef.Namespace = "default"
	files := w.destination()
	w.create(w.secret(), w.chart(), files, export)
	elsewhere := w.source()
	elsewhere.Name, elsewhere.Namespace = w.namespace, "default"
	w.create(elsewhere)
	w.Cleanup(func() { w.must(api.client.Delete(context.Background(), elsewhere)) })
	w.merge(export, fmt.Sprintf(`{"spec":{"sourceRef":{"name":%q}}}`, w.namespace))
	eventually(w, files, func(destination *v1alpha1.ExportDestination) string {
		return condition(destination.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonTypeNotAllowed, "--allowed-destination-types")
	})
	eventually(w, export, func(export *v1alpha1.AccountingExport) string {
		return cmp.Or(
			condition(export.Status.Conditions, v1alpha1.ConditionDestinationReady, metav1.ConditionFalse, v1alpha1.ReasonTypeNotAllowed, "--allowed-destination-types"),
			condition(export.Status.Conditions, v1alpha1.ConditionMappingReady, metav1.ConditionFalse, v1alpha1.ReasonTypeNotAllowed, "--allowed-exporters"),
			condition(export.Status.Conditions, v1alpha1.ConditionSourceReady, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, "--allow-cross-namespace-references"))
	})
}
