package environment

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"k8s.io/client-go/rest"
)

// Console is the console of the product as a process of its own.
type Console struct {
	// LogPath is the file that its log goes to.
	LogPath string
	// URL that it is reached at.
	URL     string
	command *exec.Cmd
}

// RunConsole starts the console of a cluster that serves at a port of this machine, with the certificate of an authority. It has no login at the cluster.
// Another start appends to its log.
func RunConsole(cluster *rest.Config, binary, directory string, port int, authority *Authority, flags ...string) (*Console, error) {
	c := &Console{LogPath: filepath.Join(directory, "console.log"), URL: "https://localhost:" + strconv.Itoa(port)}
	certificates := filepath.Join(directory, "console-certificates")
	if err := os.MkdirAll(certificates, 0o700); err != nil {
		return nil, err
	}
	if err := authority.WriteServing(certificates, "localhost"); err != nil {
		return nil, err
	}
	trusted := filepath.Join(directory, "api-server.crt")
	if err := os.WriteFile(trusted, cluster.CAData, 0o600); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(c.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()                          // the process has it open for itself
	c.command = exec.Command(binary, append([]string{"console", // #nosec G204 -- the binary just built
		"--bind-address=" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "--certificates=" + certificates, "--public-url=" + c.URL,
		"--api-server=" + cluster.Host, "--api-server-ca=" + trusted}, flags...)...)
	c.command.Env = append(os.Environ(), "KUBECONFIG=/nonexistent")
	c.command.Stdout, c.command.Stderr = log, log
	c.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c, c.command.Start()
}

// Signal sends a signal to the process.
func (c *Console) Signal(signal os.Signal) error { return c.command.Process.Signal(signal) }

// Pid is the process's id.
func (c *Console) Pid() int { return c.command.Process.Pid }

// Wait waits for the process to end.
func (c *Console) Wait() error { return c.command.Wait() }

// PeakRSS is the largest resident set that the console has had so far, in bytes.
func (c *Console) PeakRSS() (int64, error) { return PeakRSS(c.command.Process.Pid) }

// Kill ends the process at once.
func (c *Console) Kill() error {
	return errors.Join(c.command.Process.Kill(), c.wait())
}

// Stop asks the console to end, and waits for it.
func (c *Console) Stop() error {
	return errors.Join(c.command.Process.Signal(syscall.SIGTERM), c.command.Wait())
}

// wait waits for a process that was killed.
func (c *Console) wait() error {
	var ended *exec.ExitError
	if err := c.command.Wait(); !errors.As(err, &ended) {
		return err
	}
	return nil
}

// FreePort returns a port of this machine that nobody listens at.
func FreePort() (int, error) { return freePort() }
