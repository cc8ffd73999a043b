// Command fuzz runs every fuzz target of the module in turn. It goes on after a finding, and fails at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	duration := flag.Duration("duration", 10*time.Minute, "for each target")
	only := flag.String("target", ".", "a regular expression over PACKAGE.TARGET")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := fuzz(ctx, *duration, *only); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func fuzz(ctx context.Context, duration time.Duration, only string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	targets, err := list(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, t := range targets {
		if !wanted.MatchString(t.folder + "." + t.name) {
			continue
		}
		fmt.Printf("==> %s in %s\n", t.name, t.folder)
		command := exec.CommandContext(ctx, "go", "test", "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+duration.String(), t.folder)
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		if err := command.Run(); err != nil {
			failed = append(failed, fmt.Errorf("%s in %s: %w", t.name, t.folder, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(failed...)
}

type target struct{ folder, name string }

var declared = regexp.MustCompile(`^([^:]+)/[^/:]+_test\.go:func (Fuzz\w+)\(`)

// list finds the targets by their declarations, which is faster than building every test.
func list(ctx context.Context) (targets []target, err error) {
	found, err := exec.CommandContext(ctx, "git", "grep", "-E", "^func Fuzz[A-Za-z0-9]+\\(f ", "--", "*_test.go").Output()
	if err != nil {
		return nil, fmt.Errorf("looking for fuzz targets: %w", err)
	}
	for line := range strings.Lines(string(found)) {
		if parts := declared.FindStringSubmatch(line); parts != nil {
			targets = append(targets, target{"./" + parts[1], parts[2]})
		}
	}
	return targets, nil
}
