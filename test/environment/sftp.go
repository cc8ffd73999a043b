package environment

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SFTP is a throw-away server of OpenSSH.
type SFTP struct {
	Host string
	Port int
	// User that logs in, by keys that Authorize admits.
	User string
	// KnownHosts is the line of a known_hosts file that has the server's host key.
	KnownHosts string
	// Root is the directory in which Directory makes others, as the user sees it: "/" in a chroot.
	Root      string
	directory string
	files     string // Root, as this process sees it
	owner     *syscall.Credential
	server    *server
}

// StartSFTP starts sshd in a directory that is empty or does not exist yet, on the loopback interface, as a user without
// rights. Both end with this process. log gets what is installed.
func StartSFTP(ctx context.Context, directory string, log io.Writer) (*SFTP, error) {
	s := &SFTP{directory: directory, files: filepath.Join(directory, "files")}
	s.Root = s.files
	return s, s.start(ctx, "", log)
}

// StartChrootedSFTP starts sshd as root, which shuts the user into a directory and offers nothing but SFTP. Every directory
// down to the given one is to be root's and writable for nobody else: OpenSSH insists.
func StartChrootedSFTP(ctx context.Context, directory string, log io.Writer) (*SFTP, error) {
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // #nosec G301 -- as Debian's service makes it
		return nil, err
	}
	s := &SFTP{directory: directory, files: filepath.Join(directory, "files"), Root: "/"}
	return s, s.start(ctx, "ChrootDirectory "+s.files+"\nForceCommand internal-sftp\n", log)
}

// SSHD finds sshd, and installs Debian's package where that is possible.
func SSHD(ctx context.Context, log io.Writer) (string, error) {
	sshd, err := findServer(ctx, "sshd", "openssh-server", log)
	if err != nil || sshd == "" {
		return "", errors.Join(err, errors.New("there is no OpenSSH server for the tests of SFTP: install Debian's package openssh-server, or put sshd on PATH"))
	}
	return filepath.Abs(sshd) // it starts itself again by its full name
}

func (s *SFTP) start(ctx context.Context, more string, log io.Writer) error {
	sshd, err := SSHD(ctx, log)
	if err != nil {
		return err
	}
	if s.owner, s.User, err = unprivileged("daemon", "nobody"); err != nil {
		return err
	}
	s.Host = loopback
	if s.Port, err = freePort(); err != nil {
		return err
	}
	chrooted := more != ""
	if err := s.prepare(chrooted, more); err != nil {
		return err
	}
	arguments := []string{"-D", "-e", "-f", s.config()}
	// From OpenSSH 9.8 on clients that are refused too often are not listened to any more, and all tests are one client.
	const noPenalties = "PerSourcePenalties=no"
	if exec.CommandContext(ctx, sshd, "-t", "-f", s.config(), "-o", noPenalties).Run() == nil { // #nosec G204 -- found above
		arguments = append(arguments, "-o", noPenalties)
	}
	command := exec.Command(sshd, arguments...) // #nosec G204 -- found above
	if !chrooted {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	}
	if s.server, err = startServer(command, s.directory); err != nil {
		return fmt.Errorf("starting sshd: %w", err)
	}
	if err := s.server.waitUntilUp(ctx, s.ask); err != nil {
		s.Stop()
		return fmt.Errorf("starting sshd: %w", err)
	}
	return nil
}

func (s *SFTP) config() string         { return filepath.Join(s.directory, "sshd_config") }
func (s *SFTP) authorizedKeys() string { return filepath.Join(s.directory, "authorized_keys") }

// prepare makes host key, settings and the directory for files.
func (s *SFTP) prepare(chrooted bool, more string) error {
	if err := os.MkdirAll(s.files, 0o755); err != nil { // #nosec G301 -- another user's
		return err
	}
	private, public, err := NewSSHKey()
	if err != nil {
		return err
	}
	s.KnownHosts = knownhosts.Line([]string{net.JoinHostPort(s.Host, strconv.Itoa(s.Port))}, public)
	hostKey := filepath.Join(s.directory, "host_key")
	settings := strings.Join([]string{
		"ListenAddress " + s.Host, "Port " + strconv.Itoa(s.Port), "HostKey " + hostKey, "PidFile none", "UsePAM no",
		"AuthorizedKeysFile " + s.authorizedKeys(), "StrictModes no", "AuthenticationMethods publickey",
		"Subsystem sftp internal-sftp", "MaxStartups 1000", "UseDNS no", more,
	}, "\n")
	err = errors.Join(os.WriteFile(hostKey, private, 0o600), os.WriteFile(s.config(), []byte(settings), 0o644), // #nosec G306 -- another user's
		os.WriteFile(s.authorizedKeys(), nil, 0o644)) // #nosec G306 -- another user's
	if chrooted {
		return errors.Join(err, os.Chmod(s.directory, 0o755)) // #nosec G302 -- for the user to pass
	}
	if err != nil || s.owner == nil {
		return err
	}
	return handOver(s.owner, s.directory, hostKey, s.files)
}

// NewSSHKey makes a key pair: the private key as ssh-keygen writes it.
func NewSSHKey() (private []byte, public ssh.PublicKey, err error) {
	generated, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, nil, err
	}
	public, err = ssh.NewPublicKey(generated)
	return pem.EncodeToMemory(block), public, err
}

// Authorize admits a key. A user who logs in with it gets the program of OpenSSH that serves files, with these arguments, such as
// -R for a server that takes none (sftp-server(8)); in a chroot without any.
func (s *SFTP) Authorize(key ssh.PublicKey, arguments ...string) error {
	command := strings.Join(append([]string{"internal-sftp"}, arguments...), " ")
	file, err := os.OpenFile(s.authorizedKeys(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "restrict,command=%q %s", command, ssh.MarshalAuthorizedKey(key))
	return errors.Join(err, file.Close())
}

// Directory makes a directory that is the user's. It returns its path as the user and as this process see it.
func (s *SFTP) Directory(name string) (path, here string, err error) {
	here = filepath.Join(s.files, name)
	if err := os.Mkdir(here, 0o755); err != nil { // #nosec G301 -- another user's
		return "", "", err
	}
	if s.owner != nil {
		err = os.Chown(here, int(s.owner.Uid), int(s.owner.Gid))
	}
	return filepath.Join(s.Root, name), here, err
}

func (s *SFTP) ask(ctx context.Context) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if err != nil {
		return err
	}
	return conn.Close()
}

// Stop ends the server and removes its data.
func (s *SFTP) Stop() { s.server.stop() }
