package command

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/overview"
	"github.com/ledgerport/ledgerport/texts"
)

// completionTimeout is how long a shell waits for names.
const completionTimeout = 3 * time.Second

// listed returns names for the shell: what a list has, without those that are given already. If the cluster does not answer, there are none.
func (c *clusterFlags) listed(command *cobra.Command, given []string, list func(context.Context, *cluster) ([]cobra.Completion, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	cluster, err := c.connect(command)
	if err != nil {
		return nil, directive
	}
	ctx, cancel := context.WithTimeout(command.Context(), completionTimeout)
	defer cancel()
	names, err := list(ctx, cluster)
	if err != nil {
		return nil, directive
	}
	return slices.DeleteFunc(names, func(name cobra.Completion) bool {
		return slices.ContainsFunc(given, func(given string) bool {
			return name == given || len(name) > len(given) && name[:len(given)+1] == given+"\t"
		})
	}), directive
}

// one completes the first argument alone.
func one(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(command *cobra.Command, given []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(given) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(command, given, typed)
	}
}

// completeExports names the exports of the namespace.
func (c *clusterFlags) completeExports(command *cobra.Command, given []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return c.listed(command, given, func(ctx context.Context, cluster *cluster) (names []cobra.Completion, err error) {
		var exports v1alpha1.AccountingExportList
		err = cluster.List(ctx, &exports, client.InNamespace(cluster.namespace))
		for _, export := range exports.Items {
			names = append(names, cobra.CompletionWithDesc(export.Name, texts.Printable(export.Spec.Exporter.Type, texts.Quote)))
		}
		return names, err
	})
}

// completeRuns names the runs of the namespace that a command can do something with.
func (c *clusterFlags) completeRuns(suitable func(*v1alpha1.ExportRun) bool) cobra.CompletionFunc {
	return func(command *cobra.Command, given []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return c.listed(command, given, func(ctx context.Context, cluster *cluster) (names []cobra.Completion, err error) {
			runs, err := overview.Runs(ctx, cluster, cluster.namespace, "")
			if err != nil {
				return nil, err
			}
			for i := range runs.Items {
				if run := &runs.Items[i]; suitable(run) {
					names = append(names, cobra.CompletionWithDesc(run.Name, string(cmp.Or(run.Status.Phase, v1alpha1.RunPending))))
				}
			}
			return names, nil
		})
	}
}

// completeDestinations names the destinations of the namespace; those of others have to be written.
func (c *clusterFlags) completeDestinations(command *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return c.listed(command, nil, func(ctx context.Context, cluster *cluster) (names []cobra.Completion, err error) {
		var destinations v1alpha1.ExportDestinationList
		err = cluster.List(ctx, &destinations, client.InNamespace(cluster.namespace))
		for i := range destinations.Items {
			names = append(names, destinations.Items[i].Name)
		}
		return names, err
	})
}

// completeNamespaces names the namespaces that the person may list.
func (c *clusterFlags) completeNamespaces(command *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return c.listed(command, nil, func(ctx context.Context, cluster *cluster) (names []cobra.Completion, err error) {
		var namespaces corev1.NamespaceList
		err = cluster.List(ctx, &namespaces)
		for i := range namespaces.Items {
			names = append(names, namespaces.Items[i].Name)
		}
		return names, err
	})
}

func unfinished(run *v1alpha1.ExportRun) bool { return !run.Status.Phase.Finished() }

// reversible runs have exported claims that are not all reversed.
func reversible(run *v1alpha1.ExportRun) bool {
	return cmp.Or(run.Spec.Type, v1alpha1.RunExport) == v1alpha1.RunExport && run.Status.Phase.Exported() && run.Status.Claims > 0 && run.Status.Reversed != v1alpha1.WhollyReversed
}

// redeliverable runs have delivered what was exported or reversed.
func redeliverable(run *v1alpha1.ExportRun) bool {
	return run.Spec.Type.TakesTurns() && run.Status.Phase.Exported() && run.Status.Location != ""
}
