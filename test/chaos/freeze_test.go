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
		pid := stopAt(t, w, w.tenants[0], failpoint.Commit.After())
		must(t, w.controlPlane.RestartAPIServer(t.Context(), leaseGone))
		must(t, syscall.Kill(pid, syscall.SIGCONT))
		w.settleSoundly(t)
	})
}

// wakesUpLate stops a real process at a point, lets the other operator bring the run to its end, and wakes it up.
func wakesUpLate(t *testing.T, w *world, of tenant, point failpoint.Point) {
	t.Helper()
	w.approveFive(t, of)
	pid := stopAt(t, w, of, point)
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

// stopAt asks for runs, which take the claims of past seconds, and gives the process that is stopped at a point of one.
func stopAt(t *testing.T, w *world, of tenant, point failpoint.Point) int {
	t.Helper()
	taken := make(chan int, 1)
	go func() { taken <- w.reach(t.Context(), point, "stop", time.Minute) }()
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
