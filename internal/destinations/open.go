package destinations

import (
	"context"
	"io"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// Settings are the operator's own: they bound what a resource may ask for.
type Settings struct {
	// FilesystemRoot is the directory that holds every filesystem destination.
	FilesystemRoot string
}

// S3Keys are the access key of an S3 destination. Without an id the operator's own identity is
// used: whether it may be is the caller's to say.
type S3Keys struct {
	AccessKeyID, SecretAccessKey string
}

// Open opens the destination that a spec describes. It does not touch it yet, beyond making a filesystem's directory.
// Whatever host the spec names is reached as far as the policy allows.
func Open(ctx context.Context, spec v1alpha1.ExportDestinationSpec, keys S3Keys, settings Settings, policy *outbound.Policy) (Destination, error) {
	switch {
	case spec.Filesystem != nil:
		return openFilesystem(settings.FilesystemRoot, spec.Filesystem.Path)
	case spec.S3 != nil:
		return openS3(ctx, *spec.S3, keys, policy)
	}
	return nil, failure.Stalled(v1alpha1.ReasonInvalidSpec, nil, "the ExportDestination names no kind of destination; give spec.filesystem or spec.s3")
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
