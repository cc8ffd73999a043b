// Command with-environment runs a command with the servers that tests need: a PostgreSQL and an S3 server are started for
// it, and the programs of the control plane and of the SFTP server are made ready. All of them end with the command. With
// -scan the command is "go test -v", of which less is shown and all is looked at: it fails where a secret or a bank account
// is said.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/leaks"
	"github.com/ledgerport/ledgerport/test/testdb"
	"github.com/ledgerport/ledgerport/test/tests3"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	scan := flag.Bool("scan", false, `look for planted secrets in the output of "go test -v", and pass on what matters of it`)
	flag.Parse()
	err := run(ctx, flag.Args(), *scan)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "with-environment:", err)
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		os.Exit(failed.ExitCode())
	}
	os.Exit(1)
}

func run(ctx context.Context, arguments []string, scan bool) error {
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
	if _, err := environment.SSHD(ctx, os.Stderr); err != nil { // tests start their own
		return err
	}

	command := exec.CommandContext(ctx, arguments[0], arguments[1:]...) // #nosec G204 -- the caller's own command
	command.Env = append(os.Environ(), variables...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	if scan {
		return scanned(command)
	}
	return command.Run()
}

// scanned runs "go test -v", and fails where it fails or says what nobody is to see.
func scanned(command *exec.Cmd) error {
	looking := leaks.New()
	for _, variable := range command.Env {
		if database, is := strings.CutPrefix(variable, testdb.URLVariable+"="); is {
			if err := looking.PlantPassword("the database", database); err != nil {
				return err
			}
		}
	}
	command.Stdout = nil
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	err = looking.GoTest(output, os.Stdout)
	err = errors.Join(command.Wait(), err)
	fmt.Fprintf(os.Stderr, "looked for secrets in %d lines of output\n", looking.Looked("output"))
	if found := looking.Found(); len(found) > 0 {
		err = errors.Join(fmt.Errorf("what nobody is to see was said:\n%s", strings.Join(found, "\n")), err)
	}
	return err
}
