package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// buildAll builds the one binary for each platform, static and without the names of directories of this machine.
func (r *release) buildAll() error {
	for _, on := range r.platforms {
		if err := r.build(on); err != nil {
			return fmt.Errorf("%s: %w", on, err)
		}
	}
	return nil
}

func (r *release) build(on platform) error {
	command := exec.CommandContext(r.ctx, "go", "build", "-trimpath", "-mod=readonly", // #nosec G204 -- our own arguments
		"-ldflags", "-s -w -X github.com/ledgerport/ledgerport/command.version="+r.version, "-o", r.binary(on), "./cmd/"+program)
	// What a developer has set for builds of his own would make other bytes.
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+on.os, "GOARCH="+on.arch,
		"GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off")
	if r.cache != "" {
		command.Env = append(command.Env, "GOCACHE="+r.cache)
	}
	_, err := r.output(command)
	return err
}

// binary is where that of a platform is built.
func (r *release) binary(on platform) string {
	return filepath.Join(r.work, on.os+"_"+on.arch, binaryName(on))
}

func binaryName(on platform) string {
	if on.os == "windows" {
		return program + ".exe"
	}
	return program
}

// output runs a command in the repository, unless it says where, and returns what that prints.
func (r *release) output(command *exec.Cmd) ([]byte, error) {
	if command.Dir == "" {
		command.Dir = r.root
	}
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, stderr.String())
	}
	return output, nil
}

var tagged = regexp.MustCompile(`^v?(\d+\.\d+\.\d+.*)$`)

// semantic is the version as package managers want it: a semantic one without a v. Without a tag it is 0.0.0 and the commit.
func (r *release) semantic() string {
	if parts := tagged.FindStringSubmatch(r.version); parts != nil {
		return parts[1]
	}
	return "0.0.0-g" + r.version
}
