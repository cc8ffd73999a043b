// Command fuzz runs every fuzz target of the repository, the example's module included. It goes on after a finding, and
// fails at the end.
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
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	duration := flag.Duration("duration", 10*time.Minute, "for each target")
	only := flag.String("target", ".", "a regular expression over FOLDER.TARGET")
	jobs := flag.Int("jobs", 1, "targets at once; they share the processors")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := fuzz(ctx, *duration, *only, *jobs); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func fuzz(ctx context.Context, duration time.Duration, only string, jobs int) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	targets, err := list(ctx)
	if err != nil {
		return err
	}
	targets = slices.DeleteFunc(targets, func(t target) bool { return !wanted.MatchString(t.folder + "." + t.name) })
	if len(targets) == 0 {
		return fmt.Errorf("no target is like %q", only)
	}
	var group errgroup.Group
	group.SetLimit(jobs)
	failed := make([]error, len(targets))
	for i, t := range targets {
		group.Go(func() error {
			failed[i] = t.run(ctx, duration, max(1, runtime.NumCPU()/jobs))
			return nil // the others go on
		})
	}
	_ = group.Wait() // failures are kept one by one
	return errors.Join(failed...)
}

type target struct{ folder, name string }

// minimizing bounds the executions that make an input smaller. Without a bound a target whose coverage differs from run to run, as
// with maps and caches, spends its minutes on that, and sees few inputs.
const minimizing = "50x"

// run fuzzes one target, and shows at its end what it said.
func (t target) run(ctx context.Context, duration time.Duration, workers int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	command := exec.CommandContext(ctx, "go", "test", "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+duration.String(), "-fuzzminimizetime="+minimizing,
		"-parallel="+strconv.Itoa(workers), ".")
	command.Dir = t.folder // which says of what module it is
	output, err := command.CombinedOutput()
	fmt.Printf("==> %s in %s\n%s", t.name, t.folder, output)
	if err != nil {
		return fmt.Errorf("%s in %s: %w", t.name, t.folder, err)
	}
	return nil
}

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
