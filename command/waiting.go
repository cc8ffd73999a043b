package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/requests"
	"github.com/ledgerport/ledgerport/texts"
)

// waiting is whether a command waits for the end of a run, and how long.
type waiting struct {
	wait    bool
	timeout time.Duration
}

func (w *waiting) add(command *cobra.Command) {
	command.Flags().BoolVar(&w.wait, "wait", false, "wait for the end of the run, and end with a status that says how it ended")
	command.Flags().DurationVar(&w.timeout, "timeout", 15*time.Minute, "how long to wait; 0 is without end")
}

// await waits for the end of a run, if it is to, and tells of its way meanwhile. The error says how the run ended, or that it has not.
func (w *waiting) await(command *cobra.Command, cluster *cluster, run *v1alpha1.ExportRun, end func(*v1alpha1.ExportRun) error) (*v1alpha1.ExportRun, error) {
	if !w.wait {
		return run, nil
	}
	ctx, cancel := command.Context(), context.CancelFunc(func() {})
	if w.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, w.timeout)
	}
	defer cancel()
	told := ""
	newest, err := requests.Wait(ctx, cluster, run, func(run *v1alpha1.ExportRun) {
		if now := wayOf(run); now != told {
			told = now
			fmt.Fprintln(command.ErrOrStderr(), texts.Printable(now, texts.Message))
		}
	})
	switch {
	case err == nil:
		return newest, end(newest)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return newest, &ended{exitUnderWay, fmt.Sprintf("after %s %s; it goes on", w.timeout, wayOf(newest))}
	case ctx.Err() != nil:
		return newest, &ended{exitUnderWay, "nobody waits any more; the run goes on"}
	}
	return newest, err
}

// wayOf says how far a run has come.
func wayOf(run *v1alpha1.ExportRun) string {
	phase := run.Status.Phase
	if phase == "" {
		phase = v1alpha1.RunPending
	}
	way := fmt.Sprintf("ExportRun %s/%s is %s", run.Namespace, run.Name, phase)
	switch condition := readyOf(run); {
	case phase == v1alpha1.RunRunning && run.Status.Stage != "":
		way += ", stage " + string(run.Status.Stage)
	case phase == v1alpha1.RunPending || phase == v1alpha1.RunRetrying:
		if condition.Message != "" {
			way += ": " + condition.Message
		}
	}
	return way
}
