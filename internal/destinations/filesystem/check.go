package filesystem

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Check implements Destination.
func (f *filesystem) Check(ctx context.Context, directory string) (checked destinations.Checked, err error) {
	if f.unmarked {
		return checked, f.probed(ctx, directory)
	}
	if checked.Marker, err = f.mark(ctx); errors.Is(err, fs.ErrPermission) {
		checked.Notes = append(checked.Notes, destinations.Unmarked)
	} else if err != nil {
		return checked, fileFailure(err, f.path)
	}
	return checked, f.probed(ctx, directory)
}

// probed says which directory refuses what a run does in one.
func (f *filesystem) probed(ctx context.Context, directory string) error {
	err := f.tryOut(ctx, directory)
	where := path.Join(f.path, directory)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		where = f.refusing(path.Join(directory, destinations.ProbePrefix))
	}
	return fileFailure(err, where)
}

// tryOut makes a directory, writes a file in it as a run does, and removes all that was not there before.
func (f *filesystem) tryOut(ctx context.Context, directory string) (err error) {
	probe := path.Join(directory, destinations.ProbePrefix+rand.Text())
	made, err := f.makeDirectories(probe)
	defer func() {
		for i := len(made) - 1; i >= 0; i-- { // another one may have a file in it by now, which keeps it
			removed := f.root.Remove(made[i])
			if i == len(made)-1 && err == nil && !missing(removed) {
				err = removed
			}
		}
	}()
	if err != nil {
		return err
	}
	name := path.Join(probe, "probe")
	file, err := openPart(ctx, f.root, name)
	if err != nil {
		return err
	}
	want := rand.Text()
	if _, err := file.WriteString(want); err != nil {
		return errors.Join(err, file.discard())
	}
	if err := file.publish(name); err != nil {
		return err
	}
	return errors.Join(f.hasContent(name, want), f.root.Remove(name))
}

// hasContent reads a file back, whatever has its name by now: a pipe, or a file without an end.
func (f *filesystem) hasContent(name, want string) error {
	file, err := openFile(f.root, name)
	if err != nil {
		return err
	}
	have, err := io.ReadAll(io.LimitReader(file, int64(len(want))+1))
	if err == nil && string(have) != want {
		err = failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, nil, "%s returns other content than it was given", f.path)
	}
	return errors.Join(err, file.Close())
}

// makeDirectories makes a directory and those above it, and returns those that were not there, the last the innermost. Another
// check may remove what it has made of them meanwhile.
func (f *filesystem) makeDirectories(name string) (made []string, err error) {
	for range 5 {
		at := ""
		for element := range strings.SplitSeq(name, "/") {
			at = path.Join(at, element)
			if err = f.root.Mkdir(at, 0o750); err == nil {
				made = append(made, at)
			} else if !errors.Is(err, fs.ErrExist) {
				break
			}
			err = nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return made, err
		}
	}
	return made, err
}

// Marker implements Destination.
func (f *filesystem) Marker(context.Context) (string, error) {
	id, err := f.readMarker()
	return id, fileFailure(err, f.path)
}

func (f *filesystem) readMarker() (string, error) {
	file, err := openFile(f.root, destinations.MarkerName)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // only read
	return destinations.ReadMarker(file, f.path)
}

// mark gives the destination an id if it has none. Of several that do so at once one is first; it appears whole, and is never
// replaced.
func (f *filesystem) mark(ctx context.Context) (string, error) {
	id, err := f.readMarker()
	if err != nil || id != "" {
		return id, err
	}
	hidden, err := openPart(ctx, f.root, strings.TrimPrefix(destinations.MarkerName, "."))
	if err != nil {
		return "", err
	}
	_, err = hidden.WriteString(destinations.NewMarker())
	if err == nil {
		err = hidden.Sync()
	}
	if err == nil {
		err = f.nameMarker(hidden)
	}
	if err := errors.Join(err, hidden.discard()); err != nil {
		return "", err
	}
	return f.readMarker() // which may be another one's
}

// nameMarker gives a part the marker's name, unless there is one.
func (f *filesystem) nameMarker(hidden *part) error {
	err := f.root.Link(hidden.name, destinations.MarkerName)
	if errors.Is(err, os.ErrExist) {
		err = nil
	}
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EMLINK) { // no links there
		err = f.root.Rename(hidden.name, destinations.MarkerName)
	}
	return errors.Join(err, syncDirectories(f.root, "."))
}
