package exportrun

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

func TestAnImportIsNoted(t *testing.T) {
	t.Parallel()
	run := &v1alpha1.ExportRun{}
	run.Status.Phase, run.Status.Location = v1alpha1.RunSucceeded, "file:///october.csv"
	first, second := metav1.NewTime(noon), metav1.NewTime(noon.Add(time.Hour))
	note := func(what string, changes bool, now metav1.Time, annotations map[string]string) *v1alpha1.ExportRunStatus {
		t.Helper()
		run.Annotations = annotations
		if noteImported(run, now) != changes {
			t.Errorf("%s: that it changes the status is %t", what, !changes)
		}
		return &run.Status
	}
	marked := func(by, reference string) map[string]string {
		return map[string]string{v1alpha1.ImportedAnnotation: reference, v1alpha1.ImportedByAnnotation: by}
	}
	if status := note("no mark", false, first, nil); status.Imported != nil || status.ImportTakenBack != nil {
		t.Errorf("without a mark it is %+v", status)
	}
	status := note("a mark", true, first, marked("alice", "4711"))
	if got := status.Imported; got == nil || got.By != "alice" || got.Reference != "4711" || !got.At.Equal(&first) {
		t.Errorf("a mark is %+v", got)
	}
	note("the same mark", false, second, marked("alice", "4711"))
	if got := note("a correction", true, second, marked("alice", "4712")).Imported; got.Reference != "4712" || !got.At.Equal(&second) {
		t.Errorf("a correction is %+v", got)
	}
	status = note("taken back", true, second, map[string]string{v1alpha1.ImportedByAnnotation: "bob"})
	if got := status.ImportTakenBack; status.Imported != nil || got == nil || got.By != "bob" || got.Reference != "4712" || !got.At.Equal(&second) {
		t.Errorf("taken back it is %+v and %+v", status.Imported, got)
	}
	note("taken back before", false, second, map[string]string{v1alpha1.ImportedByAnnotation: "bob"})
	status = note("hostile texts", true, second, marked(strings.Repeat("\x1b", 200_000), strings.Repeat("\u202e", 200_000)))
	if got := status.Imported; len(got.By) > 300 || len(got.Reference) > 300 || strings.ContainsAny(got.By+got.Reference, "\x1b\u202e") || status.ImportTakenBack != nil {
		t.Errorf("hostile texts are %+v", got)
	}
	run.Status = v1alpha1.ExportRunStatus{Phase: v1alpha1.RunFailed}
	if status := note("a mark of a run that failed", false, first, marked("alice", "4711")); status.Imported != nil {
		t.Errorf("a run that failed is imported: %+v", status.Imported)
	}
}
