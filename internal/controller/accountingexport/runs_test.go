package accountingexport

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/exportrun"
)

func TestSlotComesBeforeRequestAndBothAreAnsweredOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		requested string
		handled   string
		suspended bool
		due       time.Time
		want      string
	}{
		{"nothing is due", "", "", false, time.Time{}, ""},
		{"a slot names its run by its minute", "", "", false, time.Unix(1792000000*60, 0), "monthly-1792000000"},
		{"a request names its run by its value", "now", "", false, time.Time{}, "monthly-r28b19af7"},
		{"a request that was answered is none", "now", "now", false, time.Time{}, ""},
		{"another value is another request", "again", "now", false, time.Time{}, "monthly-rb33fe54f"},
		{"a slot comes first", "now", "", false, time.Unix(1792000000*60, 0), "monthly-1792000000"},
		{"suspended exports answer no request", "now", "", true, time.Time{}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Name: "monthly", Annotations: map[string]string{v1alpha1.RequestedAtAnnotation: test.requested}}}
			export.Spec.Suspend, export.Status.LastHandledRequest = test.suspended, test.handled
			got := ""
			if run := wantedRun(export, test.due); run != nil {
				got = run.Name
			}
			if got != test.want {
				t.Errorf("wanted run %q, want %q", got, test.want)
			}
		})
	}
}

func TestRunsSayWhoAskedForThem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		by, want string
		due      time.Time
	}{
		"a slot is of the schedule, and not of who asked last": {by: "alice", due: noon, want: v1alpha1.RequestedBySchedule},
		"a request is of who is named beside it":               {by: "alice", want: "alice"},
		"a request without a name is of nobody who is known":   {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Name: "monthly", Annotations: map[string]string{v1alpha1.RequestedAtAnnotation: "now"}}}
			if test.by != "" {
				export.Annotations[v1alpha1.RequestedByAnnotation] = test.by
			}
			if got := wantedRun(export, test.due).Annotations[v1alpha1.RequestedByAnnotation]; got != test.want {
				t.Errorf("the run is of %q, want %q", got, test.want)
			}
		})
	}
}

func TestAValueThatWasAnsweredBeforeAnotherIsARequestAgain(t *testing.T) {
	t.Parallel()
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Name: "monthly", Annotations: map[string]string{}}}
	names := map[string]bool{}
	for range 3 {
		for _, value := range []string{"a", "b"} {
			export.Annotations[v1alpha1.RequestedAtAnnotation] = value
			run := wantedRun(export, time.Time{})
			if again := wantedRun(export, time.Time{}); again.Name != run.Name {
				t.Errorf("one request wants %s and then %s", run.Name, again.Name)
			}
			names[run.Name] = true
			export.Status.LastHandledRequest = value
			export.Status.HandledRequests++
		}
	}
	if len(names) != 6 {
		t.Errorf("six requests want the runs %v", names)
	}
}

func TestLastRunsSurviveTheirDeletion(t *testing.T) {
	t.Parallel()
	export := &v1alpha1.AccountingExport{}
	succeeded, failed := runIn("a", v1alpha1.RunSucceeded), runIn("b", v1alpha1.RunFailed)
	succeeded.Status.CompletedAt, failed.Status.CompletedAt = &metav1.Time{Time: noon}, &metav1.Time{Time: noon.Add(time.Minute)}
	summarize(export, []v1alpha1.ExportRun{succeeded, failed})
	if export.Status.LastRun.Name != "b" || export.Status.LastSuccessfulRun.Name != "a" {
		t.Fatalf("last run %v, last successful %v; want b and a", export.Status.LastRun, export.Status.LastSuccessfulRun)
	}
	summarize(export, nil)
	if export.Status.LastRun.Name != "b" || export.Status.LastSuccessfulRun.Name != "a" {
		t.Errorf("without runs: last run %v, last successful %v; want b and a", export.Status.LastRun, export.Status.LastSuccessfulRun)
	}
	summarize(export, []v1alpha1.ExportRun{succeeded})
	if export.Status.LastRun.Name != "b" || export.Status.LastSuccessfulRun.Name != "a" {
		t.Errorf("with the older run alone: last run %v, last successful %v; want b and a", export.Status.LastRun, export.Status.LastSuccessfulRun)
	}
	export.Status.LastRun = &v1alpha1.RunSummary{Name: "deleted while it waited", Phase: v1alpha1.RunPending}
	summarize(export, []v1alpha1.ExportRun{succeeded})
	if export.Status.LastRun.Name != "a" {
		t.Errorf("last run %v, want the one that is left", export.Status.LastRun)
	}
}

func TestHandledSlotIsTheNewestKnown(t *testing.T) {
	t.Parallel()
	created := noon.Add(-time.Hour)
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.Time{Time: created}}}
	if got := handledSlot(export, nil, noon); !got.Equal(created) {
		t.Errorf("of a new export: %s, want its creation", got)
	}
	of := func(slot time.Time) v1alpha1.ExportRun {
		run := *slotRun(export, slot)
		run.CreationTimestamp = metav1.Time{Time: slot}
		return run
	}
	run := of(noon)
	if got := handledSlot(export, []v1alpha1.ExportRun{run}, noon); !got.Equal(noon) {
		t.Errorf("with a run that the status does not know yet: %s, want its slot", got)
	}
	early := of(noon.Add(time.Minute))
	if got := handledSlot(export, []v1alpha1.ExportRun{run, early}, noon); !got.Equal(noon) {
		t.Errorf("with a run for a slot that is yet to come: %s, want the slot that came", got)
	}
	for name, change := range map[string]func(*v1alpha1.ExportRun){
		"of another name": func(run *v1alpha1.ExportRun) { run.Name = "by-hand" },
		"of claims approved before the slot before": func(run *v1alpha1.ExportRun) { run.Spec.Cutoff = &metav1.Time{Time: created} },
		"of claims that it names":                   func(run *v1alpha1.ExportRun) { run.Spec.Claims = &v1alpha1.NamedClaims{IDs: []string{"none"}} },
		"of claims that are too many for the cache": func(run *v1alpha1.ExportRun) {
			run.Spec.Claims = &v1alpha1.NamedClaims{IDs: []string{"none"}}
			run.LeaveOutLarge()
		},
		"that was made by a person before it came": func(run *v1alpha1.ExportRun) {
			run.CreationTimestamp.Time, run.Annotations = noon.Add(-time.Second), nil
		},
		"that was made before it came, by their name": func(run *v1alpha1.ExportRun) {
			run.CreationTimestamp.Time, run.Annotations = noon.Add(-time.Second), map[string]string{v1alpha1.RequestedByAnnotation: "jane"}
		},
	} {
		other := of(noon)
		change(&other)
		if got := handledSlot(export, []v1alpha1.ExportRun{other}, noon); !got.Equal(created) {
			t.Errorf("with a run %s: %s, want that of the creation: the slot's own run is yet to be made", name, got)
		}
	}
	ahead := of(noon)
	ahead.CreationTimestamp.Time = noon.Add(-time.Minute)
	if got := handledSlot(export, []v1alpha1.ExportRun{ahead}, noon); !got.Equal(noon) {
		t.Errorf("with a run of the schedule itself, whose clock was ahead: %s, want its slot", got)
	}
	export.Status.LastScheduleTime = &metav1.Time{Time: noon.Add(time.Hour)}
	if got := handledSlot(export, []v1alpha1.ExportRun{run}, noon); !got.Equal(noon.Add(time.Hour)) {
		t.Errorf("with a newer status: %s, want the status", got)
	}
}

func TestARunOfAScheduleIsNewsWhenItHasEndedOrTakesLong(t *testing.T) {
	t.Parallel()
	begun := func(run *v1alpha1.ExportRun) { run.Status.Phase = v1alpha1.RunRunning }
	for name, test := range map[string]struct {
		run    func(*v1alpha1.ExportRun)
		status func(*v1alpha1.AccountingExportStatus)
		age    time.Duration
		want   time.Duration
	}{
		"one that was created now is none yet":             {age: time.Second, want: 59 * time.Second},
		"nor one that has begun":                           {run: begun, age: 5 * time.Second, want: 55 * time.Second},
		"one that goes on for long is":                     {run: begun, age: time.Minute},
		"one that has ended is":                            {run: func(run *v1alpha1.ExportRun) { run.Status.Phase = v1alpha1.RunSucceeded }, age: time.Second},
		"one that a person asked for is":                   {run: func(run *v1alpha1.ExportRun) { run.Spec.Slot = nil }, age: time.Second},
		"so is all else that has changed":                  {status: func(s *v1alpha1.AccountingExportStatus) { s.ObservedGeneration = 7 }, age: time.Second},
		"nothing is put off by a clock that is far behind": {age: -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := runIn("a", "")
			run.Spec.Slot, run.CreationTimestamp = &metav1.Time{Time: noon}, metav1.Time{Time: noon}
			if test.run != nil {
				test.run(&run)
			}
			told := &v1alpha1.AccountingExportStatus{LastRun: &v1alpha1.RunSummary{Name: "before", Phase: v1alpha1.RunSucceeded}}
			now := told.DeepCopy()
			now.LastRun, now.LastScheduleTime = &v1alpha1.RunSummary{Name: "a", Phase: v1alpha1.RunRunning}, &metav1.Time{Time: noon}
			if test.status != nil {
				test.status(now)
			}
			if got := untilNews(told, now, []v1alpha1.ExportRun{run}, noon.Add(test.age)); got != test.want {
				t.Errorf("%s until there is news, want %s", got, test.want)
			}
		})
	}
}

func runIn(name string, phase v1alpha1.RunPhase) v1alpha1.ExportRun {
	return v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.ExportRunStatus{Phase: phase}}
}

// TestRunsThatWereAppliedAgainTakeNoRealOnesPlace is of a directory with a backup that is applied: the clocks of the database and
// of the operator are apart.
func TestRunsThatWereAppliedAgainTakeNoRealOnesPlace(t *testing.T) {
	t.Parallel()
	at := func(run v1alpha1.ExportRun, minutes int, recovered bool) v1alpha1.ExportRun {
		run.Status.CompletedAt, run.Status.Recovered = &metav1.Time{Time: noon.Add(time.Duration(minutes) * time.Minute)}, recovered
		return run
	}
	ended := []v1alpha1.ExportRun{at(runIn("a", v1alpha1.RunSucceeded), 0, false), at(runIn("b", v1alpha1.RunFailed), 1, false)}
	told := func(runs ...v1alpha1.ExportRun) *v1alpha1.AccountingExport {
		export := &v1alpha1.AccountingExport{}
		summarize(export, ended)
		slices.SortFunc(runs, exportrun.OlderFirst)
		summarize(export, runs)
		return export
	}
	for name, applied := range map[string][]v1alpha1.ExportRun{
		"an older success":                             {at(runIn("old", v1alpha1.RunSucceeded), -60, true)},
		"a success that the database says was later":   {at(runIn("old", v1alpha1.RunSucceeded), 20, true)},
		"a cancelled and a failed one, and a success":  {at(runIn("c", v1alpha1.RunCancelled), -9, true), at(runIn("f", v1alpha1.RunFailed), 9, true), at(runIn("s", v1alpha1.RunSucceeded), 30, true)},
		"one of which nobody knows yet that it is old": {runIn("old", v1alpha1.RunRunning)},
		"none": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if export := told(append(applied, ended...)...); export.Status.LastRun.Name != "b" || export.Status.LastSuccessfulRun.Name != "a" {
				t.Errorf("the last run is %s, and the last successful one %s", export.Status.LastRun.Name, export.Status.LastSuccessfulRun.Name)
			}
			if export := told(applied...); export.Status.LastRun.Name != "b" || export.Status.LastSuccessfulRun.Name != "a" {
				t.Errorf("without the ExportRuns of the others the last run is %s, and the last successful one %s", export.Status.LastRun.Name, export.Status.LastSuccessfulRun.Name)
			}
		})
	}
	t.Run("they are told of if there is nothing else, the newest last", func(t *testing.T) {
		t.Parallel()
		export := &v1alpha1.AccountingExport{}
		summarize(export, []v1alpha1.ExportRun{at(runIn("x", v1alpha1.RunSucceeded), -5, true), at(runIn("y", v1alpha1.RunSucceeded), -4, true)})
		if export.Status.LastRun.Name != "y" {
			t.Errorf("the last run is %s", export.Status.LastRun.Name)
		}
	})
	t.Run("they leave the history before any other", func(t *testing.T) {
		t.Parallel()
		two := int32(2)
		runs := []v1alpha1.ExportRun{at(runIn("a", v1alpha1.RunSucceeded), 0, false), at(runIn("b", v1alpha1.RunSucceeded), 1, false), at(runIn("old", v1alpha1.RunSucceeded), 20, true)}
		for i := range runs {
			runs[i].Status.Claims = 1
		}
		if left, _ := superfluous(v1alpha1.HistoryLimits{Succeeded: &two}, runs, keptUntil, noon.Add(2*time.Hour)); len(left) != 1 || left[0].Name != "old" {
			t.Errorf("%d runs are superfluous, want the one that was applied again", len(left))
		}
	})
	t.Run("they answer no slot but their own", func(t *testing.T) {
		t.Parallel()
		export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Name: "monthly", CreationTimestamp: metav1.Time{Time: noon.Add(-time.Hour)}}}
		export.Status.LastScheduleTime = &metav1.Time{Time: noon}
		old := at(runIn("monthly-1", v1alpha1.RunSucceeded), 20, true)
		old.Spec.Slot = &metav1.Time{Time: noon.Add(-30 * time.Minute)}
		if got := handledSlot(export, []v1alpha1.ExportRun{old}, noon.Add(time.Hour)); !got.Equal(noon) {
			t.Errorf("the handled slot is %s, want the newest", got)
		}
	})
}

func TestSummaryOfARunUnderWayStandsBesideASuccessAndNoFailure(t *testing.T) {
	t.Parallel()
	for phase, want := range map[v1alpha1.RunPhase]string{v1alpha1.RunSucceeded: "next", v1alpha1.RunFailed: "last", v1alpha1.RunIncomplete: "last", v1alpha1.RunCancelled: "last"} {
		last := runIn("last", phase)
		last.Status.CompletedAt = &metav1.Time{Time: noon}
		export := &v1alpha1.AccountingExport{}
		summarize(export, []v1alpha1.ExportRun{last, runIn("next", v1alpha1.RunRunning)})
		if export.Status.LastRun.Name != want {
			t.Errorf("after one that is %s the last run is %s, want %s", phase, export.Status.LastRun.Name, want)
		}
	}
}

func TestAnExportIsKeptForItsRunsOnceOneMayBeginBeforeTheNextLook(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		schedule  string
		suspended bool
		want      bool
	}{
		"a slot is half an hour away":                 {schedule: "30 12 * * *", want: true},
		"a slot is an hour away":                      {schedule: "0 13 * * *", want: true},
		"a slot is further away than that":            {schedule: "1 13 * * *"},
		"what is suspended begins no run of its slot": {schedule: "30 12 * * *", suspended: true},
		"there is no schedule":                        {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Name: "monthly", CreationTimestamp: metav1.NewTime(noon)}}
			export.Spec.Schedule, export.Spec.Suspend = test.schedule, test.suspended
			found := &checks{}
			if err := found.checkTiming(export, 0, noon); err != nil {
				t.Fatal(err)
			}
			r := &Reconciler{Clock: clocktesting.NewFakePassiveClock(noon), WatchNamespaces: true}
			if next := r.decide(export, nil, found); next.near != test.want || next.run != nil {
				t.Errorf("next is %+v", next)
			}
		})
	}
}
