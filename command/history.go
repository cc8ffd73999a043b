package command

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/internal/claims"
)

func ledgerFindCommand(at *databaseFlags) *cobra.Command {
	var as format
	wanted := claims.Wanted{Limit: 1000}
	var run string
	command := &cobra.Command{
		Use:   "find --organization ID [VOUCHER|CLAIM]",
		Short: "Show what is recorded of a claim, a voucher or a run, whether or not its ExportRun exists",
		Long: `Show each voucher that a claim became, with its run, what reversed it, and where its artifact was delivered, redeliveries included; or which claim a
voucher is of. What looks like E/2026/17 is a voucher, and everything else the id of a claim. In a cluster, and without rights at the database,
"ledgerport trace" does the same for runs whose ExportRun exists.`,
		Example: `  ledgerport ledger find --organization 3f2c9a1e-0000-4000-8000-000000000001 E/2026/17
  ledgerport ledger find --organization 3f2c9a1e-0000-4000-8000-000000000001 --run acme/monthly-29871360 --left`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			if len(arguments) == 0 && run == "" && wanted.Reference == "" {
				return errors.New("give a voucher or a claim, or --run or --reference")
			}
			if len(arguments) == 1 {
				search := searchFor(arguments[0])
				wanted.Voucher, wanted.Claim = search.Number, search.Claim
			}
			if wanted.Run = run; run != "" {
				var both bool
				if wanted.Namespace, wanted.Run, both = strings.Cut(run, "/"); !both {
					return fmt.Errorf("--run is %q; give NAMESPACE/NAME", run)
				}
			}
			return withDatabase(command, at, func(database *claims.Database) error {
				found, err := database.RecordedVouchers(command.Context(), wanted)
				if err != nil {
					return err
				}
				tellLimit(command, len(found), wanted.Limit)
				return as.print(command.OutOrStdout(), map[string]any{"items": found}, func(out io.Writer) error { return writeRecorded(out, found) })
			})
		},
	}
	flags := command.Flags()
	flags.StringVar(&wanted.Organization, "organization", "", "id of the organisation, as the application has it")
	flags.StringVar(&wanted.Reference, "reference", "", "the voucher that an accounting system knows by this reference")
	flags.StringVar(&run, "run", "", "vouchers of this run alone, as NAMESPACE/NAME")
	flags.BoolVar(&wanted.Left, "left", false, "leave out vouchers that were reversed, and reversals")
	flags.IntVar(&wanted.Limit, "limit", wanted.Limit, "show so many at most")
	as.add(command)
	_ = command.MarkFlagRequired("organization") // it is defined above
	return command
}

// tellLimit says where as much was found as was to be shown at most.
func tellLimit(command *cobra.Command, found, limit int) {
	if found == limit {
		fmt.Fprintf(command.ErrOrStderr(), "there may be more than %d; --limit shows more\n", limit)
	}
}

// writeRecorded writes recorded vouchers for people.
func writeRecorded(out io.Writer, found []claims.RecordedVoucher) error {
	if len(found) == 0 {
		_, err := io.WriteString(out, "nothing is recorded of it: it was not exported\n")
		return err
	}
	return writeTable(out, "BOOK\tVOUCHER\tCLAIM\tTYPE\tSTATE\tRUN\tCOMMITTED\tREVERSES\tREVERSED BY\tREFERENCE\tLOCATION", len(found), func(i int) []string {
		v, at := found[i], ""
		if v.CommittedAt != nil {
			at = v.CommittedAt.UTC().Format(time.RFC3339)
		}
		return []string{v.Book, v.Voucher, v.Claim, v.Type, v.State, v.Namespace + "/" + v.Run, at, v.Reverses, v.ReversedBy, v.Reference, strings.Join(v.Locations, " ")}
	})
}

func ledgerHeldCommand(at *databaseFlags) *cobra.Command {
	var as format
	var organization string
	limit := 1000
	command := &cobra.Command{
		Use:   "held --organization ID",
		Short: "List the claims of an organisation that are held, of all exports and books",
		Long: `List the claims of an organisation that are approved and cannot be exported as they are, with the reason. In a cluster, and without rights at the
database, "ledgerport held" does the same for one export.`,
		Example: `  ledgerport ledger held --organization 3f2c9a1e-0000-4000-8000-000000000001`,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return withDatabase(command, at, func(database *claims.Database) error {
				found, err := database.WaitingClaims(command.Context(), organization, limit)
				if err != nil {
					return err
				}
				tellLimit(command, len(found), limit)
				return as.print(command.OutOrStdout(), map[string]any{"items": found}, func(out io.Writer) error { return writeWaiting(out, found) })
			})
		},
	}
	command.Flags().StringVar(&organization, "organization", "", "id of the organisation, as the application has it")
	command.Flags().IntVar(&limit, "limit", limit, "list so many at most")
	as.add(command)
	_ = command.MarkFlagRequired("organization") // it is defined above
	return command
}

// writeWaiting writes held claims for people.
func writeWaiting(out io.Writer, found []claims.WaitingClaim) error {
	if len(found) == 0 {
		_, err := io.WriteString(out, "no claim is held\n")
		return err
	}
	return writeTable(out, "BOOK\tCLAIM\tREASON\tSINCE\tRUN\tMESSAGE", len(found), func(i int) []string {
		w, since := found[i], ""
		if w.HeldSince != nil {
			since = w.HeldSince.UTC().Format(time.RFC3339)
		}
		return []string{w.Book, w.Claim, w.Reason, since, w.Namespace + "/" + w.Run, w.Message}
	})
}

func ledgerNumbersCommand(at *databaseFlags) *cobra.Command {
	var as format
	var organization string
	command := &cobra.Command{
		Use:   "numbers --organization ID",
		Short: "Count the voucher numbers of an organisation, and those that are missing",
		Long: `Count the voucher numbers of each book, series and fiscal year of an organisation: those of vouchers, those that are void because their run was released,
and those that are missing in between or were given twice, which no ledger has that is whole. The status is 1 if there is one.`,
		Example: `  ledgerport ledger numbers --organization 3f2c9a1e-0000-4000-8000-000000000001`,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return withDatabase(command, at, func(database *claims.Database) error {
				found, err := database.Numberings(command.Context(), organization)
				if err != nil {
					return err
				}
				if err := as.print(command.OutOrStdout(), map[string]any{"items": found}, func(out io.Writer) error { return writeNumberings(out, found) }); err != nil {
					return err
				}
				for _, series := range found {
					if series.Missing+series.Twice > 0 {
						return fmt.Errorf("the numbers of the series %s of %d in the book %s are not without gaps", series.Series, series.FiscalYear, series.Book)
					}
				}
				return nil
			})
		},
	}
	command.Flags().StringVar(&organization, "organization", "", "id of the organisation, as the application has it")
	as.add(command)
	_ = command.MarkFlagRequired("organization") // it is defined above
	return command
}

// writeNumberings writes numbers for people.
func writeNumberings(out io.Writer, found []claims.Numbering) error {
	if len(found) == 0 {
		_, err := io.WriteString(out, "the organisation has no voucher number\n")
		return err
	}
	return writeTable(out, "BOOK\tSERIES\tYEAR\tFIRST\tLAST\tVOUCHERS\tVOID\tMISSING\tTWICE", len(found), func(i int) []string {
		n := found[i]
		cells := []string{n.Book, n.Series, strconv.Itoa(n.FiscalYear)}
		for _, count := range []int64{n.First, n.Last, n.Vouchers, n.Void, n.Missing, n.Twice} {
			cells = append(cells, strconv.FormatInt(count, 10))
		}
		return cells
	})
}

// ledgerShown is a ledger as programs read it.
type ledgerShown struct {
	ID       string        `json:"id"`
	Sequence int64         `json:"sequence"`
	System   string        `json:"system"`
	Server   string        `json:"server"`
	Runs     []ledgerRunOf `json:"runs"`
}

// ledgerRunOf is a run that has not ended.
type ledgerRunOf struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	ID        string    `json:"id"`
	State     string    `json:"state"`
	Cluster   string    `json:"cluster"`
	Deadline  time.Time `json:"deadline"`
}

func shownLedger(ledger claims.Ledger, runs []claims.Run) ledgerShown {
	shown := ledgerShown{ID: ledger.ID, Sequence: ledger.Sequence, System: ledger.System, Server: ledger.Server, Runs: []ledgerRunOf{}}
	for _, run := range runs {
		shown.Runs = append(shown.Runs, ledgerRunOf{run.Namespace, run.Name, run.ID, string(run.State), run.Cluster, run.Deadline.UTC()})
	}
	return shown
}
