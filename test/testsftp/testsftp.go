// Package testsftp gives each test an account of its own on a real SFTP server, that of OpenSSH.
package testsftp

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/leaks"
)

// Account is what a test logs in with, and a directory that is empty.
type Account struct {
	Host, User, KnownHosts string
	Port                   int32
	// PrivateKey as ssh-keygen writes it, without a passphrase.
	PrivateKey []byte
	// Path of the directory on the server.
	Path string
	// Directory is the same as the test sees it.
	Directory string
}

// server is started once, and ends with the process.
var server = sync.OnceValues(func() (*environment.SFTP, error) {
	directory, err := os.MkdirTemp("", "ledgerport-testsftp-")
	if err != nil {
		return nil, err
	}
	started, err := environment.StartSFTP(context.Background(), directory, os.Stderr)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(directory))
	}
	return started, nil
})

// chrooted is one that shuts its user in. It is not below /tmp, where everybody may write.
var chrooted = sync.OnceValues(func() (*environment.SFTP, error) {
	directory, err := os.MkdirTemp("/run", "ledgerport-testsftp-")
	if err != nil {
		return nil, err
	}
	started, err := environment.StartChrootedSFTP(context.Background(), directory, os.Stderr)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(directory))
	}
	return started, nil
})

// New makes an account, whose files are looked through for secrets when the test ends, on a server that runs with these arguments of sftp-server(8), such as -R where it takes no files.
func New(t testing.TB, arguments ...string) Account {
	t.Helper()
	started, err := server()
	if err != nil {
		t.Fatal(err)
	}
	return account(t, started, arguments...)
}

// NewChrooted makes an account on a server that shuts it into a directory, where the test may start one.
func NewChrooted(t testing.TB) Account {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a server with a chroot needs root")
	}
	started, err := chrooted()
	if err != nil {
		t.Fatal(err)
	}
	return account(t, started)
}

func account(t testing.TB, at *environment.SFTP, arguments ...string) Account {
	t.Helper()
	private, public, err := environment.NewSSHKey()
	if err == nil {
		err = at.Authorize(public, arguments...)
	}
	if err != nil {
		t.Fatal(err)
	}
	path, here, err := at.Directory(rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	leaks.AtEnd(t, func(_ context.Context, scan *leaks.Scan) error { return scan.Files(here) })
	return Account{Host: at.Host, Port: int32(at.Port), User: at.User, KnownHosts: at.KnownHosts, PrivateKey: private, Path: path, Directory: here}
}

// Files are the names of all files below the directory, hidden ones included, in order.
func (a Account) Files(t testing.TB) (files []string) {
	t.Helper()
	err := filepath.WalkDir(a.Directory, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(a.Directory, path)
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// NewKey makes another key pair, which no server knows.
func NewKey(t testing.TB) (private []byte, public ssh.PublicKey) {
	t.Helper()
	private, public, err := environment.NewSSHKey()
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}
