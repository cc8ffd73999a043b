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
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failure.Transient(v1alpha1.ReasonNotWritable, err,
			"the operator has no directory %s; mount a volume there, or name another with --filesystem-root", operatorRoot)
	}
	if err != nil {
		return nil, fileFailure(err, operatorRoot)
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
	probe, err := openPart(ctx, f.root, "probe")
	if err != nil {
		return fileFailure(err, f.path)
	}
	want := rand.Text()
	_, err = probe.WriteString(want)
	if err == nil {
		err = probe.Sync()
	}
	if err == nil {
		var have []byte
		if have, err = f.root.ReadFile(probe.name); err == nil && string(have) != want {
			err = failure.Transient(v1alpha1.ReasonNotWritable, nil, "%s gives back other content than it was given", f.path)
		}
	}
	return fileFailure(errors.Join(err, probe.discard()), f.path)
}

// Put implements Destination. The file is written under a hidden name beside its own, made durable, and renamed. The content
// is read only when the hidden file is there: whoever takes it away later has made sure that it never gets its name.
func (f *filesystem) Put(ctx context.Context, key string, object Object, content io.Reader) error {
	if err := ValidateKey(key); err != nil {
		return err
	}
	if err := f.root.MkdirAll(path.Dir(key), 0o750); err != nil {
		return fileFailure(err, f.path)
	}
	hidden, err := openPart(ctx, f.root, key)
	if err != nil {
		return fileFailure(err, f.path)
	}
	verified := newVerifier(contextReader{ctx, content}, object)
	if _, err := io.Copy(hidden, verified); err != nil {
		discarded := hidden.discard()
		if verified.err != nil {
			return errors.Join(verified.err, discarded)
		}
		return fileFailure(errors.Join(err, discarded), f.path)
	}
	return fileFailure(hidden.publish(key), f.path)
}

// Stat implements Destination: it reads the whole file for its hash.
func (f *filesystem) Stat(ctx context.Context, key string) (Object, error) {
	if err := ValidateKey(key); err != nil {
		return Object{}, err
	}
	file, err := openFile(f.root, key)
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

// Remove implements Destination. It gives whoever writes the object time to finish, and takes with it what a dead writer
// left, and what a stopped one has written so far.
func (f *filesystem) Remove(ctx context.Context, key string) error {
	if err := ValidateKey(key); err != nil {
		return err
	}
	err := clearParts(ctx, f.root, key)
	if err == nil {
		err = f.root.Remove(key)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) { // what is gone must not be there again after a power failure
		err = syncDirectories(f.root, path.Dir(key))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fileFailure(err, f.path)
}

// openFile opens a file to be read, and nothing else: to open a pipe would be to wait for whoever writes to it.
func openFile(root *os.Root, name string) (*os.File, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	found, err := file.Stat()
	if err == nil && !found.Mode().IsRegular() {
		err = errNoFile
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// errNoFile says that what has a file's name is something else.
var errNoFile = errors.New("it is no file")

// openDirectory opens a directory to be read, and nothing else.
func openDirectory(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY, 0)
}

// Location implements Destination.
func (f *filesystem) Location(key string) string {
	return (&url.URL{Scheme: "file", Path: path.Join(filepath.ToSlash(f.path), key)}).String()
}

// Close implements Destination.
func (f *filesystem) Close() error { return f.root.Close() }

// fileFailure says what a person can do about an error of the filesystem.
func fileFailure(err error, where string) error {
	var failed *failure.Error
	switch {
	case err == nil, errors.As(err, &failed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return failure.Transient(v1alpha1.ReasonDestinationFull, err, "the volume of %s is full; make room, and the run goes on", where)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return failure.Transient(v1alpha1.ReasonNotWritable, err, "the operator may not write to %s; check the volume and its owner", where)
	}
	return failure.Transient(v1alpha1.ReasonNotWritable, err, "%s can not be written: %s", where, errnoText(err))
}

// errnoText gives the system's own word for an error, which quotes nothing.
func errnoText(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return "the path leads out of the destination or to something else than a file, or the file changed meanwhile"
}
