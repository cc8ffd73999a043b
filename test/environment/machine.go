package environment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// mayInstall reports whether packages of Debian can be installed.
func mayInstall() bool {
	_, err := exec.LookPath("apt-get")
	return err == nil && os.Geteuid() == 0
}

// installPackage installs a package of Debian.
func installPackage(ctx context.Context, name string, log io.Writer) error {
	fmt.Fprintf(log, "installing Debian's package %s\n", name)
	for _, arguments := range [][]string{{"update", "-qq"}, {"install", "-y", "-qq", "--no-install-recommends", name}} {
		install := exec.CommandContext(ctx, "apt-get", arguments...) // #nosec G204 -- constants
		install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := install.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %v: %w\n%s", arguments, err, output)
		}
	}
	return nil
}

// unprivileged returns whom to run a server as that is not to run as root: the first of the accounts that the machine has, or
// oneself, which is nil.
func unprivileged(names ...string) (owner *syscall.Credential, name string, err error) {
	if os.Geteuid() != 0 {
		self, err := user.Current()
		if err != nil {
			return nil, "", err
		}
		return nil, self.Username, nil
	}
	for _, name := range names {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, "", err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, name, nil
	}
	return nil, "", fmt.Errorf("servers of tests do not run as root, and there is no user of the names %q", names)
}

// handOver gives a directory and some of its files to the user that a server runs as, and lets that user pass the
// directories above.
func handOver(owner *syscall.Credential, directory string, files ...string) error {
	for _, path := range append(files, directory) {
		if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	for above := filepath.Dir(directory); above != "/" && above != os.TempDir(); above = filepath.Dir(above) {
		info, err := os.Stat(above)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 != 0 {
			continue
		}
		if err := os.Chmod(above, info.Mode().Perm()|0o011); err != nil {
			return err
		}
	}
	return nil
}

// findServer looks where distributions put a server's program, and installs Debian's package, without the service that it would
// start, where that is possible. It returns nothing if there is none.
func findServer(ctx context.Context, program, debian string, log io.Writer) (string, error) {
	look := func() string {
		for _, name := range []string{program, "/usr/sbin/" + program} {
			if found, err := exec.LookPath(name); err == nil {
				return found
			}
		}
		return ""
	}
	if found := look(); found != "" || !mayInstall() {
		return found, nil
	}
	const policy = "/usr/sbin/policy-rc.d" // asked before a service is started
	if _, err := os.Stat(policy); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil { // #nosec G306 -- it is run
			return "", err
		}
		defer func() { _ = os.Remove(policy) }()
	}
	if err := installPackage(ctx, debian, log); err != nil {
		return "", err
	}
	return look(), nil
}
