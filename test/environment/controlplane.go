package environment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// KubernetesVersion of the control plane that is built or downloaded.
const KubernetesVersion = "v1.37.2"

// downloadTimeout is short: where the download is not reachable, building begins soon.
const downloadTimeout = 20 * time.Second

// ControlPlaneAssets returns a directory with etcd and kube-apiserver: what KUBEBUILDER_ASSETS names, else what was kept from
// before, else a download by setup-envtest, else both built from their Go modules, once. log gets the progress.
func ControlPlaneAssets(ctx context.Context, log io.Writer) (string, error) {
	if named := os.Getenv("KUBEBUILDER_ASSETS"); complete(named) {
		return named, nil
	}
	return ControlPlaneOf(ctx, KubernetesVersion, log)
}

// ControlPlaneOf is ControlPlaneAssets of a version, whatever KUBEBUILDER_ASSETS names.
func ControlPlaneOf(ctx context.Context, version string, log io.Writer) (string, error) {
	cache, err := cacheDirectory()
	if err != nil {
		return "", err
	}
	kept := filepath.Join(cache, "controlplane", version)
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
	if err := os.RemoveAll(kept); err != nil { // what is incomplete is of no use
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o750); err != nil {
		return "", err
	}
	if err := downloadControlPlane(ctx, version, cache, kept); err == nil || ctx.Err() != nil {
		return kept, ctx.Err()
	}
	fmt.Fprintln(log, "    setup-envtest could not download a control plane; building it from its Go modules, once")
	return kept, buildControlPlane(ctx, version, cache, kept, log)
}

// complete reports whether a directory holds both programs.
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

// downloadControlPlane lets setup-envtest download both programs, and kubectl, into a place of its own, and links it.
func downloadControlPlane(ctx context.Context, version, cache, link string) error {
	root, err := ModuleRoot()
	if err != nil {
		return err
	}
	// The tool is built first, so that the time is the download's alone, and run by its own path, so that it ends in time.
	build := exec.CommandContext(ctx, "go", "tool", "-n", "-modfile="+filepath.Join(root, "hack/tools/go.mod"), "setup-envtest") // #nosec G204 -- our own arguments
	build.Dir = root
	tool, err := build.Output()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	minor := version[1:strings.LastIndex(version, ".")]
	downloaded, err := exec.CommandContext(ctx, strings.TrimSpace(string(tool)), // #nosec G204 -- the tool that was just built
		"use", "--bin-dir", filepath.Join(cache, "envtest"), "--print", "path", minor+".x").Output()
	if err != nil {
		return err
	}
	if path := strings.TrimSpace(string(downloaded)); complete(path) {
		return os.Symlink(path, link)
	}
	return errors.New("setup-envtest gave no control plane")
}

// ModuleRoot is the folder of this module's go.mod, for a test of a module below it, too.
func ModuleRoot() (string, error) {
	output, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	nearest := filepath.Dir(strings.TrimSpace(string(output)))
	for folder := nearest; filepath.Dir(folder) != folder; folder = filepath.Dir(folder) {
		content, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err == nil && strings.HasPrefix(string(content), "module github.com/ledgerport/ledgerport\n") {
			return folder, nil
		}
	}
	return nearest, nil
}

// ControlPlane is a running etcd and kube-apiserver with the CRDs of this project.
type ControlPlane struct {
	// Config of an administrator.
	Config *rest.Config
	// KubeconfigPath is a file for kubectl, for the same administrator.
	KubeconfigPath string
	// FrontProxy signs the certificate by which the API server is known to those that serve a part of its API.
	FrontProxy   *Authority
	certificates string // directory with those of the front proxy
	environment  *envtest.Environment
	again        *exec.Cmd // the kube-apiserver, once it was restarted
}

// StartControlPlane starts what ControlPlaneAssets gave, with more flags of kube-apiserver such as name=value. It ends with Stop.
func StartControlPlane(_ context.Context, assets string, log io.Writer, flags ...string) (*ControlPlane, error) {
	root, err := ModuleRoot()
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
	if started.certificates, err = os.MkdirTemp("", "ledgerport-front-proxy-"); err != nil {
		return nil, err
	}
	if started.FrontProxy, err = aggregate(assets, started.environment.ControlPlane.GetAPIServer(), started.certificates); err != nil {
		return nil, err
	}
	// Some clusters let only those who may finalize an owner name it in a way that blocks its deletion.
	started.environment.ControlPlane.GetAPIServer().Configure().Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
	for _, flag := range flags {
		name, value, _ := strings.Cut(flag, "=")
		started.environment.ControlPlane.GetAPIServer().Configure().Set(name, value)
	}
	if started.Config, err = started.environment.Start(); err != nil {
		_ = started.environment.Stop() // whichever of the two runs
		return nil, fmt.Errorf("starting etcd and kube-apiserver of %s: %w", assets, err)
	}
	// Tests and demo wait for what they do, not for a client-side limit.
	started.Config.QPS, started.Config.Burst = -1, -1
	version, err := started.version()
	if err := errors.Join(err, started.writeKubeconfig()); err != nil {
		started.Stop()
		return nil, err
	}
	fmt.Fprintf(log, "    kube-apiserver %s at %s\n", version, started.Config.Host)
	return started, nil
}

// version is what the server says of itself: KUBEBUILDER_ASSETS may hold another one.
func (c *ControlPlane) version() (string, error) {
	asking, err := discovery.NewDiscoveryClientForConfig(c.Config)
	if err != nil {
		return "", err
	}
	answer, err := asking.ServerVersion()
	if err != nil {
		return "", err
	}
	return answer.GitVersion, nil
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

// RestartAPIServer kills the kube-apiserver, lets it be away for a while, and starts it again with the same arguments.
func (c *ControlPlane) RestartAPIServer(ctx context.Context, away time.Duration) error {
	pid, arguments, err := c.apiServer()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	select {
	case <-time.After(away):
	case <-ctx.Done():
	}
	if err := c.untilPortIsFree(ctx); err != nil {
		return err
	}
	again := exec.Command(arguments[0], arguments[1:]...) // #nosec G204 -- as it ran before
	again.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := again.Start(); err != nil {
		return err
	}
	if c.again != nil {
		_ = c.again.Wait() // it was just killed
	}
	c.again = again
	return c.waitUntilServing(ctx)
}

// apiServer finds the process that listens on the port of the configuration.
func (c *ControlPlane) apiServer() (pid int, arguments []string, err error) {
	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(c.Config.Host, "https://"), "/"))
	if err != nil {
		return 0, nil, err
	}
	return process("kube-apiserver", func(arguments []string) bool { return slices.Contains(arguments, "--secure-port="+port) })
}

// process finds the process of a program by its arguments.
func process(program string, is func(arguments []string) bool) (pid int, arguments []string, err error) {
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well formed
	for _, path := range processes {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		arguments := strings.Split(strings.TrimSuffix(string(content), "\x00"), "\x00")
		if filepath.Base(arguments[0]) == program && is(arguments) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid, arguments, err
		}
	}
	return 0, nil, fmt.Errorf("no %s with these arguments is running", program)
}

// Pids are the ids of the processes of kube-apiserver and etcd.
func (c *ControlPlane) Pids() (apiServer, etcd int, err error) {
	apiServer, _, err = c.apiServer()
	if err != nil {
		return 0, 0, err
	}
	at := c.environment.ControlPlane.Etcd.URL.String()
	etcd, _, err = process("etcd", func(arguments []string) bool { return slices.Contains(arguments, "--listen-client-urls="+at) })
	return apiServer, etcd, err
}

// untilPortIsFree waits for the process that was killed to have let go of its port: the next one ends if it cannot listen.
func (c *ControlPlane) untilPortIsFree(ctx context.Context) error {
	address := strings.TrimSuffix(strings.TrimPrefix(c.Config.Host, "https://"), "/")
	return until(ctx, "the port of kube-apiserver is not free", func() error {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		return listener.Close()
	})
}

func (c *ControlPlane) waitUntilServing(ctx context.Context) error {
	return until(ctx, "kube-apiserver does not serve again", func() error {
		_, err := c.version()
		return err
	})
}

// until tries again and again for a minute.
func until(ctx context.Context, otherwise string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", otherwise, err)
		case <-tick.C:
		}
	}
}

// Stop ends both programs and removes the file for kubectl.
func (c *ControlPlane) Stop() {
	if c.again != nil {
		_ = c.again.Process.Kill() // what is left dies with the data
		_ = c.again.Wait()
	}
	_ = c.environment.Stop()
	_ = os.RemoveAll(c.certificates)
	if c.KubeconfigPath != "" {
		_ = os.Remove(c.KubeconfigPath)
	}
}
