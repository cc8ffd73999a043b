package command

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	api "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/books"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/offline"
	"github.com/ledgerport/ledgerport/texts"
)

// connectBooks is a cluster, and what its operator serves of runs.
func (c *clusterFlags) connectBooks(command *cobra.Command) (*cluster, *books.Client, error) {
	cluster, err := c.connect(command)
	if err != nil {
		return nil, nil, err
	}
	read, err := books.New(cluster.config)
	return cluster, read, err
}

// hasFiles are runs that have delivered an artifact which is recorded.
func hasFiles(run *v1alpha1.ExportRun) bool {
	return run.Spec.Type != v1alpha1.RunPreview && run.Status.Phase.Exported() && run.Status.Location != ""
}

func downloadCommand() *cobra.Command {
	var at clusterFlags
	var as format
	into := "."
	command := &cobra.Command{
		Use:   "download RUN [FILE…]",
		Short: "Download the files of a run, and check each against its record",
		Long: `Download the files of a run, or some of them, through the API server. Each is compared with the size and the SHA-256 that are recorded of it: one that
differs is not kept. A file that exists is not replaced.`,
		Example: `  ledgerport download monthly-29871360 -n acme
  ledgerport download monthly-29871360 monthly-29871360.csv -n acme --into - | less`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, names []string) error {
			cluster, read, err := at.connectBooks(command)
			if err != nil {
				return err
			}
			run := cluster.named(names[0])
			list, err := read.Files(command.Context(), run)
			if err != nil {
				return err
			}
			files, err := chosen(list, names[1:])
			if err != nil {
				return err
			}
			if into == offline.Stdin {
				if len(files) != 1 {
					return errors.New("name one file: only one can be written to standard output")
				}
				return read.Download(command.Context(), run, files[0], command.OutOrStdout())
			}
			var done []downloaded
			for _, file := range files {
				path := filepath.Join(into, file.Name)
				if err := writeWhole(path, func(out io.Writer) error { return read.Download(command.Context(), run, file, out) }); err != nil {
					return err
				}
				done = append(done, downloaded{file, path})
			}
			return as.print(command.OutOrStdout(), map[string]any{"items": done}, func(out io.Writer) error {
				return writeTable(out, "FILE\tSIZE\tSHA256", len(done), func(i int) []string {
					return []string{done[i].Path, strconv.FormatInt(done[i].Size, 10), done[i].SHA256}
				})
			})
		},
	}
	command.ValidArgsFunction = one(at.completeRuns(hasFiles))
	command.Flags().StringVar(&into, "into", into, "directory for the files, or - for standard output")
	_ = command.MarkFlagDirname("into") // it is defined above
	at.add(command)
	as.add(command)
	return command
}

// downloaded is a file of a run, and where it is on this machine.
type downloaded struct {
	api.File `json:",inline"`
	Path     string `json:"path"`
}

// chosen returns the files of a list that are named, or all. A name is one element of a path, whatever the list says.
func chosen(list *api.FileList, names []string) (files []api.File, err error) {
	if list.RemovedAt != nil {
		return nil, fmt.Errorf("the artifact was removed from its destination at %s", list.RemovedAt.UTC().Format(time.RFC3339))
	}
	for _, file := range list.Items {
		if !claims.ValidFileName(file.Name) {
			return nil, fmt.Errorf("the run has a file of the name %q, which is none", file.Name)
		}
		if len(names) == 0 || slices.Contains(names, file.Name) {
			files = append(files, file)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(files, func(file api.File) bool { return file.Name == name }) {
			return nil, fmt.Errorf("the run has no file %q", name)
		}
	}
	if len(files) == 0 {
		return nil, errors.New("the run has no files: it exported nothing")
	}
	return files, nil
}

// writeWhole makes a file that does not exist yet, whole or not at all.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return cmp.Or(err, fmt.Errorf("%s exists; it is not replaced", path))
	}
	part, err := os.CreateTemp(filepath.Dir(path), ".ledgerport-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part.Name())
		}
	}()
	if err := errors.Join(write(part), part.Close()); err != nil {
		return err
	}
	return os.Rename(part.Name(), path)
}

// verification is what became of one recorded file.
type verification struct {
	File   string `json:"file"`
	Path   string `json:"path"`
	Result string `json:"result"`
	SHA256 string `json:"sha256"`
}

// The results of a verification.
const (
	same    = "Same"
	differs = "Differs"
	missing = "Missing"
)

func verifyCommand() *cobra.Command {
	var at clusterFlags
	var as format
	command := &cobra.Command{
		Use:   "verify RUN [PATH…]",
		Short: "Compare files on this machine with what is recorded of a run",
		Long: `Compare files with the size and SHA-256 that are recorded of the files of a run, by their names. A directory is looked through for all files of the run;
without a path it is the present one. Nothing of the files is sent. The status is 1 unless all are the same.`,
		Example: `  ledgerport verify monthly-29871360 monthly-29871360.csv -n acme`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			cluster, read, err := at.connectBooks(command)
			if err != nil {
				return err
			}
			list, err := read.Files(command.Context(), cluster.named(arguments[0]))
			if err != nil {
				return err
			}
			paths := arguments[1:]
			if len(paths) == 0 {
				paths = []string{"."}
			}
			found, err := compare(list, paths)
			if err != nil {
				return err
			}
			if err := as.print(command.OutOrStdout(), map[string]any{"items": found}, func(out io.Writer) error { return writeVerifications(out, found) }); err != nil {
				return err
			}
			if slices.ContainsFunc(found, func(v verification) bool { return v.Result != same }) {
				return errors.New("not all files are what is recorded")
			}
			return nil
		},
	}
	command.ValidArgsFunction = func(command *cobra.Command, given []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(given) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return at.completeRuns(hasFiles)(command, given, typed)
	}
	at.add(command)
	as.add(command)
	return command
}

// compare looks at each path: a file of the run by its name, or a directory with all of them.
func compare(list *api.FileList, paths []string) (found []verification, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			at := slices.IndexFunc(list.Items, func(file api.File) bool { return file.Name == filepath.Base(path) })
			if at < 0 {
				return nil, fmt.Errorf("the run has no file %q", filepath.Base(path))
			}
			found = append(found, compared(list.Items[at], path))
			continue
		}
		for _, file := range list.Items {
			if claims.ValidFileName(file.Name) {
				found = append(found, compared(file, filepath.Join(path, file.Name)))
			}
		}
	}
	return found, nil
}

func compared(file api.File, path string) verification {
	v := verification{File: file.Name, Path: path, Result: missing, SHA256: file.SHA256}
	content, err := os.Open(path)
	if err != nil {
		return v
	}
	defer func() { _ = content.Close() }() // only read
	sum := sha256.New()
	size, err := io.Copy(sum, content)
	v.Result = differs
	if err == nil && size == file.Size && hex.EncodeToString(sum.Sum(nil)) == file.SHA256 {
		v.Result = same
	}
	return v
}

func writeVerifications(out io.Writer, found []verification) error {
	return writeTable(out, "FILE\tRESULT\tSHA256\tPATH", len(found), func(i int) []string {
		return []string{found[i].File, found[i].Result, found[i].SHA256, found[i].Path}
	})
}

// writeTable writes rows below a head.
func writeTable(out io.Writer, head string, rows int, row func(int) []string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, head)
	for i := range rows {
		cells := row(i)
		for i, cell := range cells {
			cells[i] = cmp.Or(texts.Printable(cell, texts.Message), "-")
		}
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

// searching are the flags of a list.
type searching struct{ books.Search }

func (s *searching) add(command *cobra.Command, claim string) {
	command.Flags().StringVar(&s.Claim, "claim", "", claim)
	command.Flags().IntVar(&s.Limit, "limit", 1000, "list so many at most; 0 is all")
}

// more tells that a list has been cut.
func (s *searching) more(command *cobra.Command, from string) {
	if from != "" {
		fmt.Fprintf(command.ErrOrStderr(), "there are more than %d; --limit 0 lists all\n", s.Limit)
	}
}

func vouchersCommand() *cobra.Command {
	var at clusterFlags
	var as format
	var searching searching
	command := &cobra.Command{
		Use:   "vouchers RUN",
		Short: "List the vouchers of a run, or search them by number, claim or amount",
		Example: `  ledgerport vouchers monthly-29871360 -n acme
  ledgerport vouchers monthly-29871360 -n acme --amount 1034.50`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, names []string) error {
			cluster, read, err := at.connectBooks(command)
			if err != nil {
				return err
			}
			list, err := read.Vouchers(command.Context(), cluster.named(names[0]), searching.Search)
			if err != nil {
				return err
			}
			searching.more(command, list.Continue)
			return as.print(command.OutOrStdout(), list, func(out io.Writer) error { return writeVouchers(out, list.Items) })
		},
	}
	command.ValidArgsFunction = one(at.completeRuns(hasFiles))
	command.Flags().StringVar(&searching.Number, "number", "", "the voucher of this number alone, such as E/2026/1")
	command.Flags().StringVar(&searching.Amount, "amount", "", "vouchers of this amount alone, or with a posting of it, such as 1034.50")
	searching.add(command, "vouchers of the claim with this id alone")
	at.add(command)
	as.add(command)
	return command
}

func writeVouchers(out io.Writer, vouchers []api.Voucher) error {
	return writeTable(out, "NUMBER\tDATE\tCLAIM\tAMOUNT\tBASE AMOUNT\tREVERSES", len(vouchers), func(i int) []string {
		v := vouchers[i]
		return []string{v.Number, v.Date, v.Claim, v.Amount + " " + v.Currency, v.BaseAmount + " " + v.BaseCurrency, v.Reverses}
	})
}

func heldCommand() *cobra.Command {
	var at clusterFlags
	var as format
	var searching searching
	command := &cobra.Command{
		Use:   "held EXPORT",
		Short: "List the claims that an export holds, with the reason of each",
		Example: `  ledgerport held monthly -n acme
  ledgerport held monthly -n acme --reason Unmapped`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, names []string) error {
			cluster, read, err := at.connectBooks(command)
			if err != nil {
				return err
			}
			list, err := read.Held(command.Context(), cluster.named(names[0]), searching.Search)
			if err != nil {
				return err
			}
			searching.more(command, list.Continue)
			return as.print(command.OutOrStdout(), list, func(out io.Writer) error { return writeHeld(out, list) })
		},
	}
	command.ValidArgsFunction = one(at.completeExports)
	command.Flags().StringVar(&searching.Reason, "reason", "", "claims that are held for this reason alone, such as Unmapped")
	searching.add(command, "the claim with this id alone")
	at.add(command)
	as.add(command)
	return command
}

// writeHeld writes how many are held for each reason, and then each claim.
func writeHeld(out io.Writer, list *api.HeldClaimList) error {
	if len(list.Groups) > 0 {
		err := writeTable(out, "REASON\tCLAIMS\tSINCE", len(list.Groups), func(i int) []string {
			group := list.Groups[i]
			return []string{group.Reason, strconv.FormatInt(group.Claims, 10), group.Since.UTC().Format(time.RFC3339)}
		})
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(out)
	}
	return writeTable(out, "CLAIM\tREASON\tSINCE\tRUN\tMESSAGE", len(list.Items), func(i int) []string {
		held := list.Items[i]
		return []string{held.Claim, held.Reason, held.Since.UTC().Format(time.RFC3339), held.Run, held.Message}
	})
}
