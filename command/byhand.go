package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/texts"
)

const (
	// byHand is what is recorded of a run that a person has ended in the database.
	byHand = "released by hand"
	// byHandDeadline is how long the last attempt of such a run may take.
	byHandDeadline = time.Minute
)

func ledgerReleaseCommand(at *databaseFlags) *cobra.Command {
	var id string
	var absent bool
	command := &cobra.Command{
		Use:   "release --run ID --not-delivered",
		Short: "Give the claims of a run back whose ExportRun is gone, and whose files are not at their destination",
		Long: `Give the claims of a run back whose ExportRun is gone and cannot be applied again. Its voucher numbers are void. Without --not-delivered
it only prints which files to look for at the destination: if they are all there, somebody may have imported them, and "ledger commit" is what
ends the run. A run that is delivered, or of which an accounting system may have vouchers, is refused.`,
		Example: `  ledgerport ledger release --run 0f0e1a52-7f3a-4b8e-9a53-5d3b0c9e6c11 --not-delivered`,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return withDatabase(command, at, func(database *claims.Database) error {
				run, err := endable(command.Context(), database, id, claims.StateReleased)
				if err != nil {
					return err
				}
				if !absent {
					return errors.Join(writeFiles(command.OutOrStdout(), &run), errors.New("nothing was done: look for these files at the destination, and say --not-delivered if they are not there"))
				}
				if run, err = takeByHand(command.Context(), database, run); err == nil {
					err = database.Release(command.Context(), run.Fence(), byHand)
				}
				if err == nil {
					_, err = fmt.Fprintf(command.OutOrStdout(), "run %q is released: its claims go to the next run\n", run.Namespace+"/"+run.Name)
				}
				return err
			})
		},
	}
	command.Flags().StringVar(&id, "run", "", "id of the run, as conditions and ledger show name it")
	command.Flags().BoolVar(&absent, "not-delivered", false, "you have looked: the files of the run are not at its destination")
	_ = command.MarkFlagRequired("run") // it is defined above
	return command
}

func ledgerCommitCommand(at *databaseFlags) *cobra.Command {
	var id, location string
	command := &cobra.Command{
		Use:   "commit --run ID --location URL",
		Short: "Record the claims of a run as exported whose ExportRun is gone, and whose files are at their destination",
		Long: `Record the claims of a run as exported, or as reversed, whose ExportRun is gone and cannot be applied again, and whose files are whole at
their destination. Without --location it only prints which files to look for. A run that sends vouchers to an accounting system and is
not settled is refused.`,
		Example: `  ledgerport ledger commit --run 0f0e1a52-7f3a-4b8e-9a53-5d3b0c9e6c11 --location file:///exports/acme/monthly/monthly-29871360/monthly-29871360.csv`,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return withDatabase(command, at, func(database *claims.Database) error {
				run, err := endable(command.Context(), database, id, claims.StateDelivered, claims.StateCommitted)
				if err != nil {
					return err
				}
				if location == "" && run.Location == "" && len(run.Files) > 0 {
					return errors.Join(writeFiles(command.OutOrStdout(), &run), errors.New("nothing was done: compare these files with those at the destination, and say where the first of them is with --location"))
				}
				if parsed, err := url.Parse(location); location != "" && (err != nil || parsed.Scheme == "") {
					return fmt.Errorf("--location is %q; give a URL such as file:///exports/acme/monthly/run/file.csv", location)
				}
				if run, err = takeByHand(command.Context(), database, run); err == nil && run.State != claims.StateDelivered {
					err = database.MarkDelivered(command.Context(), run.Fence(), location)
				}
				if err == nil {
					err = database.Commit(command.Context(), run.Fence())
				}
				if err == nil {
					_, err = fmt.Fprintf(command.OutOrStdout(), "run %q is committed: its claims are exported\n", run.Namespace+"/"+run.Name)
				}
				return err
			})
		},
	}
	command.Flags().StringVar(&id, "run", "", "id of the run, as conditions and ledger show name it")
	command.Flags().StringVar(&location, "location", "", "you have compared them: URL of the first file of the run, at its destination")
	_ = command.MarkFlagRequired("run") // it is defined above
	return command
}

// endable returns the run of an id, if a person may bring it to one of some states.
func endable(ctx context.Context, database *claims.Database, id string, to ...claims.RunState) (claims.Run, error) {
	run, found, err := database.Run(ctx, id)
	if err != nil {
		return run, err
	}
	if !found {
		return run, fmt.Errorf("no run has the id %q; \"ledgerport ledger show\" lists those that have not ended", id)
	}
	possible := false
	for _, state := range to {
		possible = possible || state.Follows(run.State)
	}
	if !possible {
		return run, fmt.Errorf("run %s/%s is %s, and cannot become %s", run.Namespace, run.Name, run.State, to[len(to)-1])
	}
	totals, err := database.SubmissionTotals(ctx, run.Fence())
	switch {
	case err != nil:
		return run, err
	case run.State == claims.StateRendered && to[0] == claims.StateDelivered && totals.Open()+totals.Answered() > 0,
		to[0] == claims.StateReleased && totals.Sent+totals.Answered() > 0:
		return run, fmt.Errorf("run %s/%s sends vouchers to an accounting system, which may have %d of them: apply its ExportRun again, so that the operator looks them up",
			run.Namespace, run.Name, totals.Sent+totals.Acknowledged)
	}
	return run, nil
}

// takeByHand fences every process that may still execute the run.
func takeByHand(ctx context.Context, database *claims.Database, run claims.Run) (claims.Run, error) {
	return database.TakeOver(ctx, run.ID, "by hand", run.Cluster, byHandDeadline)
}

// writeFiles prints what to look for at a destination. Text of the database is quoted: a terminal must not obey it.
func writeFiles(out io.Writer, run *claims.Run) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "run\t%q\nstate\t%q\nclaims\t%d\n", run.Namespace+"/"+run.Name, run.State, run.Claims)
	if run.Location != "" {
		_, _ = fmt.Fprintf(table, "location\t%s\n", texts.Printable(run.Location, texts.Message))
	}
	for _, file := range run.Files {
		_, _ = fmt.Fprintf(table, "file\t%q\t%d bytes\tSHA-256 %s\n", run.Namespace+"/"+run.Export+"/"+run.Name+"/"+file.Name, file.Size, texts.Printable(file.SHA256, texts.Quote))
	}
	return table.Flush()
}
