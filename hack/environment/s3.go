package environment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	s3AccessKey = "throw-away"
	s3SecretKey = "throw-away-secret" // #nosec G101 -- of a server that lives for one test run, on the loopback interface
)

// S3 is a throw-away server that speaks the S3 protocol, on the loopback interface.
type S3 struct {
	Endpoint, AccessKey, SecretKey string
	directory                      string
	server                         *exec.Cmd
	ended                          chan error
}

// StartS3 starts versitygw over a directory that does not exist yet. It is built once from its Go module and kept.
func StartS3(ctx context.Context, directory string, log io.Writer) (*S3, error) {
	program, err := versitygw(ctx, log)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(directory, "buckets")
	if err := os.MkdirAll(data, 0o750); err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s := &S3{
		Endpoint: "http://" + address, AccessKey: s3AccessKey, SecretKey: s3SecretKey,
		directory: directory, ended: make(chan error, 1),
	}
	said, err := os.Create(filepath.Join(directory, "log")) // #nosec G304 -- our own directory
	if err != nil {
		return nil, err
	}
	defer func() { _ = said.Close() }()                                                                   // the server has it open for itself
	s.server = exec.Command(program, "--access", s3AccessKey, "--secret", s3SecretKey, "--port", address, // #nosec G204 -- built above
		"posix", "--sidecar", s.sidecar(), data)
	s.server.Stdout, s.server.Stderr = said, said
	s.server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := os.MkdirAll(s.sidecar(), 0o750); err != nil {
		return nil, err
	}
	if err := s.server.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.server.Wait() }()
	if err := s.waitUntilUp(ctx, said.Name()); err != nil {
		s.Stop()
		return nil, fmt.Errorf("starting versitygw: %w", err)
	}
	return s, nil
}

// sidecar keeps metadata in files, because not every filesystem of a test machine has extended attributes.
func (s *S3) sidecar() string { return filepath.Join(s.directory, "metadata") }

func (s *S3) waitUntilUp(ctx context.Context, log string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			return answer.Body.Close()
		}
		select {
		case ended := <-s.ended:
			s.server = nil
			said, _ := os.ReadFile(log) // #nosec G304 -- our own file; what it lacks is not said
			return fmt.Errorf("the server ended: %w\n%s", ended, said)
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// Stop ends the server and removes its data.
func (s *S3) Stop() {
	if s.server != nil {
		_ = s.server.Process.Kill()
		<-s.ended
		s.server = nil
	}
	_ = os.RemoveAll(s.directory) // a leftover in the temporary directory is no failure
}

// versitygw gives the program, built from the module that pins it.
func versitygw(ctx context.Context, log io.Writer) (string, error) {
	cache, err := cacheDirectory()
	if err != nil {
		return "", err
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	pin := filepath.Join(root, "hack/tools/versitygw")
	version, err := moduleVersion(ctx, pin, "github.com/versity/versitygw")
	if err != nil {
		return "", err
	}
	program := filepath.Join(cache, "versitygw-"+version)
	unlock, err := lock(ctx, program+".lock", log)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	fmt.Fprintf(log, "    building the S3 server versitygw %s, once\n", version)
	command := exec.CommandContext(ctx, "go", "build", "-o", program+".new", "github.com/versity/versitygw/cmd/versitygw") // #nosec G204 -- constants
	command.Dir = pin
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building versitygw: %w\n%s", err, output)
	}
	return program, os.Rename(program+".new", program)
}

func moduleVersion(ctx context.Context, pin, module string) (string, error) {
	command := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", module) // #nosec G204 -- constants
	command.Dir = pin
	output, err := command.Output()
	if err != nil || len(output) < 2 {
		return "", errors.Join(fmt.Errorf("%s does not pin %s", pin, module), err)
	}
	return string(output[:len(output)-1]), nil
}
