// Command ledgerport is the operator and its tools in one binary.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	_ "golang.org/x/crypto/x509roots/fallback" // CA roots, for an image that has no others
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ledgerport:", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	command := &cobra.Command{
		Use:           "ledgerport",
		Short:         "Approved expense claims into accounting systems, each exactly once",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	command.AddCommand(managerCommand(), migrateCommand(), versionCommand())
	return command
}
