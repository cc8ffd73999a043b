package command

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
)

func ledgerCommand() *cobra.Command {
	var at databaseFlags
	command := &cobra.Command{
		Use:   "ledger",
		Short: "Search, show, accept, hand over or end what an application's database has recorded",
		Long: `What was exported is recorded in the application's own database, in the schema "ledgerport". These commands are for a database
that was restored or moved, for runs whose cluster or ExportRun is gone, and for audits. The role of the URL must own the schema.`,
		Args: cobra.NoArgs,
	}
	at.add(command.PersistentFlags())
	command.AddCommand(ledgerShowCommand(&at), ledgerAcceptCommand(&at), ledgerHandOverCommand(&at), ledgerReleaseCommand(&at), ledgerCommitCommand(&at),
		ledgerFindCommand(&at), ledgerHeldCommand(&at), ledgerNumbersCommand(&at))
	return command
}

// withDatabase opens the database of a URL, or else of the environment, and checks its schema.
func withDatabase(command *cobra.Command, at *databaseFlags, do func(*claims.Database) error) error {
	database, err := at.open(command)
	if err != nil {
		return err
	}
	defer database.Close()
	if _, err := database.CheckSchema(command.Context()); err != nil {
		return err
	}
	return do(database)
}

func ledgerShowCommand(at *databaseFlags) *cobra.Command {
	var as format
	command := &cobra.Command{
		Use:   "show",
		Short: "Show which ledger the database has, and the runs that have not ended",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return withDatabase(command, at, func(database *claims.Database) error {
				ledger, err := database.Ledger(command.Context())
				if err != nil {
					return err
				}
				runs, err := database.Unfinished(command.Context())
				if err != nil {
					return err
				}
				return as.print(command.OutOrStdout(), shownLedger(ledger, runs), func(out io.Writer) error { return writeLedger(out, ledger, runs) })
			})
		},
	}
	as.add(command)
	return command
}

// writeLedger writes a ledger for people. Text of the database is quoted: a terminal must not obey it.
func writeLedger(out io.Writer, ledger claims.Ledger, runs []claims.Run) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "ledger\t%s\nsequence\t%d\nbelongs to the server\t%q\nis on the server\t%q\n", ledger.ID, ledger.Sequence, ledger.System, ledger.Server)
	if len(runs) > 0 {
		_, _ = fmt.Fprint(table, "\nRUN\tID\tSTATE\tCLUSTER\tDEADLINE\n")
	}
	for _, run := range runs {
		_, _ = fmt.Fprintf(table, "%q\t%q\t%q\t%q\t%s\n", run.Namespace+"/"+run.Name, run.ID, run.State, run.Cluster, run.Deadline.UTC().Format(time.RFC3339))
	}
	return table.Flush()
}

func ledgerAcceptCommand(at *databaseFlags) *cobra.Command {
	var renew bool
	command := &cobra.Command{
		Use:   "accept",
		Short: "Accept the database as it is: on the server that it is on now, or with what it has forgotten",
		Long: `Accept the database as it is. Without --renew: it is the same ledger, complete, and on another server than before, because
PostgreSQL was upgraded or the database was moved. With --renew: it was restored from an older backup, or is a copy, and a person
has seen to what it has forgotten; it is another ledger from now on, and the ClaimSource must accept that by an annotation.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return withDatabase(command, at, func(database *claims.Database) error {
				ledger, err := database.AcceptLedger(command.Context(), renew)
				if err != nil {
					return err
				}
				out := command.OutOrStdout()
				if !renew {
					_, err = fmt.Fprintf(out, "the ledger %s is on this server now\n", ledger.ID)
					return err
				}
				_, err = fmt.Fprintf(out, "this is the ledger %s now; let every ClaimSource of this database accept it:\n\nmetadata:\n  annotations:\n    %s: %s\n",
					ledger.ID, v1alpha1.AcceptedLedgerAnnotation, ledger.ID)
				return err
			})
		},
	}
	command.Flags().BoolVar(&renew, "renew", false, "it is another ledger from now on: what it has forgotten has been seen to")
	return command
}

func ledgerHandOverCommand(at *databaseFlags) *cobra.Command {
	var run, from, to string
	command := &cobra.Command{
		Use:   "hand-over",
		Short: "Give runs that one cluster has recorded to another",
		Long: `Give the run of an id, or all runs of a cluster, to another cluster. A cluster is named by the UID of its namespace kube-system.
The cluster that had them must be gone, or have no ExportRuns of them any more.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if run == "" && from == "" || to == "" {
				return errors.New("give --to, and --run or --from or both")
			}
			return withDatabase(command, at, func(database *claims.Database) error {
				handed, err := database.HandOver(command.Context(), from, run, to)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(command.OutOrStdout(), "runs that were handed over: %d\n", handed)
				return err
			})
		},
	}
	command.Flags().StringVar(&run, "run", "", "id of one run, as conditions and ledger show name it")
	command.Flags().StringVar(&from, "from", "", "UID of the cluster whose runs they are")
	command.Flags().StringVar(&to, "to", "", "UID of the cluster that gets them")
	return command
}
