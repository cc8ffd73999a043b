package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/test/application"
)

// TestOperators shares one world, because it takes long to start.
func TestOperators(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	w, err := newWorld(t.Context(), 1, "")
	t.Cleanup(w.stop)
	must(t, err)
	w.inbox.calm.Store(true) // that events come though it fails is for the command to find out
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
	t.Run("what nobody is to see is found wherever it was written", func(t *testing.T) { findsLeaks(t, w) })
}

// findsLeaks writes bank accounts and a password where operators write, and lets the judge find each.
func findsLeaks(t *testing.T, w *world) {
	t.Helper()
	must(t, w.lookAtMetrics(t.Context()))
	if w.scan.Looked("metric") == 0 || w.scan.Looked("log line") == 0 || len(w.scan.Found()) > 0 {
		t.Fatalf("%d metrics and %d log lines were looked at, and found was %q", w.scan.Looked("metric"), w.scan.Looked("log line"), w.scan.Found())
	}
	iban := application.IBAN(1042)
	must(t, w.api.Create(t.Context(), &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.tenants[0].namespace, Name: "leak"}, Reason: "Leak", Message: "paid to " + iban,
		InvolvedObject: corev1.ObjectReference{Namespace: w.tenants[0].namespace},
	}))
	log, err := os.OpenFile(filepath.Join(w.directory, w.operators[0].name+".log"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = fmt.Fprintln(log, "connecting to", w.postgres.URL)
	must(t, errors.Join(err, log.Close()))
	conn, err := pgx.Connect(t.Context(), w.postgres.URL)
	must(t, err)
	_, err = conn.Exec(t.Context(), `INSERT INTO ledgerport.held_claims (organization_id, claim_table, claim_id, run_id, reason, message) VALUES ('o', 1, 'c', 'r', 'Leak', 'of Employee 1042')`)
	must(t, errors.Join(err, conn.Close(t.Context())))
	_, err = w.objects().PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("leak"), Body: strings.NewReader(iban)})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(w.directory, "exports", "leak"), []byte(iban), 0o600))
	left, err := w.gather(t.Context())
	must(t, err)
	found, report := judge(left)
	said := strings.Join(report, "\n")
	for _, want := range []string{"EventList", "the database in log line", "record held_claims", "object in a bucket leak", "file leak"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q was not found: %s", want, said)
		}
	}
	if found.Leaked != 5 {
		t.Errorf("%d leaks are counted, want 5: %s", found.Leaked, said)
	}
}

// wakesUpLate stops a real process at a point, lets the other operator bring the run to its end, and wakes it up.
func wakesUpLate(t *testing.T, w *world, of tenant, point failpoint.Point) {
	t.Helper()
	w.approveFive(t, of)
	pid := reachAt(t, w, of, point, "stop")
	before := w.settleSoundly(t)
	must(t, syscall.Kill(pid, syscall.SIGCONT))
	untilItEnds(t, w, pid)
	after := w.settleSoundly(t)
	before.arrivals, after.arrivals = nil, nil // an event may come twice
	if !reflect.DeepEqual(before, after) {
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
		must(t, insertClaim(t.Context(), conn, of, rand.New(rand.NewPCG(1, 1)), withoutReceipt))
	}
}

// settleSoundly waits for rest, insists that nothing is damaged, and returns what is left.
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

// reachAt asks for runs, which take the claims of past seconds, and returns the process that did what is said at a point of one.
func reachAt(t *testing.T, w *world, of tenant, point failpoint.Point, action string) int {
	t.Helper()
	taken := w.reachLater(t, point, action)
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for n := 0; ; n++ {
		must(t, of.request(t.Context(), w.api, exportName, fmt.Sprintf("%s-%d", point, n)))
		select {
		case pid := <-taken:
			if pid == 0 {
				t.Fatalf("no operator came to %s; %s", point, w.unrest(t.Context()))
			}
			return pid
		case <-again.C:
		}
	}
}

// settle waits for rest.
func (w *world) settle(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, w.restPatience())
	defer cancel()
	for {
		why := w.unrest(ctx)
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
