package environment

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// etcdModule is the version of etcd that is built.
const etcdModule = "v3.6.16"

// buildControlPlane builds kube-apiserver and etcd from their Go modules into a directory, which appears whole.
func buildControlPlane(ctx context.Context, version, cache, into string, log io.Writer) error {
	work, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // a leftover in the cache is no failure
	bin := filepath.Join(work, "bin")
	b := &builder{directory: work, bin: bin, log: log}
	if err := b.buildAPIServer(ctx, version); err != nil {
		return err
	}
	if err := b.build(ctx, "etcd", "require go.etcd.io/etcd/server/v3 "+etcdModule, "go.etcd.io/etcd/server/v3", ""); err != nil {
		return err
	}
	return os.Rename(bin, into)
}

// builder builds programs, each in a throw-away module that pins it.
type builder struct {
	directory, bin string
	log            io.Writer
}

// buildAPIServer pins every staging module that Kubernetes requires as v0.0.0 to the version released with it.
func (b *builder) buildAPIServer(ctx context.Context, version string) error {
	gomod, err := b.run(ctx, b.directory, "go", "mod", "download", "-json", "k8s.io/kubernetes@"+version)
	if err != nil {
		return err
	}
	path, err := between(string(gomod), `"GoMod": "`, `"`)
	if err != nil {
		return err
	}
	requirements, err := os.ReadFile(path) // #nosec G304 -- Go's own answer
	if err != nil {
		return err
	}
	staging := "v0" + strings.TrimPrefix(version, "v1")
	module := "require k8s.io/kubernetes " + version + "\n"
	for line := range strings.Lines(string(requirements)) {
		if fields := strings.Fields(line); len(fields) >= 2 && strings.HasPrefix(fields[0], "k8s.io/") && fields[1] == "v0.0.0" {
			module += fmt.Sprintf("replace %s => %s %s\n", fields[0], fields[0], staging)
		}
	}
	return b.build(ctx, "kube-apiserver", module, "k8s.io/kubernetes/cmd/kube-apiserver", stamps(version))
}

// stamps are what the linker writes about the version: some versions of kube-apiserver do not start without numbers that they can read.
func stamps(version string) string {
	minor := strings.Split(version, ".")[1]
	return fmt.Sprintf("-X %[1]sgitVersion=%[2]s -X %[1]sgitMajor=1 -X %[1]sgitMinor=%[3]s", "k8s.io/component-base/version.", version, minor)
}

func (b *builder) build(ctx context.Context, program, module, importPath, stamps string) error {
	directory := filepath.Join(b.directory, program)
	if err := os.MkdirAll(directory, 0o750); err != nil {
		return err
	}
	files := map[string]string{
		"go.mod":   "module build\n\ngo " + strings.TrimPrefix(runtime.Version(), "go") + "\n\n" + module + "\n",
		"tools.go": "//go:build tools\n\npackage tools\n\nimport _ \"" + importPath + "\"\n",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	if _, err := b.run(ctx, directory, "go", "mod", "tidy"); err != nil {
		return err
	}
	_, err := b.run(ctx, directory, "go", "build", "-trimpath", "-ldflags", "-s -w "+stamps, "-o", filepath.Join(b.bin, program), importPath)
	return err
}

// run runs a command and says every few seconds that it is still at it.
func (b *builder) run(ctx context.Context, directory, program string, arguments ...string) ([]byte, error) {
	said := strings.Join(append([]string{program}, arguments[:2]...), " ") + " " + filepath.Base(directory)
	done := make(chan struct{})
	defer close(done)
	go func() {
		start, tick := time.Now(), time.NewTicker(5*time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(b.log, "    %s: %s so far\n", said, time.Since(start).Round(time.Second))
			case <-done:
				return
			}
		}
	}()
	command := exec.CommandContext(ctx, program, arguments...) // #nosec G204 -- our own arguments
	command.Dir = directory
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=mod")
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", said, err, stderr.String())
	}
	return output, nil
}

func between(text, before, after string) (string, error) {
	_, following, found := strings.Cut(text, before)
	value, _, ended := strings.Cut(following, after)
	if !found || !ended {
		return "", fmt.Errorf("no %s in the answer of go mod download", before)
	}
	return value, nil
}
