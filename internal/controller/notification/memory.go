package notification

import (
	"math/rand/v2"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

const (
	// firstBackoff is how long a target that has failed is left alone; it doubles with each further failure.
	firstBackoff = 5 * time.Second
	// longestBackoff bounds that.
	longestBackoff = 10 * time.Minute
)

// memory is what a process knows of an export beyond what is recorded. A process without it sends again what was sent and not recorded,
// and tries at once what has failed before.
type memory struct {
	uid        types.UID
	generation int64
	targets    map[string]*standing
	done       map[mark]fate
}

// fate is what became of an event.
type fate struct {
	state v1alpha1.NotificationState
	at    metav1.Time
	// recorded is true once it is, though the cache may not show it.
	recorded bool
}

// standing is how a target has done lately.
type standing struct {
	failures int
	next     time.Time
	failed   *failure.Error // nil if it takes what it is told
}

// fail notes that a target has failed, and leaves it alone: the longer the more often it has, and as long as it asks.
func (s *standing) fail(failed *failure.Error, asked time.Duration, now time.Time) {
	wait := firstBackoff
	for range min(s.failures, 10) {
		wait = min(2*wait, longestBackoff)
	}
	wait += time.Duration(rand.Float64() * 0.1 * float64(wait)) // #nosec G404 -- spreading load is no secret
	s.failures++
	s.failed, s.next = failed, now.Add(max(wait, asked))
}

// gone reports whether a target wants no more.
func (s *standing) gone() bool {
	return s.failed != nil && s.failed.Reason == v1alpha1.ReasonTargetGone
}

// memories are those of all exports. One export is never reconciled twice at the same time.
type memories struct {
	mu  sync.Mutex
	all map[types.NamespacedName]*memory
}

// of returns what is known of an export. After an edit its targets are tried at once.
func (m *memories) of(name types.NamespacedName, export *v1alpha1.AccountingExport) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.all[name]
	if known == nil || known.uid != export.UID {
		known = &memory{uid: export.UID, done: map[mark]fate{}}
		if m.all == nil {
			m.all = map[types.NamespacedName]*memory{}
		}
		m.all[name] = known
	}
	if known.targets == nil || known.generation != export.Generation {
		known.generation, known.targets = export.Generation, map[string]*standing{}
	}
	return known
}

// forget drops what is known of an export.
func (m *memories) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, name)
}

// standing returns that of a target.
func (m *memory) standing(target string) *standing {
	if m.targets[target] == nil {
		m.targets[target] = &standing{}
	}
	return m.targets[target]
}

// clean drops what the cache shows by now.
func (m *memory) clean(runs []v1alpha1.ExportRun) {
	needed := map[mark]bool{}
	for i := range runs {
		for _, one := range runs[i].Status.Notifications {
			if one.State == v1alpha1.NotificationPending {
				needed[mark{runs[i].UID, one.Target, one.Event}] = true
			}
		}
	}
	for known := range m.done {
		if !needed[known] {
			delete(m.done, known)
		}
	}
}
