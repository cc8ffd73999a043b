package command

import (
	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/requests"
)

func importedCommand() *cobra.Command {
	var at clusterFlags
	var as format
	var reference string
	var undo bool
	command := &cobra.Command{
		Use:   "imported RUN",
		Short: "Record that the files of a run were imported into the accounting system",
		Long: `Record that you have imported the files of a run into the accounting system, and the reference under which that has them, such as the number
of a batch. Everybody sees it then: "runs", the console, and kubectl get exportruns -o wide. Nothing is sent anywhere. A run that somebody else
has marked stays as it is, because what is imported twice is booked twice. --undo takes a mark back, also that of another; who does is recorded.`,
		Example: `  ledgerport imported monthly-29871360 -n acme --reference "batch 4711"
  ledgerport imported monthly-29871360 -n acme --undo`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, names []string) error {
			cluster, err := at.connect(command)
			if err != nil {
				return err
			}
			by := cluster.user(command.Context())
			var run *v1alpha1.ExportRun
			if undo {
				run, err = requests.TakeImportBack(command.Context(), cluster, cluster.named(names[0]), by)
			} else {
				run, err = requests.MarkImported(command.Context(), cluster, cluster.named(names[0]), by, reference)
			}
			if err != nil {
				return err
			}
			return as.printRuns(command.OutOrStdout(), cluster.Scheme(), false, *run)
		},
	}
	command.ValidArgsFunction = one(at.completeRuns(func(run *v1alpha1.ExportRun) bool {
		return requests.Importable(run) && (requests.ImportOf(run) != nil) == undo
	}))
	command.Flags().StringVar(&reference, "reference", "", "what the accounting system calls what was imported, such as the number of a batch, in at most 64 characters")
	command.Flags().BoolVar(&undo, "undo", false, "take the mark back")
	command.MarkFlagsMutuallyExclusive("reference", "undo")
	at.add(command)
	as.add(command)
	return command
}
