package claimsource

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/panics"
)

const (
	// migrationTimeout bounds one migration: it rewrites tables that have every claim that was ever exported.
	migrationTimeout = 6 * time.Hour
	// concurrentMigrations bounds how many migrations begin at once, because their databases may be on one server. A namespace has
	// one at a time.
	concurrentMigrations = 4
	// placeTime is how long a migration has one of these places. One that takes longer goes on without: it may be an honest one, whose
	// work would be lost, or of a server that never answers, and nothing that a server says tells which. So neither blocks others.
	placeTime = time.Minute
)

// migrations are those of databases that are under way. No check and no run waits for one.
type migrations struct {
	migrate func(context.Context, *v1alpha1.ClaimSource) error
	ended   func(types.NamespacedName) // asks for a look at the source
	places  chan struct{}

	mu       sync.Mutex
	stopping bool
	sources  map[types.NamespacedName]*migration
	busy     map[string]bool // namespaces of which a migration waits or has not returned, also one that was ended
	underWay sync.WaitGroup
}

// migration is one that is under way or has failed.
type migration struct {
	source types.UID
	cancel context.CancelFunc
	before error // how the one before has failed
	ended  bool
	told   bool // that it has failed
	err    error
}

func newMigrations(migrate func(context.Context, *v1alpha1.ClaimSource) error, ended func(types.NamespacedName)) *migrations {
	return &migrations{migrate: migrate, ended: ended, places: make(chan struct{}, concurrentMigrations), sources: map[types.NamespacedName]*migration{}, busy: map[string]bool{}}
}

// Start implements manager.Runnable: migrations end with the process. What was not committed of them is undone, and the next
// process begins them anew.
func (m *migrations) Start(ctx context.Context) error {
	<-ctx.Done()
	m.mu.Lock()
	m.stopping = true
	for _, begun := range m.sources {
		begun.cancel()
	}
	m.mu.Unlock()
	m.underWay.Wait()
	return nil
}

// ensure begins the migration of a source's database, unless it or another one of its namespace is under way, and returns how the
// last one has failed. The look that its end asks for is told of that, and the one after begins another.
func (m *migrations) ensure(source *v1alpha1.ClaimSource) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := types.NamespacedName{Namespace: source.Namespace, Name: source.Name}
	last := m.sources[name]
	if last != nil && last.source != source.UID {
		m.end(name)
		last = nil
	}
	switch {
	case m.stopping:
		return nil
	case last != nil && !last.ended:
		return last.before
	case last != nil && !last.told:
		last.told = true
		return last.err
	case m.busy[source.Namespace]:
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), migrationTimeout)
	now := &migration{source: source.UID, cancel: cancel}
	if last != nil {
		now.before = last.err
	}
	m.sources[name], m.busy[name.Namespace] = now, true
	source = source.DeepCopy()
	m.underWay.Go(func() { m.execute(ctx, source, now) })
	return now.before
}

// forget ends the migration of a source that does not exist any more.
func (m *migrations) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end(name)
}

func (m *migrations) end(name types.NamespacedName) {
	if begun := m.sources[name]; begun != nil {
		begun.cancel()
		delete(m.sources, name)
	}
}

func (m *migrations) execute(ctx context.Context, source *v1alpha1.ClaimSource, now *migration) {
	defer now.cancel()
	err := m.inTurn(ctx, source)
	name := types.NamespacedName{Namespace: source.Namespace, Name: source.Name}
	m.mu.Lock()
	now.ended, now.err = true, err
	delete(m.busy, name.Namespace)
	if err == nil && m.sources[name] == now {
		delete(m.sources, name)
	}
	m.mu.Unlock()
	m.ended(name)
}

// inTurn migrates as soon as there is a place, and gives it back after placeTime. A panic here, in a goroutine of its own, is this migration's and nobody else's.
func (m *migrations) inTurn(ctx context.Context, source *v1alpha1.ClaimSource) (err error) {
	defer panics.Catch(&err)
	select {
	case m.places <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	giveBack := sync.OnceFunc(func() { <-m.places })
	defer giveBack()
	defer time.AfterFunc(placeTime, giveBack).Stop()
	return m.migrate(ctx, source)
}

// migrating has the schema of a source migrated where that is what keeps it from being read. It returns what is to be said.
func (r *Reconciler) migrating(source *v1alpha1.ClaimSource, err error) error {
	var failed *failure.Error
	if !errors.As(err, &failed) || failed.Reason != v1alpha1.ReasonMigrating {
		return err
	}
	if before := r.migrations.ensure(source); before != nil {
		return before
	}
	return err
}
