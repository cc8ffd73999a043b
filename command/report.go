package command

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"

	"github.com/ledgerport/ledgerport/internal/bundle"
	"github.com/ledgerport/ledgerport/internal/offline"
	"github.com/ledgerport/ledgerport/texts"
)

func reportCommand() *cobra.Command {
	var at clusterFlags
	var file, operator string
	command := &cobra.Command{
		Use:   "report",
		Short: "Collect what others need to find out what is wrong in a namespace, without secrets",
		Long: `Write an archive (tar, gzip) of the resources of a namespace, their events, the status of each export, and the lines of the operator's log
about them, as far as you may read these: for those who are to find out what is wrong. No Secret is read. Bank accounts, logins in URLs,
what accounting systems have said of vouchers, and options that name people or accounts are left out. Look through it before you send it.`,
		Example: `  ledgerport report -n acme --file acme.tar.gz`,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			cluster, err := at.connect(command)
			if err != nil {
				return err
			}
			api, err := kubernetes.NewForConfig(cluster.config)
			if err != nil {
				return err
			}
			out, name, err := created(command, cmp.Or(file, "ledgerport-report-"+cluster.namespace+".tar.gz"))
			if err != nil {
				return err
			}
			missing, err := bundle.Write(command.Context(), out, bundle.Request{
				Cluster: cluster, API: api, Namespace: cluster.namespace, Operator: operator, Program: buildVersion(), Now: time.Now(),
			})
			if err := errors.Join(err, out.Close()); err != nil {
				return err
			}
			for _, what := range missing {
				fmt.Fprintln(command.ErrOrStderr(), texts.Printable("not read: "+what, texts.Message))
			}
			_, err = fmt.Fprintf(command.ErrOrStderr(), "written to %s; look through it before you send it\n", name)
			return err
		},
	}
	command.Flags().StringVar(&file, "file", "", "the archive, which must not exist, or - for standard output; empty is ledgerport-report-NAMESPACE.tar.gz")
	command.Flags().StringVar(&operator, "operator-namespace", "ledgerport-system", "namespace of the operator, whose log is read")
	at.add(command)
	return command
}

// created makes a file that only its owner reads, or returns standard output.
func created(command *cobra.Command, path string) (io.WriteCloser, string, error) {
	if path == offline.Stdin {
		return standardOutput{command.OutOrStdout()}, "standard output", nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return file, path, err
}

// standardOutput is not closed.
type standardOutput struct{ io.Writer }

// Close implements io.Closer.
func (standardOutput) Close() error { return nil }
