package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ledgerport/ledgerport/internal/failpoint"
)

// TestOperators shares one world, because it takes long to start.
func TestOperators(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	w, err := newWorld(t.Context(), 1)
	t.Cleanup(w.stop)
	must(t, err)
	for i, point := range []failpoint.Point{
		failpoint.Render.During(), failpoint.Put.During(), failpoint.Commit.Before(), failpoint.RunStatus.Before(),
	} {
		t.Run("one that is stopped at "+string(point)+" for longer than its lease changes nothing when it wakes up", func(t *testing.T) {
			wakesUpLate(t, w, w.tenants[i], point)
		})
	}
	t.Run("status catches up where the API server was away at the moment of commit", func(t *testing.T) {
		w.approveFive(t, w.tenants[0])
		pid := reachAt(t, w, w.tenants[0], failpoint.Commit.After(), "stop")
		must(t, w.controlPlane.RestartAPIServer(t.Context(), leaseGone))
		must(t, syscall.Kill(pid, syscall.SIGCONT))
		w.settleSoundly(t)
	})
	for i, point := range []failpoint.Point{failpoint.Render.During(), failpoint.Put.During(), failpoint.Commit.Before()} {
		t.Run("one that is asked to end at "+string(point)+" ends in time, and the run goes on", func(t *testing.T) {
			endsWhenAsked(t, w, w.tenants[i], point)
		})
	}
	diesAtEveryPoint(t, w)
	t.Run("a reversal in the middle of which one is killed frees the claims once", func(t *testing.T) {
		diesReversing(t, w, w.tenants[1])
	})
}

// wakesUpLate stops a real process at a point, lets the other operator bring the run to its end, and wakes it up.
func wakesUpLate(t *testing.T, w *world, of tenant, point failpoint.Point) {
	t.Helper()
	w.approveFive(t, of)
	pid := reachAt(t, w, of, point, "stop")
	before := w.settleSoundly(t)
	must(t, syscall.Kill(pid, syscall.SIGCONT))
	untilItEnds(t, w, pid)
	if after := w.settleSoundly(t); !reflect.DeepEqual(before, after) {
		t.Errorf("the operator that woke up changed something:\n%+v\n%+v", before, after)
	}
}

// approveFive approves five claims.
func (w *world) approveFive(t *testing.T, of tenant) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.postgres.URL)
	must(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	for range 5 {
		must(t, insertClaim(t.Context(), conn, of, rand.New(rand.NewPCG(1, 1))))
	}
}

// settleSoundly waits for rest, insists that nothing is damaged, and gives what is left.
func (w *world) settleSoundly(t *testing.T) *evidence {
	t.Helper()
	if why := w.settle(t.Context()); why != "" {
		t.Fatal(why)
	}
	left, err := w.gather(t.Context())
	must(t, err)
	if found, report := judge(left); found != (damage{}) {
		t.Errorf("%+v: %q", found, report)
	}
	return left
}

// reachLater lets the operator that comes to a point first do what is said, and tells which it was; 0 where none came.
func (w *world) reachLater(t *testing.T, point failpoint.Point, action string) <-chan int {
	t.Helper()
	must(t, w.arm(point, action))
	taken := make(chan int, 1)
	go func() { taken <- w.await(t.Context(), point, time.Minute) }()
	return taken
}

// reachAt asks for runs, which take the claims of past seconds, and gives the process that did what is said at a point of one.
func reachAt(t *testing.T, w *world, of tenant, point failpoint.Point, action string) int {
	t.Helper()
	taken := w.reachLater(t, point, action)
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for n := 0; ; n++ {
		must(t, w.request(t.Context(), of, fmt.Sprintf("%s-%d", point, n)))
		select {
		case pid := <-taken:
			if pid == 0 {
				t.Fatalf("no operator came to %s; %s", point, w.unrest(t.Context(), 0))
			}
			return pid
		case <-again.C:
		}
	}
}

// settle waits for rest.
func (w *world) settle(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, restPatience)
	defer cancel()
	for n := 0; ; n++ {
		why := w.unrest(ctx, n)
		if why == "" || ctx.Err() != nil {
			return why
		}
		pause(ctx, 200*time.Millisecond)
	}
}

// untilItEnds waits until the process that lost its lease has noticed it and ended.
func untilItEnds(t *testing.T, w *world, pid int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for w.operators[0].pid() == pid || w.operators[1].pid() == pid {
		pause(ctx, 50*time.Millisecond)
		if ctx.Err() != nil {
			t.Fatal("the operator that lost its lease goes on")
		}
	}
}
