// Command with-environment runs a command with the servers that tests need: a PostgreSQL and an S3 server are started for
// it, and the control plane's programs are made ready. All of them end with the command.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/ledgerport/ledgerport/hack/environment"
	"github.com/ledgerport/ledgerport/test/testdb"
	"github.com/ledgerport/ledgerport/test/tests3"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		os.Exit(failed.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "with-environment:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		return errors.New("give the command to run")
	}
	directory, err := os.MkdirTemp("", "ledgerport-environment-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(directory) }() // a leftover in the temporary directory is no failure
	assets, err := environment.ControlPlaneAssets(ctx, os.Stderr)
	if err != nil {
		return err
	}
	variables := []string{"KUBEBUILDER_ASSETS=" + assets}
	if os.Getenv(testdb.URLVariable) == "" {
		postgres, err := environment.StartPostgres(ctx, filepath.Join(directory, "postgres"), os.Stderr)
		if err != nil {
			return err
		}
		defer postgres.Stop()
		variables = append(variables, testdb.URLVariable+"="+postgres.URL)
	}
	s3, err := environment.StartS3(ctx, filepath.Join(directory, "s3"), os.Stderr)
	if err != nil {
		return err
	}
	defer s3.Stop()
	variables = append(variables, tests3.Variables(s3)...)

	command := exec.CommandContext(ctx, arguments[0], arguments[1:]...) // #nosec G204 -- the caller's own command
	command.Env = append(os.Environ(), variables...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	return command.Run()
}
