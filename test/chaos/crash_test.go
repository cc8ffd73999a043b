package main

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
)

// diesAtEveryPoint kills a real process at each point of the reconcilers: where a run begins, and at the points of the
// statuses where it ends as well. Another process goes on.
func diesAtEveryPoint(t *testing.T, w *world) {
	t.Helper()
	for i, point := range failpoint.ControllerPoints() {
		of := w.tenants[i%len(w.tenants)]
		t.Run("one that is killed at "+string(point)+" where a run begins is followed by another", func(t *testing.T) {
			w.approveFive(t, of)
			untilItEnds(t, w, reachAt(t, w, of, point, "kill"))
			w.settleSoundly(t)
		})
		if strings.HasPrefix(string(point), string(failpoint.CreateRun)) {
			continue
		}
		t.Run("one that is killed at "+string(point)+" where a run ends is followed by another", func(t *testing.T) {
			w.approveFive(t, of)
			pid := reachAt(t, w, of, failpoint.Commit.Before(), "stop")
			taken := w.reachLater(t, point, "kill")
			must(t, syscall.Kill(pid, syscall.SIGCONT))
			if pid = <-taken; pid == 0 {
				t.Fatalf("no operator came to %s", point)
			}
			untilItEnds(t, w, pid)
			w.settleSoundly(t)
		})
	}
}

// endsWhenAsked asks a real process to end in the middle of a run: it ends within its grace period, and the run goes on in
// another, which is no failure of the run.
func endsWhenAsked(t *testing.T, w *world, of tenant, point failpoint.Point) {
	t.Helper()
	known := w.runsOf(t, of)
	w.approveFive(t, of)
	pid := reachAt(t, w, of, point, "stop")
	must(t, syscall.Kill(pid, syscall.SIGTERM))
	asked := time.Now()
	must(t, syscall.Kill(pid, syscall.SIGCONT))
	untilItEnds(t, w, pid)
	if took := time.Since(asked); took > gracePeriod {
		t.Errorf("the operator took %s to end", took)
	}
	w.settleSoundly(t)
	for _, run := range w.runsOf(t, of) {
		isKnown := slices.ContainsFunc(known, func(k v1alpha1.ExportRun) bool { return k.UID == run.UID })
		if !isKnown && (run.Status.Phase != v1alpha1.RunSucceeded || run.Status.Failures != 0) {
			t.Errorf("%s is %s after %d failures: %+v", run.Name, run.Status.Phase, run.Status.Failures, run.Status.Conditions)
		}
	}
}

func (w *world) runsOf(t *testing.T, of tenant) []v1alpha1.ExportRun {
	t.Helper()
	var runs v1alpha1.ExportRunList
	must(t, w.api.List(t.Context(), &runs, client.InNamespace(of.namespace)))
	return runs.Items
}

// diesReversing lets the first run of a tenant that exported something be reversed, kills an operator in the middle of that,
// and lets the claims be exported again.
func diesReversing(t *testing.T, w *world, of tenant) {
	t.Helper()
	runs := w.runsOf(t, of)
	exported := slices.IndexFunc(runs, func(run v1alpha1.ExportRun) bool {
		return run.Status.Phase == v1alpha1.RunSucceeded && run.Spec.Type != v1alpha1.RunReversal && run.Status.Claims > 0
	})
	taken := w.reachLater(t, failpoint.MarkDelivered.After(), "kill")
	must(t, w.reverse(t.Context(), &runs[exported]))
	if pid := <-taken; pid == 0 {
		t.Fatal("no operator delivered the reversal")
	}
	left := w.settleSoundly(t)
	back := slices.IndexFunc(left.resources, func(run resource) bool {
		return run.Namespace == of.namespace && run.Spec.Type == v1alpha1.RunReversal
	})
	if back < 0 || left.resources[back].Status.Phase != v1alpha1.RunSucceeded || left.resources[back].Status.Claims != runs[exported].Status.Claims {
		t.Errorf("the reversal of %s is not what it should be: %+v", runs[exported].Name, left.resources)
	}
}
