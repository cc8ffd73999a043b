package exportrun

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
)

func TestARunIsNotLookedAtForWhatItTellsOfItsWaiting(t *testing.T) {
	t.Parallel()
	waits := func(run *v1alpha1.ExportRun) { awaitTurn(run, turn{next: &v1alpha1.ExportRun{}, before: 7}) }
	for name, change := range map[string]struct {
		of     func(*v1alpha1.ExportRun)
		looked bool
	}{
		"that it waits":                       {of: waits},
		"how many are before it":              {of: func(run *v1alpha1.ExportRun) { waits(run); awaitTurn(run, turn{next: run, before: 6}) }},
		"and for which generation":            {of: func(run *v1alpha1.ExportRun) { waits(run); run.Status.ObservedGeneration++ }},
		"but for a cancellation":              {of: func(run *v1alpha1.ExportRun) { run.Spec.Cancel = true }, looked: true},
		"for its deletion":                    {of: func(run *v1alpha1.ExportRun) { run.DeletionTimestamp = &metav1.Time{} }, looked: true},
		"for an annotation":                   {of: func(run *v1alpha1.ExportRun) { run.Annotations = map[string]string{"a": "b"} }, looked: true},
		"for its beginning":                   {of: func(run *v1alpha1.ExportRun) { run.Status.Phase = v1alpha1.RunRunning }, looked: true},
		"for its end":                         {of: func(run *v1alpha1.ExportRun) { run.Status.Phase = v1alpha1.RunSucceeded }, looked: true},
		"for an attempt":                      {of: func(run *v1alpha1.ExportRun) { waits(run); run.Status.Attempts++ }, looked: true},
		"for another of its name":             {of: func(run *v1alpha1.ExportRun) { run.UID = "another" }, looked: true},
		"and when all are looked at, for all": {of: func(run *v1alpha1.ExportRun) { run.ResourceVersion = "1" }, looked: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Name: "run", UID: "one", ResourceVersion: "1", Generation: 1}}
			report.Of(before).Progressing(v1alpha1.ReasonQueued, "waits")
			after := before.DeepCopy()
			after.ResourceVersion = "2"
			change.of(after)
			was, is := before.DeepCopy(), after.DeepCopy()
			if looked := moreThanTold.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); looked != change.looked {
				t.Errorf("looked at is %t, want %t", looked, change.looked)
			}
			if !equality.Semantic.DeepEqual(was, before) || !equality.Semantic.DeepEqual(is, after) {
				t.Error("objects of the cache were changed")
			}
		})
	}
}
