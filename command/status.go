package command

import (
	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/internal/overview"
)

func statusCommand() *cobra.Command {
	var at clusterFlags
	var as format
	finished := 3
	command := &cobra.Command{
		Use:   "status EXPORT",
		Short: "Show an export with what it refers to and its newest runs: how each is, why, and what to do",
		Long: `Show an export as a tree with what it refers to, as the export sees it, and its newest runs: how each is, why, what to do, and what comes
next. What you may not read is left out.`,
		Example: `  ledgerport status monthly -n acme`,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, names []string) error {
			cluster, err := at.connect(command)
			if err != nil {
				return err
			}
			tree, err := overview.Of(command.Context(), cluster, cluster.named(names[0]), max(0, finished))
			if err != nil {
				return err
			}
			return as.print(command.OutOrStdout(), tree, tree.Write)
		},
	}
	command.ValidArgsFunction = one(at.completeExports)
	command.Flags().IntVar(&finished, "runs", finished, "how many runs that have finished are shown")
	at.add(command)
	as.add(command)
	return command
}

func runsCommand() *cobra.Command {
	var at clusterFlags
	var as format
	var everywhere bool
	command := &cobra.Command{
		Use:   "runs [EXPORT]",
		Short: "List the runs of an export, or of a namespace, the newest first",
		Example: `  ledgerport runs monthly -n acme
  ledgerport runs -A -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, names []string) error {
			cluster, err := at.connect(command)
			if err != nil {
				return err
			}
			namespace, export := cluster.namespace, ""
			if everywhere {
				namespace = ""
			}
			if len(names) > 0 {
				export = names[0]
			}
			runs, err := overview.Runs(command.Context(), cluster, namespace, export)
			if err != nil {
				return err
			}
			return as.printRuns(command.OutOrStdout(), cluster.Scheme(), true, runs.Items...)
		},
	}
	command.ValidArgsFunction = one(at.completeExports)
	command.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "runs of all namespaces")
	at.add(command)
	as.add(command)
	return command
}
