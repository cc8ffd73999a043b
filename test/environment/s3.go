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
)

const (
	s3AccessKey = "throw-away"
	s3SecretKey = "throw-away-secret" // #nosec G101 -- of a server that lives for one test run
)

// S3 is a throw-away server that speaks the S3 protocol.
type S3 struct {
	Endpoint, AccessKey, SecretKey string
	server                         *server
}

// StartS3 starts versitygw over a directory that is empty or does not exist yet, on the loopback interface. Both end with
// this process. The program is built once from its Go module, and kept; log gets what is built.
func StartS3(ctx context.Context, directory string, log io.Writer) (*S3, error) {
	return StartS3At(ctx, directory, loopback, log)
}

// StartS3At is StartS3 on an address of this machine that others can reach.
func StartS3At(ctx context.Context, directory, host string, log io.Writer) (*S3, error) {
	program, err := versitygw(ctx, log)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	buckets, metadata := filepath.Join(directory, "buckets"), filepath.Join(directory, "metadata")
	if err := errors.Join(os.MkdirAll(buckets, 0o750), os.MkdirAll(metadata, 0o750)); err != nil {
		return nil, err
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
	// Metadata is kept in files, because not every filesystem of a test machine has extended attributes.
	started, err := startServer(exec.Command(program, "--access", s3AccessKey, "--secret", s3SecretKey, "--port", address, // #nosec G204 -- built above
		"posix", "--sidecar", metadata, buckets), directory)
	if err != nil {
		return nil, fmt.Errorf("starting versitygw: %w", err)
	}
	s := &S3{Endpoint: "http://" + address, AccessKey: s3AccessKey, SecretKey: s3SecretKey, server: started}
	if err := started.waitUntilUp(ctx, s.ask); err != nil {
		s.Stop()
		return nil, fmt.Errorf("starting versitygw: %w", err)
	}
	return s, nil
}

func (s *S3) ask(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// Stop ends the server and removes its data.
func (s *S3) Stop() { s.server.stop() }

// versitygw returns the program, built from the module that pins it.
func versitygw(ctx context.Context, log io.Writer) (string, error) {
	cache, err := cacheDirectory()
	if err != nil {
		return "", err
	}
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	pin := filepath.Join(root, "hack", "tools", "versitygw")
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
