package controller_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
)

// applyAgain deletes an ExportRun and applies it again, as from a directory with a backup.
func (w *world) applyAgain(runs ...*v1alpha1.ExportRun) {
	w.Helper()
	for _, run := range runs {
		w.must(api.client.Delete(w.Context(), run))
		w.gone(run)
	}
	for _, run := range runs {
		again := w.run(run.Name)
		again.Spec = run.Spec
		again.Spec.Cancel = false
		w.create(again)
	}
}

// TestRunsThatAreAppliedAgainAreNoNews: the newest run of the export failed, and stays the newest.
func TestRunsThatAreAppliedAgainAreNoNews(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	chart := w.chart()
	chart.Spec.Unmapped = v1alpha1.UnmappedFail
	chart.Spec.Rules[0].Match.Expression = "line.category != 'nobody maps this'"
	w.create(w.secret(), w.source(), chart, w.destination(), w.export(), w.run("first"))
	first := eventually(w, w.run("first"), endedRun)
	w.create(w.reversal("back", "first"))
	back := eventually(w, w.run("back"), endedRun)
	w.create(w.run("again"))
	again := eventually(w, w.run("again"), endedRun)
	w.insertClaim(application.Claim{Lines: []application.Line{{Category: "nobody maps this"}}})
	w.create(w.run("failed"))
	failed := eventually(w, w.run("failed"), runIs(v1alpha1.RunFailed))
	eventually(w, w.export(), lastRunSaid(metav1.ConditionFalse, v1alpha1.ReasonLastRunFailed))
	w.expectSeries(map[string]float64{ // what they read may come later
		"export_last_run_failed{export=monthly,namespace=" + w.namespace + "}": 1,
		"runs_total{exporter=csv,reason=UnmappedClaim,result=Failed}":          1,
	})
	counted := w.series()

	w.applyAgain(first, back, again, failed)
	for _, old := range []*v1alpha1.ExportRun{first, back, again, failed} {
		now := eventually(w, w.run(old.Name), func(run *v1alpha1.ExportRun) string {
			if !run.Status.Recovered {
				return fmt.Sprintf("run %s is %s, and not recovered", run.Name, run.Status.Phase)
			}
			return ""
		})
		if now.Status.Phase != old.Status.Phase || readyReasonOf(now) != readyReasonOf(old) || now.Status.RunResult != old.Status.RunResult {
			t.Errorf("run %s is %s (%s) with %+v, and was %s (%s) with %+v", old.Name, now.Status.Phase, readyReasonOf(now), now.Status.RunResult,
				old.Status.Phase, readyReasonOf(old), old.Status.RunResult)
		}
		if apart := now.Status.CompletedAt.Sub(old.Status.CompletedAt.Time).Abs().Seconds(); apart > 2 {
			t.Errorf("run %s ended at %s, and now says %s", old.Name, old.Status.CompletedAt, now.Status.CompletedAt)
		}
		w.expectEvent(now.Name, v1alpha1.ReasonRecovered)
	}
	export := eventually(w, w.export(), lastRunSaid(metav1.ConditionFalse, v1alpha1.ReasonLastRunFailed))
	if export.Status.LastRun.Name != "failed" || export.Status.LastSuccessfulRun.Name != "again" {
		t.Errorf("the last run is %s, and the last successful one %s", export.Status.LastRun.Name, export.Status.LastSuccessfulRun.Name)
	}
	for name, value := range w.series() {
		if before := counted[name]; value != before && countsRuns(name) {
			t.Errorf("%s went from %g to %g", name, before, value)
		}
	}
}

// countsRuns reports whether a metric counts what runs did, and not how long attempts took.
func countsRuns(name string) bool {
	return strings.HasPrefix(name, "runs_total") || strings.HasPrefix(name, "claims_exported") || strings.HasPrefix(name, "amount_exported") || strings.HasPrefix(name, "export_last_run_failed")
}

func endedRun(run *v1alpha1.ExportRun) string { return runIs(v1alpha1.RunSucceeded)(run) }

func readyReasonOf(run *v1alpha1.ExportRun) string {
	if ready := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return ""
}
