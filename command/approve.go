package command

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/requests"
	"github.com/ledgerport/ledgerport/texts"
)

func approveCommand() *cobra.Command {
	var at clusterFlags
	var as format
	var patience waiting
	var yes bool
	command := &cobra.Command{
		Use:   "approve RUN",
		Short: "Approve what a run is going to deliver, after its totals are shown",
		Long: `Approve what a run is going to deliver, if its export has spec.approval: Required. Totals, vouchers and the hashes of the files are shown
first, and the approval is of these. Who has asked for the run cannot approve it; "cancel" refuses it. The status is that of "run".`,
		Example: `  ledgerport approve monthly-29871360 -n acme --wait`,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, names []string) error {
			cluster, err := at.connect(command)
			if err != nil {
				return err
			}
			seen := &v1alpha1.ExportRun{}
			if err := cluster.Get(command.Context(), cluster.named(names[0]), seen); err != nil {
				return err
			}
			if awaitsApproval(seen) && !yes {
				if err := confirm(command, seen); err != nil {
					return err
				}
			}
			run, err := requests.Approve(command.Context(), cluster, seen, cluster.user(command.Context()))
			if err != nil {
				return err
			}
			run, end := patience.await(command, cluster, run, endOf)
			return errors.Join(as.printRuns(command.OutOrStdout(), cluster.Scheme(), false, *run), end)
		},
	}
	command.ValidArgsFunction = one(at.completeRuns(awaitsApproval))
	command.Flags().BoolVar(&yes, "yes", false, "approve without a question")
	at.add(command)
	as.add(command)
	patience.add(command)
	return command
}

func awaitsApproval(run *v1alpha1.ExportRun) bool {
	return run.Status.Phase == v1alpha1.RunAwaitingApproval && !run.Status.Approval.Given()
}

// confirm shows what is to be approved, and asks whether it is.
func confirm(command *cobra.Command, run *v1alpha1.ExportRun) error {
	out := command.ErrOrStderr()
	if err := writeApproval(out, run); err != nil {
		return err
	}
	_, _ = fmt.Fprint(out, "Approve this? [y/N] ")
	answer, err := bufio.NewReader(io.LimitReader(command.InOrStdin(), 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was approved")
}

// writeApproval writes what there is to know of a run before it is approved.
func writeApproval(out io.Writer, run *v1alpha1.ExportRun) error {
	status := &run.Status
	until := ""
	if status.Approval != nil && status.Approval.Until != nil {
		until = status.Approval.Until.UTC().Format(time.RFC3339)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", name, cmp.Or(texts.Printable(value, texts.Message), "-"))
	}
	row("run", run.Namespace+"/"+run.Name)
	row("export", run.Spec.ExportRef.Name)
	row("type", string(cmp.Or(run.Spec.Type, v1alpha1.RunExport)))
	if run.Spec.Reverses != nil {
		row("reverses", run.Spec.Reverses.Name)
	}
	row("requested by", status.RequestedBy)
	row("reason", run.Annotations[v1alpha1.ReasonAnnotation])
	row("claims", fmt.Sprintf("%d, %d held", status.Claims, status.Held))
	row("vouchers", status.FirstVoucher+" to "+status.LastVoucher)
	row("total", status.Total)
	for _, file := range status.Files {
		row("file", fmt.Sprintf("%s, %s, SHA-256 %s", file.Name, texts.Count(file.Size, "byte", "bytes"), file.SHA256))
	}
	row("waits until", until)
	return table.Flush()
}
