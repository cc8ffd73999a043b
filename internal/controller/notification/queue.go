package notification

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/exportrun"
	"github.com/ledgerport/ledgerport/internal/notify"
)

// mark names one event of a run for one target.
type mark struct {
	run    types.UID
	target string
	event  v1alpha1.NotificationEvent
}

// waiting is an event that is to be sent.
type waiting struct {
	mark
	of *v1alpha1.ExportRun
	// since is when it has happened, and until when it is not sent any more.
	since, until time.Time
}

// untold returns the runs of which something is to be sent, in the order in which they have ended. They are the cache's own, to be read
// only.
func untold(runs []v1alpha1.ExportRun) (some []v1alpha1.ExportRun) {
	for i := range runs {
		if notify.Pending(&runs[i]) {
			some = append(some, runs[i])
		}
	}
	slices.SortStableFunc(some, exportrun.OlderFirst)
	return some
}

// queues returns what is to be sent to each target, in the order in which it has happened. What is done already is left out. While a run waits
// for its approval others may end, and when it has ended its wait is still before them. Two events of one run stay in their order, also if the
// clock was set back between them.
func queues(runs []v1alpha1.ExportRun, done map[mark]fate) map[string][]waiting {
	queues := map[string][]waiting{}
	for i := range runs {
		run, since := &runs[i], time.Time{}
		for _, one := range run.Status.Notifications {
			next := waiting{mark: mark{run.UID, one.Target, one.Event}, of: run, until: one.At.Add(notify.KeptFor)}
			if _, known := done[next.mark]; !known && one.State == v1alpha1.NotificationPending {
				if one.At.After(since) {
					since = one.At.Time
				}
				next.since = since
				queues[one.Target] = append(queues[one.Target], next)
			}
		}
	}
	for _, queue := range queues {
		slices.SortStableFunc(queue, func(a, b waiting) int { return a.since.Compare(b.since) })
	}
	return queues
}

// settle puts what became of events into the status of a run, and reports whether that is news.
func settle(run *v1alpha1.ExportRun, done map[mark]fate) (news bool) {
	for i := range run.Status.Notifications {
		one := &run.Status.Notifications[i]
		became, known := done[mark{run.UID, one.Target, one.Event}]
		if known && one.State == v1alpha1.NotificationPending {
			one.State, one.At, news = became.state, became.at, true
		}
	}
	return news
}
