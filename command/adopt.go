package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/offline"
	"github.com/ledgerport/ledgerport/texts"
)

// adoptCommand records what was booked elsewhere.
func adoptCommand(registry *exporters.Registry) *cobra.Command {
	var paths []string
	var file, reverse string
	var at databaseFlags
	adopting := offline.Adopting{Registry: registry, Holder: "adopt"}
	command := &cobra.Command{
		Use:   "adopt -f PATH… --claims FILE.csv",
		Short: "Record claims that were booked elsewhere, so that no run exports them",
		Long: `Record claims that were booked elsewhere, by hand or by another system, as exported to the book of an export, so that no run
exports them to it. The file is CSV with the columns claim, voucher, date and, if wanted, note: the id of the claim, the number
of the voucher that it has elsewhere, and the day on which that was booked. Either all of the file is recorded or nothing: a
claim that does not exist, or that a run has exported or reserved, is named by its line. The same file again adopts nothing.`,
		Example: `  ledgerport adopt -f acme.yaml --claims booked-2025.csv --dry-run
  ledgerport adopt -f acme.yaml --claims booked-2025.csv
  ledgerport adopt -f acme.yaml --reverse adoption-3f2c9a1e`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) (err error) {
			if adopting.DatabaseURL, err = at.given(); err != nil {
				return err
			}
			adopting.Databases = at.allowed
			if file == offline.Stdin && slices.Contains(paths, offline.Stdin) {
				return errors.New("-f and --claims cannot both be read from standard input")
			}
			found, err := validated(command, registry, paths, true, command.ErrOrStderr())
			if err != nil {
				return err
			}
			if reverse != "" {
				reversal, err := found.ReverseAdoption(command.Context(), adopting, reverse)
				if err == nil {
					_, err = fmt.Fprintf(command.OutOrStdout(), "%q is reversed by %q; claims that are free for the next run: %d\n", reverse, reversal.Name, reversal.Claims)
				}
				return err
			}
			rows, err := openFile(command, file)
			if err != nil {
				return err
			}
			defer func() { _ = rows.Close() }() // it was only read
			adopted, export, err := found.Adopt(command.Context(), adopting, filepath.Base(file), rows)
			if err != nil {
				return err
			}
			return writeAdopted(command.OutOrStdout(), file, export, adopted, adopting.DryRun)
		},
	}
	flags := command.Flags()
	flags.StringSliceVarP(&paths, "filename", "f", nil, "files with the export and its ClaimSource, directories with all that is below them, or - for standard input")
	flags.StringVar(&adopting.Export, "export", "", "the export, as NAME or NAMESPACE/NAME; empty is the only one in the files")
	flags.StringVar(&file, "claims", "", "the claims as CSV: a file, or - for standard input")
	flags.BoolVar(&adopting.DryRun, "dry-run", false, "do all of it and record nothing")
	flags.StringVar(&reverse, "reverse", "", "a run that has adopted claims: it is reversed, so that they are free for the next run")
	at.add(flags)
	_ = command.MarkFlagRequired("filename") // it is defined above
	command.MarkFlagsOneRequired("claims", "reverse")
	command.MarkFlagsMutuallyExclusive("claims", "reverse")
	command.MarkFlagsMutuallyExclusive("dry-run", "reverse")
	return command
}

// openFile opens a file, or standard input.
func openFile(command *cobra.Command, path string) (io.ReadCloser, error) {
	if path == offline.Stdin {
		return io.NopCloser(command.InOrStdin()), nil
	}
	return os.Open(path)
}

// writeAdopted prints the outcome of an adoption. Text of the file is not to be obeyed by a terminal.
func writeAdopted(out io.Writer, file string, export *v1alpha1.AccountingExport, adopted claims.Adopted, dryRun bool) error {
	for _, problem := range adopted.Problems {
		fmt.Fprintln(out, texts.Printable(fmt.Sprintf("%s:%d: %s", file, problem.Line, problem.Problem), texts.Message))
	}
	if adopted.Wrong > 0 {
		return fmt.Errorf("lines that are wrong: %d; nothing was adopted", adopted.Wrong)
	}
	counts := fmt.Sprintf("claims adopted: %d; adopted before: %d", adopted.Claims, adopted.Already)
	switch {
	case dryRun:
		counts = fmt.Sprintf("claims that would be adopted: %d, adopted before: %d; nothing was recorded", adopted.Claims, adopted.Already)
	case adopted.Run != "":
		counts = fmt.Sprintf("claims adopted: %d, by run %s; adopted before: %d", adopted.Claims, adopted.Run, adopted.Already)
	}
	_, err := fmt.Fprintf(out, "%s/%s, book %s: %s\n", export.Namespace, export.Name, export.Spec.Book, counts)
	return err
}
