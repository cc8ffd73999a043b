// Package command is the command ledgerport: the operator and its tools in one binary. It is public so that a binary of
// somebody else's can have more exporters: docs/exporters/writing-one.md.
package command

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
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
		os.Exit(exitCode(err))
	}
}

const (
	// plugin is the name under which kubectl finds the command on the PATH.
	plugin = "kubectl-ledgerport"
	// completer is the name under which kubectl asks a plugin what its arguments may be.
	completer = "kubectl_complete-ledgerport"
)

func run(ctx context.Context, more []exporters.Exporter) error {
	registry, err := exporters.NewRegistry(append(builtin.Exporters(), more...)...)
	if err != nil {
		return err
	}
	command := New(registry)
	switch strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe") {
	case plugin:
		command.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl ledgerport"}
	case completer:
		command.SetArgs(append([]string{cobra.ShellCompRequestCmd}, os.Args[1:]...))
	}
	return command.ExecuteContext(ctx)
}

// The groups of commands in the help.
const (
	onCluster = "cluster"
	onFiles   = "files"
)

// New returns the command with these exporters and no others.
func New(registry *exporters.Registry) *cobra.Command {
	command := &cobra.Command{
		Use:           "ledgerport",
		Short:         "Approved expense claims into accounting systems, each exactly once",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	command.AddGroup(&cobra.Group{ID: onCluster, Title: "On a cluster, as yourself:"}, &cobra.Group{ID: onFiles, Title: "On files and databases:"})
	for group, members := range map[string][]*cobra.Command{
		onCluster: {runCommand(), previewCommand(), reverseCommand(), redeliverCommand(), cancelCommand(), approveCommand(), importedCommand(), suspendCommand(), resumeCommand(), statusCommand(), runsCommand(), reportCommand(), logsCommand(),
			downloadCommand(), verifyCommand(), vouchersCommand(), heldCommand(), traceCommand()},
		onFiles: {migrateCommand(), ledgerCommand(), adoptCommand(registry), grantsCommand(registry), validateCommand(registry), renderCommand(registry), diffCommand(registry), exportersCommand(registry)},
		"":      {managerCommand(registry), attemptCommand(registry), consoleCommand(), versionCommand()},
	} {
		for _, member := range members {
			member.GroupID = group
			command.AddCommand(member)
		}
	}
	return command
}
