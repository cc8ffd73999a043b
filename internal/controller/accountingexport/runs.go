package accountingexport

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/exportrun"
)

// controlledBy returns the runs that belong to an export, oldest first.
func controlledBy(export *v1alpha1.AccountingExport, runs []v1alpha1.ExportRun) []v1alpha1.ExportRun {
	own := slices.DeleteFunc(slices.Clone(runs), func(run v1alpha1.ExportRun) bool { return !metav1.IsControlledBy(&run, export) })
	slices.SortFunc(own, exportrun.OlderFirst)
	return own
}

// unfinished returns the names of the runs that are not finished: an export has one at a time, beside previews and redeliveries.
func unfinished(runs []v1alpha1.ExportRun) (names []string) {
	for i := range runs {
		if !runs[i].Status.Phase.Finished() && runs[i].Spec.Type.TakesTurns() && !exportrun.NeverBegins(&runs[i]) {
			names = append(names, runs[i].Name)
		}
	}
	return names
}

// handledSlot is the newest slot that has its run or was skipped, or else when the export was created. A run whose slot is yet to
// come was not made by the schedule, which must not wait for that, and neither was one that exports something else than the slot's: who may only
// ask for runs does not keep those of the schedule from being made.
func handledSlot(export *v1alpha1.AccountingExport, runs []v1alpha1.ExportRun, now time.Time) time.Time {
	handled := export.CreationTimestamp.Time
	if last := export.Status.LastScheduleTime; last != nil && last.After(handled) {
		handled = last.Time
	}
	for _, run := range runs {
		if slot := run.Spec.Slot; slot != nil && slot.After(handled) && !slot.After(now) && answers(&run, slotRun(export, slot.Time)) {
			handled = slot.Time
		}
	}
	return handled
}

// wantedRun returns the run that a due slot or else a request that was not answered yet asks for. Its name is the same
// for every process. That of a request depends on how many were answered before, so that a value that was used before is a request like
// any other.
func wantedRun(export *v1alpha1.AccountingExport, due time.Time) *v1alpha1.ExportRun {
	request := export.Annotations[v1alpha1.RequestedAtAnnotation]
	switch {
	case !due.IsZero():
		return slotRun(export, due)
	case request != "" && request != export.Status.LastHandledRequest && !export.Spec.Suspend:
		digest := fnv.New32a()
		_, _ = digest.Write([]byte(request)) // a hash takes everything
		if answered := export.Status.HandledRequests; answered > 0 {
			_, _ = fmt.Fprintf(digest, "\n%d", answered)
		}
		run := newRun(export, fmt.Sprintf("%s-r%08x", export.Name, digest.Sum32()))
		requestedBy(run, export.Annotations[v1alpha1.RequestedByAnnotation])
		return run
	}
	return nil
}

// slotRun is the run of a slot.
func slotRun(export *v1alpha1.AccountingExport, slot time.Time) *v1alpha1.ExportRun {
	run := newRun(export, fmt.Sprintf("%s-%d", export.Name, slot.Unix()/60))
	run.Spec.Slot, run.Spec.Cutoff = optionalTime(slot), optionalTime(slot)
	requestedBy(run, v1alpha1.RequestedBySchedule)
	return run
}

// requestedBy says in a new run who has asked for it, if that is known.
func requestedBy(run *v1alpha1.ExportRun, name string) {
	if name != "" {
		run.Annotations = map[string]string{v1alpha1.RequestedByAnnotation: name}
	}
}

// answers reports whether a run is what is wanted, and not one that somebody has made for another purpose.
func answers(run, wanted *v1alpha1.ExportRun) bool {
	return run.Name == wanted.Name && cmp.Or(run.Spec.Type, v1alpha1.RunExport) == v1alpha1.RunExport && run.Spec.Claims == nil &&
		run.Spec.Slot.Equal(wanted.Spec.Slot) && run.Spec.Cutoff.Equal(wanted.Spec.Cutoff) && !ahead(run)
}

// ahead reports whether somebody has made a run before its slot came, which exports nothing of what is approved until then. The schedule may be
// ahead, too, by the operator's clock, and says that it is the schedule: config/admission keeps others from that.
func ahead(run *v1alpha1.ExportRun) bool {
	return run.Spec.Slot != nil && run.CreationTimestamp.Before(run.Spec.Slot) && run.Annotations[v1alpha1.RequestedByAnnotation] != v1alpha1.RequestedBySchedule
}

func newRun(export *v1alpha1.AccountingExport, name string) *v1alpha1.ExportRun {
	return &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: export.Namespace,
			Labels:     map[string]string{v1alpha1.ExportLabel: export.Name},
			Finalizers: []string{v1alpha1.RunFinalizer},
		},
		Spec: v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: export.Name}},
	}
}

// summarize tells of the newest export and the newest that succeeded; reversals, previews and redeliveries tell of themselves. What is
// told already stays when its run is deleted. A run that has not ended takes the place of a success, which is told beside it,
// and of no failure: it may turn out to be an old one that was applied again.
func summarize(export *v1alpha1.AccountingExport, runs []v1alpha1.ExportRun) {
	newest, successful := ifEnded(export.Status.LastRun), export.Status.LastSuccessfulRun
	if newest == nil {
		newest = successful
	}
	var underWay *v1alpha1.ExportRun
	for i := range runs {
		run := &runs[i]
		switch {
		case run.Spec.Type == v1alpha1.RunReversal || !run.Spec.Type.TakesTurns():
			continue
		case run.Status.CompletedAt == nil:
			underWay = run
			continue
		}
		if notOlder(run, newest, runs) {
			newest = summary(run)
		}
		if run.Status.Phase == v1alpha1.RunSucceeded && notOlder(run, successful, runs) {
			successful = summary(run)
		}
	}
	export.Status.LastRun, export.Status.LastSuccessfulRun = newest, successful
	if underWay != nil && (newest == nil || newest.Phase == v1alpha1.RunSucceeded) {
		export.Status.LastRun = summary(underWay)
	}
}

// untilNews is how long it is until an export has news, if all that has changed is that a run of its schedule has begun; else 0. Such
// a run mostly ends soon, and its end is told with it. What the schedule goes by until then is the run itself.
func untilNews(told, now *v1alpha1.AccountingExportStatus, runs []v1alpha1.ExportRun, at time.Time) time.Duration {
	underWay := slices.IndexFunc(runs, func(run v1alpha1.ExportRun) bool {
		return run.Spec.Slot != nil && !run.Status.Phase.Finished() && now.LastRun != nil && run.Name == now.LastRun.Name
	})
	if underWay < 0 {
		return 0
	}
	age := at.Sub(runs[underWay].CreationTimestamp.Time)
	calm := now.DeepCopy()
	calm.LastRun, calm.LastScheduleTime, calm.NextScheduleTime = told.LastRun, told.LastScheduleTime, told.NextScheduleTime
	if age < -time.Second || !equality.Semantic.DeepEqual(calm, told) { // times of the API server have no fractions of seconds
		return 0
	}
	return max(0, exportrun.ToldAfter-age)
}

// ifEnded returns what is told of a run, if that has ended.
func ifEnded(told *v1alpha1.RunSummary) *v1alpha1.RunSummary {
	if told == nil || told.CompletedAt == nil {
		return nil
	}
	return told
}

// notOlder reports whether a run that has ended, given after those that come before it, is to be told of instead of another:
// it is the same one, or has ended later. One that was applied again takes the place of others of its kind only: its times are
// the database's, and nothing has happened.
func notOlder(run *v1alpha1.ExportRun, told *v1alpha1.RunSummary, runs []v1alpha1.ExportRun) bool {
	switch {
	case told == nil || told.Name == run.Name:
		return true
	case run.Status.Recovered && !slices.ContainsFunc(runs, func(other v1alpha1.ExportRun) bool { return other.Name == told.Name && other.Status.Recovered }):
		return false
	}
	return told.CompletedAt != nil && !run.Status.CompletedAt.Before(told.CompletedAt)
}

// summary of a run. One that was just created is Running already: it begins at once, and an export's status is written
// only where its user sees a difference.
func summary(run *v1alpha1.ExportRun) *v1alpha1.RunSummary {
	s := &v1alpha1.RunSummary{Name: run.Name, Phase: run.Status.Phase, Reason: exportrun.ReadyReason(run)}
	if s.Phase == "" || s.Phase == v1alpha1.RunRunning {
		s.Phase, s.Reason = v1alpha1.RunRunning, v1alpha1.ReasonRunning
	}
	if run.Status.Phase.Finished() {
		s.CompletedAt, s.RunResult = run.Status.CompletedAt, run.Status.RunResult
		if run.Status.StartedAt != nil {
			s.StartedAt = &metav1.Time{Time: run.Status.StartedAt.Truncate(time.Second)} // as it is stored
		}
	}
	return s
}

func optionalTime(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t}
}

func duration(d *metav1.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.Duration
}
