package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/internal/failpoint"
)

// TestAnOperatorThatIsStoppedForLongerThanItsLeaseChangesNothingWhenItWakesUp stops real processes in the middle of render,
// deliver and commit, lets the other operator bring the run to its end, and wakes them up.
func TestAnOperatorThatIsStoppedForLongerThanItsLeaseChangesNothingWhenItWakesUp(t *testing.T) {
	w, err := newWorld(t.Context(), 1)
	t.Cleanup(w.stop)
	must(t, err)
	conn, err := pgx.Connect(t.Context(), w.postgres.URL)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	random := rand.New(rand.NewPCG(1, 1))
	for i, point := range []failpoint.Point{
		failpoint.Render.During(), failpoint.Put.During(), failpoint.Commit.Before(), failpoint.RunStatus.Before(),
	} {
		of := w.tenants[i%len(w.tenants)]
		for range 5 {
			must(t, insertClaim(t.Context(), conn, of, random))
		}
		pid := stopAt(t, w, of, point)
		if why := w.settle(t.Context()); why != "" {
			t.Fatalf("%s: while one operator is stopped, the other one: %s", point, why)
		}
		before, err := w.gather(t.Context())
		must(t, err)
		must(t, syscall.Kill(pid, syscall.SIGCONT))
		untilItEnds(t, w, pid)
		after, err := w.gather(t.Context())
		must(t, err)
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s: the operator that woke up changed something:\n%+v\n%+v", point, before, after)
		}
		if found, report := judge(after); found != (damage{}) {
			t.Errorf("%s: %+v: %q", point, found, report)
		}
	}
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
