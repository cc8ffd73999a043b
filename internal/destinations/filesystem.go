package destinations

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// filesystem keeps objects as files below a directory that no key and no symbolic link can leave: every access goes
// through os.Root.
type filesystem struct {
	root *os.Root
	path string
}

// openFilesystem opens a directory below the operator's root, and makes it where it is missing.
func openFilesystem(operatorRoot, below string) (*filesystem, error) {
	outer, err := os.OpenRoot(operatorRoot)
	if err != nil {
		return nil, failure.Transient(v1alpha1.ReasonNotWritable, err,
			"the operator has no directory %s; mount a volume there, or name another with --filesystem-root", operatorRoot)
	}
	defer func() { _ = outer.Close() }() // the inner root has a descriptor of its own
	if !filepath.IsLocal(below) {
		return nil, failure.Stalled(v1alpha1.ReasonInvalidSpec, nil, "spec.filesystem.path %q leaves the operator's root", below)
	}
	if err := outer.MkdirAll(below, 0o750); err != nil {
		return nil, fileFailure(err, below)
	}
	root, err := outer.OpenRoot(below)
	if err != nil {
		return nil, fileFailure(err, below)
	}
	return &filesystem{root: root, path: filepath.Join(operatorRoot, below)}, nil
}

// Check implements Destination.
func (f *filesystem) Check(ctx context.Context) error {
	probe := ".probe-" + rand.Text()
	if err := f.write(ctx, probe, strings.NewReader(probe)); err != nil {
		return err
	}
	content, err := f.root.ReadFile(probe)
	if err == nil && string(content) != probe {
		err = errors.New("what was written is not what was read")
	}
	return fileFailure(errors.Join(err, f.root.Remove(probe)), f.path)
}

// Put implements Destination. The file is written under a hidden name beside its own, made durable, and renamed.
func (f *filesystem) Put(ctx context.Context, key string, object Object, content io.Reader) error {
	if err := ValidateKey(key); err != nil {
		return err
	}
	directory := path.Dir(key)
	if err := f.root.MkdirAll(directory, 0o750); err != nil {
		return fileFailure(err, f.path)
	}
	// A name of its own for every writer: two at once do not mix, and the last rename wins.
	hidden := path.Join(directory, ".part-"+path.Base(key)+"-"+rand.Text())
	if err := f.write(ctx, hidden, newVerifier(content, object)); err != nil {
		return err
	}
	if err := f.root.Rename(hidden, key); err != nil {
		return fileFailure(errors.Join(err, f.root.Remove(hidden)), f.path)
	}
	return fileFailure(f.syncDirectory(directory), f.path)
}

// write writes a file durably, or leaves nothing of it.
func (f *filesystem) write(ctx context.Context, name string, content io.Reader) (err error) {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return fileFailure(err, f.path)
	}
	defer func() {
		if err != nil {
			err = fileFailure(errors.Join(err, f.root.Remove(name)), f.path)
		}
	}()
	_, err = io.Copy(file, contextReader{ctx, content})
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func (f *filesystem) syncDirectory(name string) error {
	directory, err := f.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// Stat implements Destination: it reads the whole file for its hash.
func (f *filesystem) Stat(ctx context.Context, key string) (Object, error) {
	if err := ValidateKey(key); err != nil {
		return Object{}, err
	}
	file, err := f.root.Open(key)
	if errors.Is(err, fs.ErrNotExist) {
		return Object{}, ErrNotFound
	}
	if err != nil {
		return Object{}, fileFailure(err, f.path)
	}
	defer func() { _ = file.Close() }() // only read
	found, err := describe(contextReader{ctx, file})
	return found, fileFailure(err, f.path)
}

// Remove implements Destination.
func (f *filesystem) Remove(_ context.Context, key string) error {
	if err := ValidateKey(key); err != nil {
		return err
	}
	if err := f.root.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileFailure(err, f.path)
	}
	return nil
}

// Location implements Destination.
func (f *filesystem) Location(key string) string {
	return (&url.URL{Scheme: "file", Path: path.Join(filepath.ToSlash(f.path), key)}).String()
}

// Close implements Destination.
func (f *filesystem) Close() error { return f.root.Close() }

// fileFailure says what a person can do about an error of the filesystem.
func fileFailure(err error, where string) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return failure.Transient(v1alpha1.ReasonDestinationFull, err, "the volume of %s is full; make room, and the run goes on", where)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return failure.Transient(v1alpha1.ReasonNotWritable, err, "the operator may not write to %s; check the volume and its owner", where)
	}
	var refused *failure.Error
	if errors.As(err, &refused) {
		return err
	}
	return failure.Transient(v1alpha1.ReasonNotWritable, err, "%s can not be written: %s", where, errnoText(err))
}

// errnoText gives the system's own word for an error, which quotes nothing.
func errnoText(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return "the path leads out of the destination, or the file changed meanwhile"
}
