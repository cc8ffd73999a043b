package environment

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// server is another program that lives no longer than this process, and neither does its directory.
type server struct {
	command   *exec.Cmd
	directory string
	ended     chan error
	janitor   *exec.Cmd
	hold      io.Closer // the janitor's standard input
}

// janitorScript waits for the end of its standard input, which is the end of this process, however it comes: tests end
// without a last word, and can be killed. The server has died by then, or is about to.
const janitorScript = `cat; for _ in $(seq 100); do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done; rm -rf -- "$2"`

// startServer starts a program whose directory exists. What it says goes to the file log there.
func startServer(command *exec.Cmd, directory string) (*server, error) {
	said, err := os.Create(filepath.Join(directory, "log")) // #nosec G304 -- our own directory
	if err != nil {
		return nil, err
	}
	defer func() { _ = said.Close() }() // the server has it open for itself
	command.Dir, command.Stdout, command.Stderr = directory, said, said
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGQUIT // for PostgreSQL an immediate shutdown: the data is thrown away
	if err := command.Start(); err != nil {
		return nil, err
	}
	s := &server{command: command, directory: directory, ended: make(chan error, 1)}
	go func() { s.ended <- command.Wait() }()
	if err := s.startJanitor(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) startJanitor() (err error) {
	s.janitor = exec.Command("/bin/sh", "-c", janitorScript, "sh", strconv.Itoa(s.command.Process.Pid), s.directory) // #nosec G204 -- our own
	s.janitor.Dir = "/"
	s.janitor.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	if s.hold, err = s.janitor.StdinPipe(); err != nil {
		return err
	}
	return s.janitor.Start()
}

// waitUntilUp asks until the server answers, has ended, or time is over.
func (s *server) waitUntilUp(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case ended := <-s.ended:
			s.ended <- ended                                          // stop wants to know too
			said, _ := os.ReadFile(filepath.Join(s.directory, "log")) // #nosec G304 -- our own file; what it lacks is not said
			return fmt.Errorf("the server ended: %w\n%s", ended, said)
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// restart ends the program at once and starts it again in the same directory.
func (s *server) restart(command *exec.Cmd) error {
	_ = s.command.Process.Signal(syscall.SIGQUIT)
	<-s.ended //nolint:errcheck // it is the signal's
	said, err := os.OpenFile(filepath.Join(s.directory, "log"), os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer func() { _ = said.Close() }() // the server has it open for itself
	command.Dir, command.Stdout, command.Stderr = s.directory, said, said
	command.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	if err := command.Start(); err != nil {
		s.ended <- err
		return err
	}
	s.command = command
	go func() { s.ended <- command.Wait() }()
	return nil
}

// stop ends the server and removes its directory. What cannot be removed stays, which is no failure.
func (s *server) stop() {
	_ = s.command.Process.Signal(syscall.SIGQUIT)
	<-s.ended //nolint:errcheck // it is the signal's
	_ = os.RemoveAll(s.directory)
	if s.hold != nil {
		_ = s.hold.Close()
		_ = s.janitor.Wait()
	}
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}
