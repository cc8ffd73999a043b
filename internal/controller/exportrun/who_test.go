package exportrun

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

func TestWhoIsNotedOnce(t *testing.T) {
	t.Parallel()
	run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		v1alpha1.RequestedByAnnotation: "alice\n\u202e" + strings.Repeat("x", 400), v1alpha1.CancelledByAnnotation: "bob",
	}}}
	noteWho(run)
	first := run.Status.RequestedBy
	if !strings.HasPrefix(first, `alice \u202exxx`) || len(first) > 300 {
		t.Errorf("the status names %q", first)
	}
	if run.Status.CancelledBy != "" {
		t.Errorf("a run that is not cancelled was cancelled by %q", run.Status.CancelledBy)
	}
	run.Spec.Cancel = true
	noteWho(run)
	run.Annotations[v1alpha1.RequestedByAnnotation], run.Annotations[v1alpha1.CancelledByAnnotation] = "mallory", "mallory"
	noteWho(run)
	if run.Status.RequestedBy != first || run.Status.CancelledBy != "bob" {
		t.Errorf("after a change the status names %q and %q", run.Status.RequestedBy, run.Status.CancelledBy)
	}
}
