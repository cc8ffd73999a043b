package controller_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
)

func (w *world) preview(name string) *v1alpha1.ExportRun {
	run := w.run(name)
	run.Spec.Type = v1alpha1.RunPreview
	return run
}

func TestPreviewShowsWhatTheNextRunDeliversAndRecordsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exported(10)
	w.insertClaim(application.Claim{})
	w.insertClaim(application.Claim{})
	rows := func() int64 {
		return w.count(`select (select count(*) from ledgerport.runs) + (select count(*) from ledgerport.vouchers) + (select sum(next) from ledgerport.voucher_numbers)
			+ (select count(*) from ledgerport.held_claims) + (select count(*) from ledgerport.run_vouchers)`)
	}
	before := rows()
	w.create(w.preview("look"))
	look := eventually(w, w.run("look"), runIs(v1alpha1.RunSucceeded))
	if problem := condition(look.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonPreviewed, "a preview", "nothing was recorded"); problem != "" {
		t.Error(problem)
	}
	if look.Status.Claims != 2 || look.Status.FirstVoucher != "E/2026/11" || look.Status.LastVoucher != "E/2026/12" {
		t.Errorf("status %+v, want the two claims approved since and the next numbers", look.Status)
	}
	if after := rows(); after != before {
		t.Errorf("%d rows and numbers are recorded, and %d were before", after, before)
	}
	uid, _, _ := strings.Cut(string(look.UID), "-")
	file := filepath.Join("_preview", w.namespace, "monthly", "look", uid+"-1", "look.csv")
	previewed, err := os.ReadFile(filepath.Join(w.exports, w.namespace, file))
	w.must(err)
	if !strings.HasSuffix(look.Status.Location, "/"+file) {
		t.Errorf("location %s", look.Status.Location)
	}
	if told := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun.Name; told != "first" {
		t.Errorf("the last run of the export is %s, want the one that exported", told)
	}

	w.create(w.run("second"))
	second := eventually(w, w.run("second"), runIs(v1alpha1.RunSucceeded))
	if exported := string(w.file("second")); exported != string(previewed) || second.Status.Debit != look.Status.Debit {
		t.Errorf("the next run delivered\n%s\nand the preview was\n%s", exported, previewed)
	}
}

func TestPreviewWaitsForNoTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.retryingRun() // has the voucher series, and its turn among the runs of the export
	w.insertClaim(application.Claim{})
	w.must(os.MkdirAll(filepath.Join(w.exports, w.namespace, "_preview"), 0o750))
	if err := syscall.Mount("tmpfs", filepath.Join(w.exports, w.namespace, "_preview"), "tmpfs", 0, "size=10m"); err != nil {
		w.Skipf("mounting a small volume needs root: %s", err)
	}
	w.Cleanup(func() { _ = syscall.Unmount(filepath.Join(w.exports, w.namespace, "_preview"), syscall.MNT_DETACH) })
	w.create(w.preview("look"))
	look := eventually(w, w.run("look"), runIs(v1alpha1.RunSucceeded))
	if look.Status.Claims != 1 || look.Status.FirstVoucher != "E/2026/501" {
		t.Errorf("status %+v, want the one claim that the other run does not have", look.Status)
	}
	if still := eventually(w, held, func(*v1alpha1.ExportRun) string { return "" }); still.Status.Phase.Finished() {
		t.Errorf("the run that has the series has ended: %+v", still.Status)
	}
}

func TestPreviewIsCancelledWithNothingToGiveBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export())
	cancelled := w.preview("look")
	cancelled.Spec.Cancel = true
	w.create(cancelled)
	eventually(w, cancelled, runIs(v1alpha1.RunCancelled))
	w.must(api.client.Delete(t.Context(), cancelled))
	w.gone(cancelled)
}
