package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/internal/pipeline"
)

const (
	// grace is how long after its time an attempt may take to return. It is shorter than the operator's own time to stop, so that an
	// attempt that a shutdown waits for is reported too.
	grace = 10 * time.Second
	// attemptLabel is the profiler's label of every goroutine that an attempt starts.
	attemptLabel = "ledgerport_attempt"
	// mostStacks bounds the stacks of an attempt that are logged, and mostFrames each of them.
	mostStacks, mostFrames = 8, 32
)

// watch reports an attempt that has not returned some time after its context ended, whatever ended it, until it returns.
func (e *InProcess) watch(ctx context.Context, a *attempt, returned <-chan struct{}) {
	select {
	case <-returned:
		return
	case <-ctx.Done():
	}
	ended := time.Now()
	select {
	case <-returned:
		return
	case <-time.After(graceAfter(context.Cause(ctx))):
	}
	e.overdue.Add(1)
	defer e.overdue.Add(-1)
	a.log.Info("the attempt is overdue: it has not returned since its context ended", "stage", a.progress.Stage(), "claims", a.progress.Claims(),
		"cause", context.Cause(ctx).Error(), "seconds", time.Since(ended).Seconds(), "stacks", stacks(a.label()))
	<-returned
	a.log.Info("the overdue attempt has returned", "stage", a.progress.Stage(), "seconds", time.Since(ended).Seconds())
}

// graceAfter is how long an attempt may take to return after its context ended for a cause. One that was cancelled has time to
// remove what it delivered too late: a deadline has that in it, and a shutdown has not.
func graceAfter(cause error) time.Duration {
	if errors.Is(cause, ErrCancelled) || errors.Is(cause, errAbandoned) {
		return pipeline.RetractDeadline + grace
	}
	return grace
}

// label of the attempt's goroutines.
func (a *attempt) label() string { return fmt.Sprintf("%s/%d", a.task.RunID, a.task.Number) }

// stacks returns where the goroutines of an attempt are, as text of functions and lines: none of it is a value. Goroutines
// that are in the same place are one text. A goroutine that serves several attempts, such as that of a kept connection, has
// the label of the attempt that started it.
func stacks(label string) (found []string) {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return nil
	}
	for entry := range strings.SplitSeq(profile.String(), "\n\n") {
		if !strings.Contains(entry, fmt.Sprintf("%q:%q", attemptLabel, label)) {
			continue
		}
		if len(found) == mostStacks {
			return append(found, "…")
		}
		found = append(found, stack(entry))
	}
	return found
}

// stack writes an entry of a goroutine profile as one line, the innermost function first.
func stack(entry string) string {
	count, _, _ := strings.Cut(entry, " ")
	var frames []string
	for line := range strings.Lines(entry) {
		// "#", the address, the function, and the file with its line
		fields := strings.Fields(line)
		if len(fields) != 4 || fields[0] != "#" {
			continue
		}
		function, _, _ := strings.Cut(fields[2], "+0x")
		frames = append(frames, function+" "+path.Base(fields[3]))
		if len(frames) == mostFrames {
			break
		}
	}
	return count + "× " + strings.Join(frames, " < ")
}
