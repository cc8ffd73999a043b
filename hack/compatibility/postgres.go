package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
)

// packages name PostgreSQL's programs, built for Linux on amd64, by version and hash. A distribution has one version of them.
//
//go:embed package.json package-lock.json
var packages embed.FS

// published installs the packages below a directory, and returns those of the programs, the oldest version first.
func published(ctx context.Context, into string) (directories []string, err error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		fmt.Fprintln(os.Stderr, "compatibility: other versions of PostgreSQL are installed on Linux with amd64 alone; name them in", binariesVariable)
		return nil, nil
	}
	if err := os.CopyFS(into, packages); err != nil {
		return nil, err
	}
	// The packages' own scripts make links between their libraries.
	command := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund")
	command.Dir = into
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("npm ci of other versions of PostgreSQL: %w", err)
	}
	directories, err = filepath.Glob(filepath.Join(into, "node_modules", "postgres-*", "native", "bin"))
	slices.Sort(directories)
	return directories, err
}
