package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Codes of later versions of the protocol that servers of version 3 answer with all the same.
// draft-ietf-secsh-filexfer-13, section 9.1
const (
	statusNoSpace       = 14
	statusQuotaExceeded = 15
)

// failure says what a person can do about an error of an SFTP server, or of the way to it.
func (s *fileServer) failure(ctx context.Context, err error) error {
	if known, explained := destinations.Explained(ctx, err, s.where()); known {
		return explained
	}
	var refused *sftp.StatusError
	var short *shortError
	switch {
	case errors.Is(err, fs.ErrPermission):
		return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err,
			"the user %s may not make, write, read, rename, list and remove files and directories in %s; correct their owner, or the server's settings", s.spec.User, s.where())
	case errors.Is(err, fs.ErrNotExist):
		return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err, "%s was changed by somebody else in the middle of writing", s.where())
	case errors.Is(err, errAnswer):
		return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err, "%s does not answer what it is asked: it says that all is well, and nothing else", s.where())
	case errors.Is(err, errListing):
		return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err, "a directory in %s has more names than can be listed (%d MiB of them); move away what is not ours", s.where(), mostListed>>20)
	case errors.Is(err, errNoAnswer):
		return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err, "%s cannot be used: %s", s.where(), errNoAnswer)
	case errors.As(err, &short):
		return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err, "%s has confirmed a file, and not kept all of it", s.where())
	case errors.As(err, &refused):
		return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err, "%s cannot be written: the server refuses it (code %d); its own log says why", s.where(), refused.Code)
	}
	return failure.OnDestination.Transient(v1alpha1.ReasonDestinationUnreachable, err, "%s cannot be reached: %s", s.where(), destinations.Unreached(err, "spec.sftp.host and port"))
}

// explain finds out whether a server has refused to take so many bytes because it has no room: OpenSSH has no code for that.
func (s *fileServer) explain(client *remoteFiles, err error, size int64) error {
	var refused *sftp.StatusError
	if !errors.As(err, &refused) {
		return err
	}
	full := refused.Code == statusNoSpace || refused.Code == statusQuotaExceeded
	if _, can := client.HasExtension(extensionStatVFS); can && !full {
		volume, unknown := client.StatVFS(s.spec.Path)
		full = unknown == nil && volume != nil && (volume.Bavail == 0 || volume.Bavail*volume.Frsize < uint64(max(size, 0)) || volume.Files > 0 && volume.Favail == 0)
	}
	if full {
		return failure.OnDestination.Transient(v1alpha1.ReasonDestinationFull, err, "%s is full; make room, and the run goes on", s.where())
	}
	return err
}

// failure says why the user is not logged in.
func (l *login) failure(err error) error {
	var unknown *unknownHostKeyError
	var apart *ssh.AlgorithmNegotiationError
	s := l.server
	switch {
	case errors.As(err, &unknown):
		return failure.OnDestination.Transient(v1alpha1.ReasonHostKeyMismatch, err,
			"the server %s has the host key %s (%s), which is not in spec.sftp.knownHosts; nothing was sent to it. If its owner confirms that key, put it there; if not, somebody stands in between",
			s.address, ssh.FingerprintSHA256(unknown.key), unknown.key.Type())
	case errors.As(err, &apart) && apart.What == "host key":
		return failure.OnDestination.Transient(v1alpha1.ReasonHostKeyMismatch, err,
			"the server %s has no host key of a type that is in spec.sftp.knownHosts; nothing was sent to it. Put all of its keys there that its owner confirms", s.address)
	case errors.As(err, &apart):
		return failure.OnDestination.Transient(v1alpha1.ReasonDestinationUnreachable, err, "the server %s speaks SSH in an old way that is not safe any more (%s)", s.address, apart.What)
	case errors.Is(err, errNothingLeft), l.asked && !disconnected(err):
		return failure.OnCredentials.Transient(v1alpha1.ReasonLoginRefused, err, "the server %s does not let the user %s in with %s; correct spec.sftp.user, or %s",
			s.address, s.spec.User, l.offer(), s.inSecret(l.offered()...))
	case !l.identified && errors.Is(err, io.EOF):
		return failure.OnDestination.Transient(v1alpha1.ReasonDestinationUnreachable, err,
			"the server %s ends the connection before it says who it is; is it one of SFTP, and does it let the operator's address in?", s.address)
	}
	return err
}

// disconnected reports whether an error is one of the connection, and not an answer of the server.
func disconnected(err error) bool {
	var network net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &network)
}

// offer names what the user logs in with.
func (l *login) offer() string {
	switch {
	case l.server.signer == nil:
		return "its password"
	case l.server.password == "":
		return "its private key, whose public key is " + ssh.FingerprintSHA256(l.server.signer.PublicKey())
	}
	return "its private key and its password"
}

// offered are the keys of the Secret that have what the user logs in with.
func (l *login) offered() (keys []string) {
	named := secretKeys(&l.server.spec)
	if l.server.signer != nil {
		keys = append(keys, named.PrivateKeyKey)
	}
	if l.server.signer == nil || l.server.password != "" {
		keys = append(keys, named.PasswordKey)
	}
	return keys
}

// inSecret names keys of the Secret that the user logs in with.
func (s *fileServer) inSecret(keys ...string) string {
	ref, _ := locate(&v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{SFTP: &s.spec}}) // it never fails
	return ref.Named(keys...)
}

// noSubsystem says that a server lets the user log in, and offers no files.
func (s *fileServer) noSubsystem(err error) error {
	return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err,
		"the server %s lets the user %s in, and does not speak SFTP; its own log says why. OpenSSH wants a Subsystem sftp, and every directory down to ChrootDirectory to be root's and writable for nobody else",
		s.address, s.spec.User)
}

// where names the directory and the server, for people.
func (s *fileServer) where() string {
	return fmt.Sprintf("the directory %s (%s)", s.spec.Path, s.address)
}
