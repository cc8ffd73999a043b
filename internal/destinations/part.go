package destinations

import (
	"context"
	"errors"
	"os"
	"path"
	"syscall"
	"time"
)

// turn is how often a writer looks whether another one has finished.
const turn = 20 * time.Millisecond

// part is a hidden file that is being written. Its name follows from the name it will get, so that what a writer left
// that died is written over by the next; its lock lets living writers take turns.
type part struct {
	*os.File
	root *os.Root
	name string
}

// openPart opens an empty part, made where create says so, once no other writer in this process or another has it.
func openPart(ctx context.Context, root *os.Root, name string, create int) (*part, error) {
	ticker := time.NewTicker(turn)
	defer ticker.Stop()
	for {
		file, err := root.OpenFile(name, os.O_WRONLY|create, 0o640)
		if err != nil {
			return nil, err
		}
		p := &part{file, root, name}
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && p.current() {
			if err = file.Truncate(0); err == nil {
				return p, nil
			}
		}
		if closed := errors.Join(err, file.Close()); err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, closed
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

// current is false where the writer before renamed or removed the file that was opened here.
func (p *part) current() bool {
	opened, openedErr := p.Stat()
	named, namedErr := p.root.Lstat(p.name)
	return openedErr == nil && namedErr == nil && os.SameFile(opened, named)
}

// publish makes the part durable, and then visible under a name in the same directory.
func (p *part) publish(name string) error {
	if err := p.Sync(); err != nil {
		return errors.Join(err, p.discard())
	}
	if err := p.root.Rename(p.name, name); err != nil {
		return errors.Join(err, p.discard())
	}
	return errors.Join(syncDirectories(p.root, path.Dir(name)), p.Close())
}

// discard leaves nothing of the part. It is removed before its lock is given back.
func (p *part) discard() error {
	return errors.Join(p.root.Remove(p.name), p.Close())
}

// syncDirectories makes the names in a directory durable, and in those above it, which may be new.
func syncDirectories(root *os.Root, name string) error {
	directory, err := root.Open(name)
	if err != nil {
		return err
	}
	err = directory.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		err = nil // some network filesystems keep names durable by themselves, and say it so
	}
	if err := errors.Join(err, directory.Close()); err != nil || name == "." {
		return err
	}
	return syncDirectories(root, path.Dir(name))
}
