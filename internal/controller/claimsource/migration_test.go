package claimsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/panics"
)

func TestMigration(t *testing.T) {
	t.Parallel()
	source := func(name string) *v1alpha1.ClaimSource {
		return &v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: name, UID: types.UID(name)}}
	}
	refused := errors.New("permission denied")
	began, answers, ended := make(chan string, 10), make(chan error), make(chan types.NamespacedName, 10)
	m := newMigrations(func(ctx context.Context, s *v1alpha1.ClaimSource) error {
		if deadline, _ := ctx.Deadline(); time.Until(deadline) < time.Hour {
			t.Errorf("a migration has no more time than until %s", deadline)
		}
		began <- s.Name
		select {
		case answer := <-answers:
			return answer
		case <-ctx.Done():
			return ctx.Err()
		}
	}, func(name types.NamespacedName) { ended <- name })
	for range 3 { // looks do not wait, and begin it once
		if err := m.ensure(source("a")); err != nil {
			t.Fatal(err)
		}
	}
	if name := <-began; name != "a" {
		t.Fatalf("the migration of %s began", name)
	}
	answers <- refused
	if name := <-ended; name.Name != "a" {
		t.Errorf("the end of %s asks for a look", name)
	}
	if err := m.ensure(source("a")); !errors.Is(err, refused) || len(began) != 0 {
		t.Errorf("after the failure the look is told %v, and %d migrations began", err, len(began))
	}
	for range 2 { // while the next is under way the failure is still what there is to say
		if err := m.ensure(source("a")); !errors.Is(err, refused) {
			t.Errorf("while it is tried again the look is told %v", err)
		}
	}
	<-began
	answers <- nil
	<-ended
	for _, name := range []string{"b", "c", "d", "e", "f"} {
		if err := m.ensure(source(name)); err != nil {
			t.Fatal(err)
		}
	}
	for range concurrentMigrations {
		<-began
	}
	select {
	case more := <-began:
		t.Errorf("%s is migrated beside %d others", more, concurrentMigrations)
	default:
	}
	stop, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Start(stop); err != nil { // returns when all have ended
		t.Fatal(err)
	}
	if err := m.ensure(source("g")); err != nil || len(m.sources) > 5 {
		t.Errorf("a migration began after the stop (%v)", err)
	}
}

// TestMigrationsThatHangBlockOthersForAMinute has more namespaces with databases that never answer than there are places.
func TestMigrationsThatHangBlockOthersForAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, answer := map[string]time.Time{}, make(chan error)
		var mu sync.Mutex
		var ended []string
		m := newMigrations(func(_ context.Context, s *v1alpha1.ClaimSource) error {
			mu.Lock()
			began[s.Namespace] = time.Now()
			mu.Unlock()
			if s.Namespace == "honest" {
				return nil
			}
			return <-answer
		}, func(name types.NamespacedName) {
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, name.Namespace)
		})
		start := time.Now()
		const hostile = 2 * concurrentMigrations
		for i := range hostile + 1 {
			name := fmt.Sprint("hostile-", i)
			if i == hostile {
				name = "honest"
			}
			if err := m.ensure(&v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "claims", UID: types.UID(name)}}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // they wait for their places in this order
		}
		<-time.After(time.Hour)
		if waited := began["honest"].Sub(start); waited != 2*placeTime || !slices.Equal(ended, []string{"honest"}) {
			t.Errorf("the honest migration began after %s, and %v ended; want 2 minutes, and that one alone", waited, ended)
		}
		for range hostile { // those that only take long come to their end
			answer <- nil
		}
		synctest.Wait()
		if len(ended) != hostile+1 || len(m.places) != 0 {
			t.Errorf("%d migrations ended, and %d places are taken", len(ended), len(m.places))
		}
	})
}

// TestMigrationsOfOneNamespaceKeepNobodyWaiting has a namespace with databases whose migrations hang, one that is deleted and made
// again, and one that makes the program panic.
func TestMigrationsOfOneNamespaceKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	source := func(namespace, name, uid string) *v1alpha1.ClaimSource {
		return &v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(uid)}}
	}
	began, left, ended := make(chan types.UID, 100), make(chan types.UID, 100), make(chan types.NamespacedName, 100)
	m := newMigrations(func(ctx context.Context, s *v1alpha1.ClaimSource) error {
		began <- s.UID
		if s.Name == "panics" {
			panic("of what the server says")
		}
		<-ctx.Done()
		left <- s.UID
		return ctx.Err()
	}, func(name types.NamespacedName) { ended <- name })
	begin := func(s *v1alpha1.ClaimSource) {
		t.Helper()
		if err := m.ensure(s); err != nil {
			t.Fatal(err)
		}
	}
	await := func(name string) {
		t.Helper()
		for end := range ended {
			if end.Name == name {
				return
			}
		}
	}
	expect := func(from chan types.UID, want types.UID) {
		t.Helper()
		select {
		case uid := <-from:
			if uid != want {
				t.Fatalf("it is %s, want %s", uid, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("there is no %s", want)
		}
	}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		begin(source("hog", name, "hog-"+name))
	}
	expect(began, "hog-a")
	begin(source("other", "claims", "other"))
	expect(began, "other")
	begin(source("hog", "a", "hog-a-2"))
	expect(left, "hog-a")
	await("a")
	begin(source("hog", "a", "hog-a-2")) // as the look does that the end asks for
	expect(began, "hog-a-2")
	m.forget(types.NamespacedName{Namespace: "hog", Name: "a"})
	expect(left, "hog-a-2")
	await("a")
	if len(m.sources) != 1 {
		t.Errorf("%d migrations are kept, want that of the other namespace", len(m.sources))
	}
	begin(source("hog", "panics", "hog-panics"))
	expect(began, "hog-panics")
	await("panics")
	var fault *panics.Error
	if err := m.ensure(source("hog", "panics", "hog-panics")); !errors.As(err, &fault) {
		t.Errorf("after a panic the look is told %v", err)
	}
}

// TestAMigrationThatDoesNotEndWithItsSourceIsTheOnlyOneOfItsNamespace has a source deleted and made again whose migration is in what no
// cancelling ends, such as a computation of a library.
func TestAMigrationThatDoesNotEndWithItsSourceIsTheOnlyOneOfItsNamespace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		underWay, most := 0, 0
		var mu sync.Mutex
		answer := make(chan error)
		m := newMigrations(func(context.Context, *v1alpha1.ClaimSource) error {
			mu.Lock()
			underWay++
			most = max(most, underWay)
			mu.Unlock()
			err := <-answer
			mu.Lock()
			underWay--
			mu.Unlock()
			return err
		}, func(types.NamespacedName) {})
		begin := func(uid string) {
			t.Helper()
			if err := m.ensure(&v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Namespace: "hog", Name: "claims", UID: types.UID(uid)}}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		for i := range 3 * concurrentMigrations {
			begin(fmt.Sprint("made-again-", i))
			m.forget(types.NamespacedName{Namespace: "hog", Name: "claims"})
		}
		if most != 1 || len(m.places) != 1 {
			t.Errorf("%d migrations were under way, with %d places, want one", most, len(m.places))
		}
		answer <- nil
		synctest.Wait()
		begin("after it has returned")
		if underWay != 1 {
			t.Errorf("%d migrations are under way after the first has returned", underWay)
		}
		answer <- nil
		synctest.Wait()
	})
}
