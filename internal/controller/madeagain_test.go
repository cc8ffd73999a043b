package controller_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// holdWrite has the operator's first write of a kind to an object wait. It returns what tells that it has come, and what lets it go on.
func (w *world) holdWrite(method, object string) (come <-chan struct{}, goOn func()) {
	arrived, free := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	w.writes.hold = func(request *http.Request) {
		if request.Method == method && strings.HasSuffix(request.URL.Path, object) && first.CompareAndSwap(false, true) {
			close(arrived)
			<-free
		}
	}
	return arrived, sync.OnceFunc(func() { close(free) })
}

// TestRunMadeAgain deletes an export, and makes one of its runs again while the operator deletes these.
func TestRunMadeAgain(t *testing.T) {
	t.Parallel()
	var deleting <-chan struct{}
	var goOn func()
	w := newWorldWith(t, func(w *world) { deleting, goOn = w.holdWrite(http.MethodDelete, "/exportruns/a") })
	defer goOn()
	leaving := w.export()
	leaving.Name = "leaving"
	runs := []*v1alpha1.ExportRun{w.run("a"), w.run("b")}
	w.create(leaving)
	for _, run := range runs {
		run.Spec.ExportRef.Name = leaving.Name
		w.create(run)
		eventually(w, run, isKept)
	}
	w.must(api.client.Delete(t.Context(), leaving))
	select {
	case <-deleting:
	case <-time.After(patience):
		t.Fatal("the operator does not delete the runs of an export that is being deleted")
	}

	again := runs[1]
	former := again.UID
	w.must(api.client.Patch(t.Context(), again, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))
	w.must(api.client.Delete(t.Context(), again))
	again = w.run("b")
	again.Spec.ExportRef.Name = "nothing"
	w.create(again)
	eventually(w, again, func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonExportNotFound)
	})
	goOn()

	w.gone(leaving)
	other, next := w.export(), w.run("next")
	w.create(other, next)
	eventually(w, next, isKept) // its turn is found in a list of all runs
	w.must(api.client.Get(t.Context(), client.ObjectKeyFromObject(again), again))
	if again.UID == former || !again.DeletionTimestamp.IsZero() {
		t.Errorf("the run that was made again is %s (the former was %s), deleted %v; want it to stay", again.UID, former, again.DeletionTimestamp)
	}
}

func isKept(run *v1alpha1.ExportRun) (missing string) {
	if len(run.Finalizers) == 0 || len(run.OwnerReferences) == 0 {
		return "the run has no finalizer or no owner"
	}
	return ""
}
