package environment

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// Operator is the product as a process of its own, against a control plane.
type Operator struct {
	// LogPath is the file that the operator's log goes to.
	LogPath string
	// Exports is the root of its filesystem destinations.
	Exports string
	command *exec.Cmd
}

// StartOperator builds the operator from this module and starts it. Everything it keeps is below the directory.
func StartOperator(ctx context.Context, controlPlane *ControlPlane, directory string, flags ...string) (*Operator, error) {
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(directory, "ledgerport")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/ledgerport") // #nosec G204 -- our own arguments
	build.Dir, build.Stdout, build.Stderr = root, os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	o := &Operator{LogPath: filepath.Join(directory, "operator.log"), Exports: filepath.Join(directory, "exports")}
	if err := os.MkdirAll(o.Exports, 0o750); err != nil {
		return nil, err
	}
	probes, err := freePort()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(o.LogPath)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()                                                            // the process has it open for itself
	o.command = exec.Command(binary, append([]string{"manager", "--filesystem-root=" + o.Exports, // #nosec G204 -- the binary just built
		"--health-probe-bind-address=" + net.JoinHostPort("127.0.0.1", strconv.Itoa(probes)),
		"--allowed-hosts=127.0.0.0/8", // where the servers of this package are
		"--leader-elect", "--leader-election-namespace=default"}, flags...)...)
	o.command.Env = append(os.Environ(), "KUBECONFIG="+controlPlane.KubeconfigPath)
	o.command.Stdout, o.command.Stderr = log, log
	o.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := o.command.Start(); err != nil {
		return nil, err
	}
	return o, nil
}

// Stop asks the operator to end, and waits for it.
func (o *Operator) Stop() error {
	return errors.Join(o.command.Process.Signal(syscall.SIGTERM), o.command.Wait())
}

// PeakRSS is the largest resident set that the operator has had so far, in bytes.
func (o *Operator) PeakRSS() (int64, error) { return PeakRSS(o.command.Process.Pid) }
