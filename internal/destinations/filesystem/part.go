package filesystem

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

// turn is how often a writer looks whether another one has finished.
const turn = 20 * time.Millisecond

// part is a hidden file that is being written, beside the name that it will get. Its own name is its writer's alone, so
// that a writer whose part was taken away cannot publish anything any more. Its lock says that the writer lives.
type part struct {
	*os.File
	root *os.Root
	name string
}

// openPart opens an empty part of a name, once the parts of others are gone.
func openPart(ctx context.Context, root *os.Root, of string) (*part, error) {
	if err := clearParts(ctx, root, of); err != nil {
		return nil, err
	}
	for ctx.Err() == nil {
		name := destinations.PartPrefix(of) + rand.Text()
		file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
		if err != nil {
			return nil, err
		}
		p := &part{file, root, name}
		taken, err := tryLock(file, true)
		if err == nil && !taken && p.current() {
			return p, nil
		}
		// Another writer looked at the part before it was locked.
		if discarded := p.discard(); err != nil || discarded != nil {
			return nil, errors.Join(err, discarded)
		}
	}
	return nil, ctx.Err()
}

// current is false where another writer took the part away.
func (p *part) current() bool {
	_, err := p.root.Lstat(p.name)
	return err == nil
}

// clearParts removes the parts of a name: those of dead writers at once, those of others when they had time to finish.
func clearParts(ctx context.Context, root *os.Root, of string) error {
	ticker := time.NewTicker(turn)
	defer ticker.Stop()
	enough := time.After(destinations.Patience)
	for forced := false; ; {
		held, err := removeParts(ctx, root, of, forced)
		if err != nil || held == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-enough:
			forced = ctx.Err() == nil
		case <-ticker.C:
		}
	}
}

// removeParts removes the parts of a name and counts those that it left to their writers, as far as it looked at them.
func removeParts(ctx context.Context, root *os.Root, of string, forced bool) (held int, err error) {
	for {
		parts, err := partsOf(ctx, root, of)
		if err != nil {
			return 0, err
		}
		held = 0
		for _, name := range parts {
			if !forced && inUse(root, name) {
				held++
				continue
			}
			if err := root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				return held, err
			}
		}
		if len(parts) < mostParts || held == len(parts) {
			return held, nil
		}
	}
}

const (
	// mostParts of a name are in memory at once. A writer that dies leaves one.
	mostParts = 256
	// namesAtOnce are read of a directory, which may have millions of them.
	namesAtOnce = 1024
)

// partsOf returns the parts of a name, the first mostParts of them.
func partsOf(ctx context.Context, root *os.Root, of string) (parts []string, err error) {
	directory, err := openDirectory(root, path.Dir(of))
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, os.ErrNotExist // nothing of ours is where there is no directory
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, directory.Close()) }()
	for ctx.Err() == nil {
		names, err := directory.Readdirnames(namesAtOnce)
		for _, name := range names {
			name = path.Join(path.Dir(of), name)
			if random, is := strings.CutPrefix(name, destinations.PartPrefix(of)); is && !strings.Contains(random, ".") { // else the part of a longer name
				parts = append(parts, name)
			}
			if len(parts) == mostParts {
				return parts, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, ctx.Err()
}

// inUse reports whether a writer holds a part.
func inUse(root *os.Root, name string) bool {
	file, err := openFile(root, name)
	if err != nil {
		return false // published or discarded meanwhile, or not a writer's
	}
	defer func() { _ = file.Close() }() // which gives the lock back
	taken, err := tryLock(file, false)
	return taken && err == nil
}

// publish makes the part durable, and then visible under a name in the same directory. It fails where the part was taken
// away.
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
	err := p.root.Remove(p.name)
	if errors.Is(err, os.ErrNotExist) {
		err = nil // it was taken away
	}
	return errors.Join(err, p.Close())
}

// syncDirectories makes the names in a directory durable, and in those above it, which may be new.
func syncDirectories(root *os.Root, name string) error {
	directory, err := openDirectory(root, name)
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
