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
	// Probes is the URL below which it serves its probes.
	Probes  string
	command *exec.Cmd
}

// StartOperator builds the operator from this module and starts it. Everything it keeps is below the directory.
func StartOperator(ctx context.Context, controlPlane *ControlPlane, directory string, flags ...string) (*Operator, error) {
	binary, err := BuildOperator(ctx, directory, "")
	if err != nil {
		return nil, err
	}
	return RunOperator(controlPlane, binary, directory, "operator", nil, flags...)
}

// BuildOperator builds the operator from this module, with build tags, into a directory, and returns its path.
func BuildOperator(ctx context.Context, directory, tags string) (binary string, err error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	binary = filepath.Join(directory, "ledgerport")
	build := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", binary, "./cmd/ledgerport") // #nosec G204 -- our own arguments
	build.Dir, build.Stdout, build.Stderr = root, os.Stderr, os.Stderr
	return binary, build.Run()
}

// RunOperator starts an operator under a name, with further environment variables and flags. Those with the same directory
// share their filesystem destinations; each writes a log of its own, to which another start appends.
func RunOperator(controlPlane *ControlPlane, binary, directory, name string, variables []string, flags ...string) (*Operator, error) {
	o := &Operator{LogPath: filepath.Join(directory, name+".log"), Exports: filepath.Join(directory, "exports")}
	if err := os.MkdirAll(o.Exports, 0o750); err != nil {
		return nil, err
	}
	probes, err := freePort()
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(probes))
	o.Probes = "http://" + address
	log, err := os.OpenFile(o.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()                                                            // the process has it open for itself
	o.command = exec.Command(binary, append([]string{"manager", "--filesystem-root=" + o.Exports, // #nosec G204 -- the binary just built
		"--health-probe-bind-address=" + address,
		"--allowed-hosts=127.0.0.0/8", // where the servers of this package are
		"--allow-plain-http",
		"--allow-insecure-databases", // which speak no TLS
		"--leader-elect", "--leader-election-namespace=default"}, flags...)...)
	o.command.Env = append(append(os.Environ(), "KUBECONFIG="+controlPlane.KubeconfigPath), variables...)
	o.command.Stdout, o.command.Stderr = log, log
	o.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := o.command.Start(); err != nil {
		return nil, err
	}
	return o, nil
}

// Signal sends a signal to the process.
func (o *Operator) Signal(signal os.Signal) error { return o.command.Process.Signal(signal) }

// Pid is the process's id.
func (o *Operator) Pid() int { return o.command.Process.Pid }

// Wait waits for the process to end.
func (o *Operator) Wait() error { return o.command.Wait() }

// Stop asks the operator to end, and waits for it.
func (o *Operator) Stop() error {
	return errors.Join(o.command.Process.Signal(syscall.SIGTERM), o.command.Wait())
}

// PeakRSS is the largest resident set that the operator has had so far, in bytes.
func (o *Operator) PeakRSS() (int64, error) { return PeakRSS(o.command.Process.Pid) }

// RSS returns the resident memory of the process, in bytes.
func (o *Operator) RSS() (int64, error) { return RSS(o.command.Process.Pid) }
