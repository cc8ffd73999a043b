package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/requests"
)

func cancelCommand() *cobra.Command {
	var at clusterFlags
	var as format
	var patience waiting
	command := &cobra.Command{
		Use:   "cancel RUN…",
		Short: "End runs that have not finished, and give their claims back",
		Long: `End runs that have not finished, and give their claims back. With --wait the status is 0 if they have given them back, 2 if one was
completed before it could be cancelled, 3 if the accounting system has a part of one, and 4 if one is still under way.`,
		Example: `  ledgerport cancel monthly-29871360 -n acme --wait`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, names []string) error {
			cluster, err := at.connect(command)
			if err != nil {
				return err
			}
			var runs []v1alpha1.ExportRun
			by := cluster.user(command.Context())
			for _, name := range names {
				run, failed := requests.Cancel(command.Context(), cluster, cluster.named(name), by)
				if failed != nil {
					err = errors.Join(err, failed)
					continue
				}
				run, end := patience.await(command, cluster, run, endOfCancelled)
				runs, err = append(runs, *run), errors.Join(err, end)
			}
			if len(runs) == 0 {
				return err
			}
			return errors.Join(as.printRuns(command.OutOrStdout(), cluster.Scheme(), len(names) > 1, runs...), err)
		},
	}
	command.ValidArgsFunction = at.completeRuns(unfinished)
	at.add(command)
	as.add(command)
	patience.add(command)
	return command
}

func suspendCommand() *cobra.Command {
	return suspensionCommand(true, "suspend EXPORT…", "Let exports begin no runs for slots and requests",
		`Let exports begin no runs for slots and requests, until "resume". A run under way goes on, and "run" still asks for one. Where the
exports are applied from Git, write suspend: true there: else it is taken back.`)
}

func resumeCommand() *cobra.Command {
	return suspensionCommand(false, "resume EXPORT…", "Let exports begin runs for slots and requests again",
		`Let exports begin runs for slots and requests again. Of the slots that were missed meanwhile only the newest is run, and that only if
spec.startingDeadline is not over.`)
}

func suspensionCommand(suspend bool, use, short, long string) *cobra.Command {
	var at clusterFlags
	var as format
	command := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, names []string) error {
			cluster, err := at.connect(command)
			if err != nil {
				return err
			}
			for _, name := range names {
				err = errors.Join(err, suspendOne(command.Context(), command.OutOrStdout(), cluster, as, name, suspend))
			}
			return err
		},
	}
	command.ValidArgsFunction = at.completeExports
	at.add(command)
	as.add(command)
	return command
}

func suspendOne(ctx context.Context, out io.Writer, cluster *cluster, as format, name string, suspend bool) error {
	export, err := requests.Suspend(ctx, cluster, cluster.named(name), suspend)
	if err != nil {
		return err
	}
	if _, err := named(export, cluster.Scheme()); err != nil {
		return err
	}
	return as.print(out, export, func(out io.Writer) error {
		now := "begins runs for slots and requests"
		if suspend {
			now = "is suspended"
		}
		_, err := fmt.Fprintf(out, "AccountingExport %s/%s %s\n", export.Namespace, export.Name, now)
		return err
	})
}
