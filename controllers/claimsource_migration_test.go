package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

func TestMigration(t *testing.T) {
	t.Parallel()
	source := func(name string) *v1alpha1.ClaimSource {
		return &v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}
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
	for _, name := range []string{"b", "c", "d"} {
		if err := m.ensure(source(name)); err != nil {
			t.Fatal(err)
		}
	}
	<-began
	<-began
	select {
	case third := <-began:
		t.Errorf("%s is migrated beside two others", third)
	default:
	}
	stop, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Start(stop); err != nil { // returns when all have ended
		t.Fatal(err)
	}
	if err := m.ensure(source("e")); err != nil || len(m.sources) > 3 {
		t.Errorf("a migration began after the stop (%v)", err)
	}
}
