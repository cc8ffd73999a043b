package environment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// KubernetesVersion of the control plane that is built or downloaded.
const KubernetesVersion = "v1.37.2"

// downloadTimeout is short: where the download is not reachable, building begins soon.
const downloadTimeout = 20 * time.Second

// ControlPlaneAssets gives a directory with etcd and kube-apiserver: what KUBEBUILDER_ASSETS names, else what was kept from
// before, else a download by setup-envtest, else both built from their Go modules, once. log gets the progress.
func ControlPlaneAssets(ctx context.Context, log io.Writer) (string, error) {
	if named := os.Getenv("KUBEBUILDER_ASSETS"); complete(named) {
		return named, nil
	}
	cache, err := cacheDirectory()
	if err != nil {
		return "", err
	}
	kept := filepath.Join(cache, "controlplane", KubernetesVersion)
	if complete(kept) {
		return kept, nil
	}
	unlock, err := lock(ctx, filepath.Join(cache, "controlplane.lock"), log)
	if err != nil {
		return "", err
	}
	defer unlock()
	if complete(kept) {
		return kept, nil // another process has made it meanwhile
	}
	if downloaded, err := download(ctx, cache); err == nil {
		return downloaded, nil
	}
	fmt.Fprintf(log, "    setup-envtest could not download a control plane within %s; building it from its Go modules, once\n", downloadTimeout)
	return kept, buildControlPlane(ctx, cache, kept, log)
}

// complete says whether a directory holds both programs.
func complete(directory string) bool {
	for _, program := range []string{"etcd", "kube-apiserver"} {
		if info, err := os.Stat(filepath.Join(directory, program)); err != nil || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return directory != ""
}

// Kubectl finds kubectl beside the control plane or on PATH.
func Kubectl(assets string) (path string, found bool) {
	beside := filepath.Join(assets, "kubectl")
	if _, err := os.Stat(beside); err == nil {
		return beside, true
	}
	path, err := exec.LookPath("kubectl")
	return path, err == nil
}

func cacheDirectory() (string, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(user, "ledgerport")
	return cache, os.MkdirAll(cache, 0o750)
}

// download asks setup-envtest, which keeps what it downloads in a place of its own.
func download(ctx context.Context, cache string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "tool", "-modfile="+filepath.Join(root, "hack/tools/go.mod"), "setup-envtest", // #nosec G204 -- our own arguments
		"use", "--bin-dir", filepath.Join(cache, "envtest"), "-p", "path", "1.37.x!")
	command.Dir = root
	path, err := command.Output()
	if err != nil || !complete(string(path)) {
		return "", errors.Join(err, errors.New("setup-envtest gave no control plane"))
	}
	return string(path), nil
}

// moduleRoot is the folder of this module's go.mod.
func moduleRoot() (string, error) {
	output, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	return filepath.Dir(strings.TrimSpace(string(output))), nil
}

// ControlPlane is a running etcd and kube-apiserver with the CRDs of this project.
type ControlPlane struct {
	// Config of an administrator.
	Config *rest.Config
	// KubeconfigPath is a file for kubectl, for the same administrator.
	KubeconfigPath string
	environment    *envtest.Environment
}

// StartControlPlane starts what ControlPlaneAssets gave. It ends with Stop.
func StartControlPlane(_ context.Context, assets string, log io.Writer) (*ControlPlane, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	started := &ControlPlane{environment: &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		CRDDirectoryPaths:        []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}}
	if started.Config, err = started.environment.Start(); err != nil {
		return nil, fmt.Errorf("starting etcd and kube-apiserver of %s: %w", assets, err)
	}
	// Tests and demo wait for what they do, not for a client-side limit.
	started.Config.QPS, started.Config.Burst = -1, -1
	if err := started.writeKubeconfig(); err != nil {
		started.Stop()
		return nil, err
	}
	fmt.Fprintf(log, "    kube-apiserver %s at %s\n", KubernetesVersion, started.Config.Host)
	return started, nil
}

func (c *ControlPlane) writeKubeconfig() error {
	admin, err := c.environment.AddUser(envtest.User{Name: "ledgerport-admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return err
	}
	content, err := admin.KubeConfig()
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "ledgerport-kubeconfig-")
	if err != nil {
		return err
	}
	c.KubeconfigPath = file.Name()
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// Stop ends both programs and removes the file for kubectl.
func (c *ControlPlane) Stop() {
	_ = c.environment.Stop() // what is left dies with the data
	if c.KubeconfigPath != "" {
		_ = os.Remove(c.KubeconfigPath)
	}
}

// etcdModule is the version of etcd that is built.
const etcdModule = "v3.6.16"

// buildControlPlane builds kube-apiserver and etcd from their Go modules into a directory, which appears whole.
func buildControlPlane(ctx context.Context, cache, into string, log io.Writer) error {
	work, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // a leftover in the cache is no failure
	bin := filepath.Join(work, "bin")
	b := &builder{directory: work, bin: bin, log: log}
	if err := b.buildAPIServer(ctx); err != nil {
		return err
	}
	if err := b.build(ctx, "etcd", "require go.etcd.io/etcd/server/v3 "+etcdModule, "go.etcd.io/etcd/server/v3", ""); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(into), 0o750); err != nil {
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
func (b *builder) buildAPIServer(ctx context.Context) error {
	gomod, err := b.run(ctx, b.directory, "go", "mod", "download", "-json", "k8s.io/kubernetes@"+KubernetesVersion)
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
	staging := "v0" + strings.TrimPrefix(KubernetesVersion, "v1")
	module := "require k8s.io/kubernetes " + KubernetesVersion + "\n"
	for line := range strings.Lines(string(requirements)) {
		if fields := strings.Fields(line); len(fields) >= 2 && strings.HasPrefix(fields[0], "k8s.io/") && fields[1] == "v0.0.0" {
			module += fmt.Sprintf("replace %s => %s %s\n", fields[0], fields[0], staging)
		}
	}
	minor := strings.Split(KubernetesVersion, ".")[1]
	const variables = "k8s.io/component-base/version."
	return b.build(ctx, "kube-apiserver", module, "k8s.io/kubernetes/cmd/kube-apiserver",
		fmt.Sprintf("-X %[1]sgitVersion=%s -X %[1]sgitMajor=1 -X %[1]sgitMinor=%s", variables, KubernetesVersion, minor))
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
		start, tick := time.Now(), time.NewTicker(15*time.Second)
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
