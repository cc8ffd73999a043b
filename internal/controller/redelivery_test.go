package controller_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// redelivery is a run that delivers what another has delivered.
func (w *world) redelivery(name, of string) *v1alpha1.ExportRun {
	run := w.run(name)
	run.Spec.Type, run.Spec.Redelivers = v1alpha1.RunRedeliver, &v1alpha1.RunReference{Name: of}
	return run
}

func TestRedeliveryPutsTheSameBytesWhereTheNamespaceMayDeliver(t *testing.T) {
	t.Parallel()
	elsewhere := home(t)
	w := newWorld(t, elsewhere)
	w.exported(5)
	destination := w.destination()
	destination.Namespace, destination.Spec.Retention.Artifacts = elsewhere, v1alpha1.DeleteArtifacts
	destination.Spec.Access = []v1alpha1.DestinationAccessRule{{NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tenant": "true"}}}}
	refused := w.redelivery("refused", "first")
	refused.Spec.DestinationRef = &v1alpha1.NamespacedReference{Namespace: elsewhere, Name: destination.Name}
	w.create(destination, refused)
	eventually(w, refused, func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, elsewhere)
	})
	eventually(w, refused, runIs(v1alpha1.RunFailed))

	w.label("tenant", "true")
	again := w.redelivery("again", "first")
	again.Spec.DestinationRef = refused.Spec.DestinationRef
	w.create(again)
	told := eventually(w, again, runIs(v1alpha1.RunSucceeded))
	if problem := condition(told.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonRedelivered, "the artifact of ExportRun first", "no claim was exported"); problem != "" {
		t.Error(problem)
	}
	directory := filepath.Join(w.exports, elsewhere, w.namespace, "monthly", "again")
	for _, name := range []string{"first.csv", "manifest.json"} {
		there, err := os.ReadFile(filepath.Join(directory, name))
		w.must(err)
		here, err := os.ReadFile(w.delivered("monthly", "first", name))
		w.must(err)
		if !bytes.Equal(there, here) {
			t.Errorf("%s is not the same", name)
		}
	}
	if !strings.HasSuffix(told.Status.Location, "/again/first.csv") || told.Status.SHA256 == "" || told.Status.Claims != 5 {
		t.Errorf("status %+v", told.Status.RunResult)
	}
	if last := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun.Name; last != "first" {
		t.Errorf("the last run of the export is %s", last)
	}
	if n := w.count(`select count(*) from ledgerport.exported_claims e join ledgerport.runs r on r.id = e.run_id where r.name = 'first'`); n != 5 {
		t.Errorf("%d claims are exported by the first run", n)
	}
	// The destination says that artifacts go with their runs: this one does, and what the first has delivered stays.
	w.must(api.client.Delete(t.Context(), told))
	w.gone(told)
	if _, err := os.Stat(directory + "/first.csv"); !os.IsNotExist(err) {
		t.Errorf("the file is still there, or %v", err)
	}
	w.file("first")
}

func TestRedeliveriesAreCheckedByTheAPIServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	elsewhere := &v1alpha1.NamespacedReference{Name: "elsewhere"}
	for want, change := range map[string]func(*v1alpha1.ExportRunSpec){
		"a run of type Redeliver needs it": func(s *v1alpha1.ExportRunSpec) { s.Redelivers = nil },
		"no other may have it":             func(s *v1alpha1.ExportRunSpec) { s.Type = v1alpha1.RunPreview },
		"neither cutoff nor claims":        func(s *v1alpha1.ExportRunSpec) { s.Cutoff = &metav1.Time{Time: time.Now()} },
		"only a run of type Redeliver names a destination": func(s *v1alpha1.ExportRunSpec) {
			s.Type, s.Redelivers, s.DestinationRef = v1alpha1.RunExport, nil, elsewhere
		},
	} {
		run := w.redelivery("wrong", "first")
		change(&run.Spec)
		if err := api.client.Create(t.Context(), run); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error that says %q", run.Spec, err, want)
		}
	}
	w.create(w.redelivery("right", "first"))
	for _, patch := range []string{`{"spec":{"redelivers":{"name":"second"}}}`, `{"spec":{"destinationRef":{"name":"elsewhere"}}}`} {
		if err := api.client.Patch(t.Context(), w.run("right"), client.RawPatch("application/merge-patch+json", []byte(patch))); err == nil || !strings.Contains(err.Error(), "cannot be changed") {
			t.Errorf("%s: %v, want that the spec cannot be changed", patch, err)
		}
	}
}
