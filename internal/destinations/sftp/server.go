package sftp

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// Extensions of OpenSSH to version 3 of the protocol.
// https://github.com/openssh/openssh-portable/blob/master/PROTOCOL, section 4
const (
	extensionPosixRename = "posix-rename@openssh.com" // renames as rename(2) does: over what is there
	extensionFsync       = "fsync@openssh.com"
	extensionStatVFS     = "statvfs@openssh.com"
)

// fileServer keeps objects as files below a directory of an SFTP server. Every call has a connection of its own, which ends
// with it: none can be stale, and closing one disturbs nobody else.
type fileServer struct {
	spec    v1alpha1.SFTPDestination
	address string // host:port
	known   []ssh.PublicKey
	signer  ssh.Signer // nil without a private key
	// password is empty without one.
	password string
	policy   *outbound.Policy
}

// secrets are what a user logs in with: a private key, as ssh-keygen writes it, with its passphrase if it has one; a password; or
// both.
type secrets struct{ privateKey, passphrase, password []byte }

func open(spec v1alpha1.SFTPDestination, given secrets, policy *outbound.Policy) (*fileServer, error) {
	known, err := knownHostKeys(spec.KnownHosts)
	if err != nil {
		return nil, err
	}
	signer, err := parsePrivateKey(given)
	if err != nil {
		return nil, err
	}
	return &fileServer{
		spec: spec, address: net.JoinHostPort(spec.Host, strconv.Itoa(int(spec.Port))),
		known: known, signer: signer, password: string(given.password), policy: policy,
	}, nil
}

// session connects, makes sure that the directory is there, lets something be done, and disconnects. The connection outlives
// the context by the time that undoing may take.
func (s *fileServer) session(ctx context.Context, work func(*remoteFiles) error) error {
	connection, wire, err := s.connect(ctx)
	if err != nil {
		return s.failure(ctx, err)
	}
	defer func() { _ = connection.Close() }() // all that matters was confirmed before
	longer, cancel := destinations.AfterGrace(ctx)
	defer cancel()
	defer context.AfterFunc(longer, func() { _ = connection.Close() })()
	client, err := sftp.NewClient(connection)
	if err != nil {
		return s.failure(ctx, s.noSubsystem(err))
	}
	defer func() { _ = connection.Close(); _ = client.Close() }() // the client alone would wait for the server's last word
	files := &remoteFiles{client, wire}
	return s.failure(ctx, understood(func() error {
		if err := s.findRoot(files); err != nil {
			return err
		}
		return work(files)
	}))
}

// understood makes an error of the library's panics: it takes an answer without an error for one with what was asked for, and a
// server may well say that all is well and nothing else.
func understood(talk func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errAnswer
		}
	}()
	return talk()
}

// errAnswer says that a server does not answer what it is asked.
var errAnswer = errors.New("the server does not answer what it is asked")

// findRoot makes sure that it is the object that is missing, if one is, and not the directory: a volume that is not mounted
// must not look like an empty one.
func (s *fileServer) findRoot(client *remoteFiles) error {
	root, err := client.Stat(s.spec.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return failure.OnDestination.Transient(v1alpha1.ReasonPathNotFound, err, "%s does not exist; create it, or correct spec.sftp.path", s.where())
	case err == nil && !root.IsDir():
		return failure.OnDestination.Transient(v1alpha1.ReasonPathNotFound, nil, "%s is no directory; correct spec.sftp.path", s.where())
	}
	return err
}

// ifThere drops the error of removing what is not there.
func ifThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Put implements Destination. As in a filesystem the file is written under a hidden name beside its own, made durable, and
// renamed.
func (s *fileServer) Put(ctx context.Context, key string, object destinations.Object, content io.Reader) error {
	return s.session(ctx, func(client *remoteFiles) error {
		name := s.remote(key)
		if _, err := makeRemoteDirectories(client, path.Dir(name)); err != nil {
			return s.explain(client, err, 0)
		}
		return s.put(ctx, client, name, object, content)
	})
}

// put writes a file into a directory that is there, and leaves nothing where that fails while the connection holds. What it
// leaves else is hidden, and the next one that comes to write the file or to remove it takes it away.
func (s *fileServer) put(ctx context.Context, client *remoteFiles, name string, object destinations.Object, content io.Reader) error {
	if err := clearRemoteParts(ctx, client, name); err != nil {
		return err
	}
	hidden := destinations.PartPrefix(name) + rand.Text()
	err := write(client, hidden, object.Size, content)
	if err == nil {
		err = publish(ctx, client, hidden, name, object)
	}
	if err != nil {
		err = s.explain(client, err, object.Size)
		_ = client.Remove(hidden)
		return err
	}
	s.syncDirectories(client, path.Dir(name))
	return nil
}

// Stat implements Destination: it reads the whole file for its hash.
func (s *fileServer) Stat(ctx context.Context, key string) (found destinations.Object, err error) {
	err = s.session(ctx, func(client *remoteFiles) (err error) {
		found, err = look(ctx, client, s.remote(key))
		return err
	})
	return found, err
}

// look describes what has a name, if it is a file.
func look(ctx context.Context, client *remoteFiles, name string) (destinations.Object, error) {
	entry, err := client.Lstat(name)
	if err == nil && !entry.Mode().IsRegular() {
		return destinations.Object{}, destinations.ErrOccupied
	}
	var found destinations.Object
	if err == nil {
		found, err = read(ctx, client, name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return destinations.Object{}, destinations.ErrNotFound
	}
	return found, err
}

// read describes a file.
func read(ctx context.Context, client *remoteFiles, name string) (destinations.Object, error) {
	file, err := client.Open(name)
	if err != nil {
		return destinations.Object{}, err
	}
	defer func() { _ = file.Close() }() // only read
	return destinations.Describe(ctx, file)
}

// Remove implements Destination. It gives an attempt that writes the object time to finish, and takes with it what a dead or stopped
// writer has written so far.
func (s *fileServer) Remove(ctx context.Context, key string, object destinations.Object) error {
	return s.session(ctx, func(client *remoteFiles) error {
		name := s.remote(key)
		if err := clearRemoteParts(ctx, client, name); err != nil {
			return err
		}
		found, err := look(ctx, client, name)
		if errors.Is(err, destinations.ErrNotFound) || errors.Is(err, destinations.ErrOccupied) {
			return nil
		}
		if err == nil && found.Same(object) {
			err = ifThere(client.Remove(name))
		}
		s.syncDirectories(client, path.Dir(name))
		return err
	})
}

// syncDirectories makes the names in a directory durable, and in those above it, which may be new, where the server can. The
// protocol has no word for it: OpenSSH lets a directory be opened as a file is, and what others answer does not matter.
func (s *fileServer) syncDirectories(client *remoteFiles, name string) {
	if _, can := client.HasExtension(extensionFsync); !can {
		return
	}
	if directory, err := client.Open(name); err == nil {
		_ = directory.Sync()
		_ = directory.Close()
	}
	if name != path.Clean(s.spec.Path) {
		s.syncDirectories(client, path.Dir(name))
	}
}

// remote is the name of a key on the server.
func (s *fileServer) remote(key string) string { return path.Join(s.spec.Path, key) }

// Location implements Destination. What is below the directory in which the server puts the user begins with /~/, as curl and
// others write it.
func (s *fileServer) Location(key string) string {
	at := url.URL{Scheme: "sftp", User: url.User(s.spec.User), Host: s.spec.Host, Path: s.remote(key)}
	if !path.IsAbs(at.Path) {
		at.Path = path.Join("/~", at.Path)
	}
	if strings.Contains(at.Host, ":") {
		at.Host = "[" + at.Host + "]"
	}
	if s.spec.Port != defaultSSHPort {
		at.Host = s.address
	}
	return at.String()
}

// Close implements Destination. Connections end with their calls.
func (s *fileServer) Close() error { return nil }
