// Package command is the command ledgerport: the operator and its tools in one binary. It is public so that a binary of
// somebody else's can have more exporters: docs/exporters/writing-one.md.
package command

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	_ "golang.org/x/crypto/x509roots/fallback" // CA roots, for an image that has no others

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/texts"
)

// Main runs the command with the arguments of the process and ends the process. The exporters come on top of the built-in
// ones.
func Main(more ...exporters.Exporter) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, more)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ledgerport:", texts.Printable(err.Error(), texts.Message))
		os.Exit(1)
	}
}

func run(ctx context.Context, more []exporters.Exporter) error {
	registry, err := exporters.NewRegistry(append(builtin.Exporters(), more...)...)
	if err != nil {
		return err
	}
	return New(registry).ExecuteContext(ctx)
}

// New returns the command with these exporters and no others.
func New(registry *exporters.Registry) *cobra.Command {
	command := &cobra.Command{
		Use:           "ledgerport",
		Short:         "Approved expense claims into accounting systems, each exactly once",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	command.AddCommand(managerCommand(registry), migrateCommand(), ledgerCommand(), adoptCommand(registry), grantsCommand(registry), validateCommand(registry), renderCommand(registry), versionCommand())
	return command
}
