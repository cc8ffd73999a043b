package filesystem

import (
	"context"
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
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// filesystem keeps objects as files below a directory that no key and no symbolic link can leave: every access goes
// through os.Root.
type filesystem struct {
	root     *os.Root
	path     string
	unmarked bool
}

// open opens the directory of a namespace's destination below the operator's root, and makes it if it is missing. The namespace's own
// directory is a root by itself: the owner of a volume there may have made a link in it to what another namespace has.
func open(settings Settings, namespace, below string) (*filesystem, error) {
	operatorRoot := settings.Root
	outer, err := os.OpenRoot(operatorRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err,
			"the operator has no directory %s; mount a volume there, or name another with %s", operatorRoot, settings.rootFlag())
	}
	if err != nil {
		return nil, fileFailure(err, operatorRoot)
	}
	defer func() { _ = outer.Close() }() // the inner root has a descriptor of its own
	if !filepath.IsLocal(below) {
		return nil, failure.OnDestination.Stalled(v1alpha1.ReasonInvalidSpec, nil, "spec.filesystem.path %q leaves the operator's root", below)
	}
	own, where := outer, filepath.Join(operatorRoot, below)
	if !settings.SharedPaths {
		if destinations.ValidateKey(namespace) != nil || strings.Contains(namespace, "/") {
			return nil, failure.OnDestination.Stalled(v1alpha1.ReasonInvalidSpec, nil, "the namespace %q is not the name of a directory", namespace)
		}
		where = filepath.Join(operatorRoot, namespace, below)
		if own, err = openWithin(outer, namespace, settings.Existing); err != nil {
			return nil, fileFailure(err, where)
		}
		defer func() { _ = own.Close() }()
	}
	root, err := openWithin(own, below, settings.Existing)
	if err != nil {
		return nil, fileFailure(err, where)
	}
	return &filesystem{root: root, path: where, unmarked: settings.unmarked}, nil
}

// openWithin opens a directory as a root, and makes it unless it has to exist.
func openWithin(outer *os.Root, name string, existing bool) (*os.Root, error) {
	if !existing {
		if err := outer.MkdirAll(name, 0o750); err != nil {
			return nil, err
		}
	}
	return outer.OpenRoot(name)
}

// Place implements Destination.
func (f *filesystem) Place() string { return f.Location("") }

// Put implements Destination. The file is written under a hidden name beside its own, made durable, and renamed. The content
// is read only when the hidden file is there: the process that takes it away later has made sure that it never gets its name.
func (f *filesystem) Put(ctx context.Context, key string, _ destinations.Object, content io.Reader) error {
	hidden, err := f.makePart(ctx, key)
	if err != nil {
		return fileFailure(err, f.refusing(key))
	}
	if _, err := io.Copy(hidden, content); err != nil {
		return fileFailure(errors.Join(err, hidden.discard()), f.refusing(key))
	}
	return fileFailure(hidden.publish(key), f.refusing(key))
}

// makePart makes the directory of a key and a hidden file in it. A check that ends may remove a directory that it has made, as
// long as it is empty.
func (f *filesystem) makePart(ctx context.Context, key string) (hidden *part, err error) {
	for range 5 {
		err = f.root.MkdirAll(path.Dir(key), 0o750)
		if err == nil {
			hidden, err = openPart(ctx, f.root, key)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return hidden, err
		}
	}
	return nil, err
}

// Stat implements Destination: it reads the whole file for its hash.
func (f *filesystem) Stat(ctx context.Context, key string) (destinations.Object, error) {
	found, _, err := f.look(ctx, key)
	return found, fileFailure(err, f.refusing(key))
}

// look describes a file, also as the system knows it.
func (f *filesystem) look(ctx context.Context, key string) (destinations.Object, os.FileInfo, error) {
	entry, err := f.root.Lstat(key)
	switch {
	case missing(err):
		return destinations.Object{}, nil, destinations.ErrNotFound
	case err != nil:
		return destinations.Object{}, nil, err
	case !entry.Mode().IsRegular():
		return destinations.Object{}, nil, destinations.ErrOccupied
	}
	file, err := openFile(f.root, key)
	if missing(err) {
		return destinations.Object{}, nil, destinations.ErrNotFound
	}
	if err != nil {
		return destinations.Object{}, nil, err
	}
	defer func() { _ = file.Close() }() // only read
	if entry, err = file.Stat(); err != nil {
		return destinations.Object{}, nil, err
	}
	found, err := destinations.Describe(ctx, file)
	return found, entry, err
}

// missing reports whether there is nothing of a name: where a directory should be there is none, or something else, or no file can have it.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}

// Remove implements Destination. It gives an attempt that writes the object time to finish, and takes with it what a dead writer
// left, and what a stopped one has written so far.
func (f *filesystem) Remove(ctx context.Context, key string, object destinations.Object) error {
	err := clearParts(ctx, f.root, key)
	if err == nil {
		err = f.removeIf(ctx, key, object)
	}
	if err == nil { // what is gone must not be there again after a power failure
		err = syncDirectories(f.root, path.Dir(key))
	}
	if missing(err) {
		return nil
	}
	return fileFailure(err, f.refusing(key))
}

// removeIf removes a file that is an object, and still the one that was looked at.
func (f *filesystem) removeIf(ctx context.Context, key string, object destinations.Object) error {
	found, entry, err := f.look(ctx, key)
	if errors.Is(err, destinations.ErrNotFound) || errors.Is(err, destinations.ErrOccupied) {
		return nil
	}
	if err != nil || !found.Same(object) {
		return err
	}
	now, err := f.root.Lstat(key)
	if err != nil || !os.SameFile(entry, now) {
		return err
	}
	return f.root.Remove(key)
}

// refusing is the innermost directory of those that lead to a key which exists, and so the one that refuses what is done with the key.
func (f *filesystem) refusing(key string) string {
	for at := path.Dir(key); at != "."; at = path.Dir(at) {
		if found, err := f.root.Lstat(at); err == nil && found.IsDir() {
			return path.Join(filepath.ToSlash(f.path), at)
		}
	}
	return f.path
}

// openFile opens a file to be read, and nothing else: to open a pipe would be to wait for its writer.
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
	return root.OpenFile(name, os.O_RDONLY|directoryOnly, 0)
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
	case err == nil, errors.As(err, &failed), errors.Is(err, destinations.ErrNotFound), errors.Is(err, destinations.ErrOccupied), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return failure.OnDestination.Transient(v1alpha1.ReasonDestinationFull, err, "the volume of %s is full; make room, and the run goes on", where)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err, "the operator may not use the directory %s; check the volume, and the owner and the mode of that directory", where)
	}
	return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err, "%s cannot be used: %s", where, errnoText(err))
}

// errnoText returns the system's own word for an error, which quotes nothing.
func errnoText(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return "the path leads out of the destination or to something else than a file, or the file changed meanwhile"
}
