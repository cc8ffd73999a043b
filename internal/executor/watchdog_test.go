package executor

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

func TestAnOverdueAttemptIsReported(t *testing.T) {
	t.Parallel()
	const deadline = time.Minute
	name := types.NamespacedName{Namespace: "acme", Name: "monthly-1"}
	for ending, test := range map[string]struct {
		end   func(t *testing.T, e *InProcess)
		after time.Duration // the attempt began, its context ends
		grace time.Duration
		cause string
	}{
		"its deadline":            {func(*testing.T, *InProcess) {}, (pipeline.Task{Deadline: deadline}).Longest(), grace, "context deadline exceeded"},
		"a cancellation":          {func(_ *testing.T, e *InProcess) { e.Cancel("a") }, 0, pipeline.RetractDeadline + grace, "the run was cancelled"},
		"the deletion of its run": {func(_ *testing.T, e *InProcess) { e.Abandon(name, "") }, 0, pipeline.RetractDeadline + grace, errAbandoned.Error()},
		"a shutdown": {func(t *testing.T, e *InProcess) {
			stopped, cancel := context.WithCancel(t.Context())
			cancel()
			go func() { _ = e.Start(stopped) }()
		}, 0, grace, "the operator was stopped"},
	} {
		t.Run("after "+ending, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var written attemptsLog
				e, _ := newExecutor(1)
				e.log = logr.FromSlogHandler(slog.NewJSONHandler(&written, nil))
				hung := make(chan struct{})
				e.run = func(context.Context, pipeline.Task, *pipeline.Progress) (pipeline.Outcome, error) {
					go hangsInALibrary(hung)
					<-hung
					return pipeline.Outcome{}, nil
				}
				e.Ensure(pipeline.Task{RunID: "a", Namespace: name.Namespace, Name: name.Name, Number: 3, Deadline: deadline})
				synctest.Wait()
				test.end(t, e)
				<-time.After(test.after + test.grace - time.Second)
				synctest.Wait()
				if e.Overdue() != 0 || strings.Contains(written.String(), "overdue") {
					t.Errorf("within its grace %d attempts are overdue, and the log says %s", e.Overdue(), written.String())
				}
				<-time.After(time.Second)
				synctest.Wait()
				if e.Overdue() != 1 {
					t.Errorf("after its grace %d attempts are overdue, want 1", e.Overdue())
				}
				line := lastLine(t, written.String(), "the attempt is overdue")
				for key, want := range map[string]any{"namespace": "acme", "exportRun": "monthly-1", "uid": "a", "attempt": 3.0, "stage": string(v1alpha1.StagePreflight), "seconds": test.grace.Seconds()} {
					if line[key] != want {
						t.Errorf("%s is %v, want %v", key, line[key], want)
					}
				}
				if cause := fmt.Sprint(line["cause"]); !strings.Contains(cause, test.cause) {
					t.Errorf("its cause is %q, want %q", cause, test.cause)
				}
				if where := fmt.Sprint(line["stacks"]); !strings.Contains(where, "executor.hangsInALibrary watchdog_test.go:") || !strings.Contains(where, "executor.(*InProcess).attempt ") {
					t.Errorf("its stacks are %s, want the attempt and what it started", where)
				}
				<-time.After(time.Hour)
				synctest.Wait()
				if strings.Count(written.String(), "the attempt is overdue") != 1 || e.Overdue() != 1 {
					t.Errorf("an hour later %d attempts are overdue, and the log says %s", e.Overdue(), written.String())
				}
				close(hung)
				synctest.Wait()
				if e.Overdue() != 0 {
					t.Errorf("%d attempts are overdue after it returned", e.Overdue())
				}
				lastLine(t, written.String(), "the overdue attempt has returned")
			})
		})
	}
}

func hangsInALibrary(until <-chan struct{}) { <-until }

func TestStacksAreThoseOfOneAttempt(t *testing.T) {
	t.Parallel()
	// The profile is the process's: attempts of other tests have other runs.
	const run, another = "stacks-of-one", "stacks-of-another"
	e, _ := newExecutor(2)
	hung, hang := make(chan struct{}), make(chan struct{}, 2)
	e.run = func(context.Context, pipeline.Task, *pipeline.Progress) (pipeline.Outcome, error) {
		hang <- struct{}{}
		<-hung
		return pipeline.Outcome{}, nil
	}
	for number := range 2 {
		e.Ensure(pipeline.Task{RunID: run, Number: int32(number)}) // the second is the same run's, and does not begin
	}
	e.Ensure(pipeline.Task{RunID: another, Number: 1})
	<-hang
	<-hang
	if found := stacks(run + "/0"); len(found) != 1 || !strings.HasPrefix(found[0], "1× ") {
		t.Errorf("%q, want the one goroutine of the attempt", found)
	}
	if found := stacks(run + "/1"); found != nil {
		t.Errorf("an attempt that never began has the stacks %q", found)
	}
	close(hung)
	waitForEnd(t, e, run)
	for patience := time.After(10 * time.Second); ; runtime.Gosched() { // its goroutine tells of the end before it returns
		found := stacks(run + "/0")
		if found == nil {
			return
		}
		select {
		case <-patience:
			t.Fatalf("an attempt that has ended has the stacks %q", found)
		default:
		}
	}
}

// attemptsLog is what attempts log, to be read while they go on.
type attemptsLog struct {
	mu    sync.Mutex
	lines strings.Builder
}

// Write implements io.Writer.
func (l *attemptsLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(line)
}

func (l *attemptsLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// lastLine returns the last line of a log with a message.
func lastLine(t *testing.T, log, message string) (line map[string]any) {
	t.Helper()
	for text := range strings.Lines(log) {
		if strings.Contains(text, `"msg":"`+message) {
			line = decoded(t, text)
		}
	}
	if line == nil {
		t.Errorf("no line says %q: %s", message, log)
	}
	return line
}
