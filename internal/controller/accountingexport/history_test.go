package accountingexport

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/exportrun"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// endedRun ended so many minutes before noon.
func endedRun(name string, phase v1alpha1.RunPhase, claims int64, minutes int) v1alpha1.ExportRun {
	run := runIn(name, phase)
	run.Status.Claims = claims
	run.Status.CompletedAt = &metav1.Time{Time: noon.Add(-time.Duration(minutes) * time.Minute)}
	return run
}

// artifact lets a run have delivered something.
func artifact(run v1alpha1.ExportRun) v1alpha1.ExportRun {
	run.Status.Location = "file:///exports/" + run.Name
	return run
}

// keptUntil is what a destination says that removes artifacts, and none before it is three hours old.
func keptUntil(run *v1alpha1.ExportRun) time.Time {
	return exportrun.KeptUntil(run, &v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{
		Retention: v1alpha1.RetentionPolicy{Artifacts: v1alpha1.DeleteArtifacts, MinimumAge: &metav1.Duration{Duration: 3 * time.Hour}},
	}})
}

func namesOf(runs []v1alpha1.ExportRun) (names []string) {
	for i := range runs {
		names = append(names, runs[i].Name)
	}
	return names
}

func TestHistory(t *testing.T) {
	t.Parallel()
	limits := v1alpha1.HistoryLimits{Succeeded: ptr.To[int32](2), Failed: ptr.To[int32](1)}
	of := func(kind v1alpha1.RunType, run v1alpha1.ExportRun) v1alpha1.ExportRun {
		run.Spec.Type = kind
		return run
	}
	tests := []struct {
		name   string
		limits v1alpha1.HistoryLimits
		runs   []v1alpha1.ExportRun
		want   []string
		wait   time.Duration
	}{
		{"keeps the newest of those that exported something and of those that failed", limits, []v1alpha1.ExportRun{
			endedRun("s1", v1alpha1.RunSucceeded, 1, 90), endedRun("f1", v1alpha1.RunFailed, 0, 89), endedRun("c1", v1alpha1.RunCancelled, 0, 88),
			endedRun("s2", v1alpha1.RunSucceeded, 1, 87), endedRun("s3", v1alpha1.RunSucceeded, 1, 86),
			endedRun("i1", v1alpha1.RunIncomplete, 1, 85), endedRun("f2", v1alpha1.RunFailed, 0, 84), runIn("r1", v1alpha1.RunRunning),
		}, []string{"s1", "f1", "c1", "s2"}, longestWait},
		{"lets no empty run take the place of one that exported something", limits, []v1alpha1.ExportRun{
			endedRun("s1", v1alpha1.RunSucceeded, 1, 99), endedRun("e1", v1alpha1.RunSucceeded, 0, 98), endedRun("e2", v1alpha1.RunSucceeded, 0, 97),
			endedRun("e3", v1alpha1.RunSucceeded, 0, 96), endedRun("e4", v1alpha1.RunSucceeded, 0, 95), endedRun("e5", v1alpha1.RunSucceeded, 0, 94),
		}, []string{"e1", "e2"}, longestWait},
		{"counts each type of run by itself", limits, []v1alpha1.ExportRun{
			of(v1alpha1.RunPreview, endedRun("p1", v1alpha1.RunSucceeded, 1, 99)), of(v1alpha1.RunPreview, endedRun("p2", v1alpha1.RunSucceeded, 1, 98)),
			of(v1alpha1.RunPreview, endedRun("p3", v1alpha1.RunSucceeded, 1, 97)), endedRun("s1", v1alpha1.RunSucceeded, 1, 96),
			of(v1alpha1.RunReversal, endedRun("r1", v1alpha1.RunSucceeded, 1, 95)),
		}, []string{"p1"}, longestWait},
		{"deletes nothing within an hour of its end, and looks again then", limits, []v1alpha1.ExportRun{
			endedRun("f1", v1alpha1.RunFailed, 0, 61), endedRun("f2", v1alpha1.RunFailed, 0, 59),
			of(v1alpha1.RunPreview, endedRun("p1", v1alpha1.RunFailed, 0, 58)), of(v1alpha1.RunPreview, endedRun("p2", v1alpha1.RunFailed, 0, 57)), endedRun("f3", v1alpha1.RunFailed, 0, 1),
		}, []string{"f1"}, time.Minute},
		{"keeps runs beyond the limits until their artifacts are old enough, and looks again then", limits, []v1alpha1.ExportRun{
			artifact(endedRun("s1", v1alpha1.RunSucceeded, 1, 300)), artifact(endedRun("s2", v1alpha1.RunSucceeded, 1, 170)), endedRun("s3", v1alpha1.RunSucceeded, 1, 160),
			artifact(endedRun("s4", v1alpha1.RunSucceeded, 1, 99)), endedRun("s5", v1alpha1.RunSucceeded, 1, 98),
		}, []string{"s1", "s3"}, 10 * time.Minute},
		{"keeps all within the default limits", v1alpha1.HistoryLimits{}, []v1alpha1.ExportRun{
			endedRun("s1", v1alpha1.RunSucceeded, 1, 99), endedRun("f1", v1alpha1.RunFailed, 0, 98),
		}, nil, longestWait},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			excess, wait := superfluous(test.limits, test.runs, keptUntil, noon)
			if got := namesOf(excess); !slices.Equal(got, test.want) || wait != test.wait {
				t.Errorf("superfluous are %q, and more in %s; want %q in %s", got, wait, test.want, test.wait)
			}
		})
	}
}

func TestHistoryIsBoundedHoweverManyRunsEndWithinAnHour(t *testing.T) {
	t.Parallel()
	var runs []v1alpha1.ExportRun
	for i := range 3000 {
		runs = append(runs, endedRun(fmt.Sprintf("f%04d", i), v1alpha1.RunFailed, 0, 1))
	}
	excess, _ := superfluous(v1alpha1.HistoryLimits{}, runs, keptUntil, noon)
	if kept := len(runs) - len(excess); kept != mostRecent+5 || excess[0].Name != "f0000" {
		t.Errorf("%d runs are kept, want %d", kept, mostRecent+5)
	}
}
