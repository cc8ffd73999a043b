package destinations

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// Settings are the operator's own: they bound what a resource may ask for.
type Settings struct {
	// FilesystemRoot is the directory that holds every filesystem destination, below the namespace of its ExportDestination.
	FilesystemRoot string
	// SharedPaths lets the path of a filesystem destination begin at FilesystemRoot, whichever namespace names it.
	SharedPaths bool
	// Unmarked lets a filesystem destination have no marker: what is rendered there is for the person who asked for it.
	Unmarked bool
	// AllowPlainHTTP lets buckets be reached without TLS.
	AllowPlainHTTP bool
}

const (
	// abortGrace is how long undoing what was begun may take when a context has ended.
	abortGrace = 3 * time.Second
	// probePrefix is what the name of a check's object begins with, or of its directory.
	probePrefix = ".ledgerport-probe-"
	// probeAge is when no check can be at work on its object any more.
	probeAge = time.Hour
)

// Keys are what a destination logs in with: those of its kind.
type Keys struct {
	S3   S3Keys
	SFTP SFTPKeys
}

// S3Keys are the access key of an S3 destination. Without an id the operator's own identity is
// used: whether it may be is the caller's to say.
type S3Keys struct {
	AccessKeyID, SecretAccessKey string
}

// SFTPKeys are what a user of an SFTP server logs in with: a private key, as ssh-keygen writes it, with its passphrase if it
// has one; a password; or both.
type SFTPKeys struct {
	PrivateKey, Passphrase, Password []byte
}

// Open opens the destination that the ExportDestination of a namespace describes. It does not touch it yet, beyond making a
// filesystem's directory. Whatever host the spec names is reached as far as the policy allows.
func Open(ctx context.Context, namespace string, spec v1alpha1.ExportDestinationSpec, keys Keys, settings Settings, policy *outbound.Policy) (Destination, error) {
	switch {
	case spec.Filesystem != nil:
		return openFilesystem(settings, namespace, spec.Filesystem.Path)
	case spec.S3 != nil && !Encrypted(spec) && !settings.AllowPlainHTTP:
		return nil, failure.Stalled(v1alpha1.ReasonNotEncrypted, nil,
			"spec.s3.endpoint %s is plain HTTP: anyone in between can read and change what is delivered. Use https://; an administrator can allow it with --allow-plain-http", spec.S3.Endpoint)
	case spec.S3 != nil:
		return openS3(ctx, *spec.S3, spec.Retention, keys.S3, policy)
	case spec.SFTP != nil:
		return openSFTP(*spec.SFTP, keys.SFTP, policy)
	}
	return nil, failure.Stalled(v1alpha1.ReasonInvalidSpec, nil, "the ExportDestination names no kind of destination; give spec.filesystem, spec.s3 or spec.sftp")
}

// Encrypted reports whether what is delivered is encrypted on its way to a server. It is not asked of a filesystem.
func Encrypted(spec v1alpha1.ExportDestinationSpec) bool {
	return spec.S3 == nil || !strings.HasPrefix(strings.ToLower(spec.S3.Endpoint), "http:")
}

// Validate says what the schema cannot say of a spec.
func Validate(spec v1alpha1.ExportDestinationSpec) error {
	if spec.SFTP == nil {
		return nil
	}
	_, err := knownHostKeys(spec.SFTP.KnownHosts)
	return err
}

// contextReader ends reading when the context does.
type contextReader struct {
	ctx context.Context //nolint:containedctx // io.Reader has no room for it
	io.Reader
}

// Read implements io.Reader.
func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// afterGrace returns a context that outlives another by the time that undoing may take.
func afterGrace(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(abortGrace, cancel) })
	return longer, func() { stop(); cancel() }
}
