package sftp

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/pkg/sftp"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

// glance is how often a writer looks at an SFTP server whether another one has finished.
const glance = 100 * time.Millisecond

// remotePart is what is known of a part that another writer has at an SFTP server.
type remotePart struct {
	size  int64
	since time.Time // when it was first seen with that size
}

// clearRemoteParts removes the parts of a name. There are no locks at an SFTP server by which to know dead writers: the attempt that
// has written nothing for as long as the patience lasts is dead, or stopped, and has nothing left to publish when it wakes up.
func clearRemoteParts(ctx context.Context, client *remoteFiles, of string) error {
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for known := map[string]remotePart{}; ; {
		sizes, err := remoteParts(client, of)
		if err != nil || len(sizes) == 0 {
			return err
		}
		for name, size := range sizes {
			if last, is := known[name]; !is || last.size != size {
				known[name] = remotePart{size, time.Now()}
			} else if time.Since(last.since) >= destinations.Patience {
				if err := ifThere(client.Remove(name)); err != nil {
					return err
				}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// remoteParts returns the parts of a name with their sizes; none where its directory does not exist.
func remoteParts(client *remoteFiles, of string) (map[string]int64, error) {
	entries, err := client.ReadDir(path.Dir(of))
	if err != nil {
		return nil, ifThere(err)
	}
	sizes := map[string]int64{}
	for _, entry := range entries {
		name := path.Join(path.Dir(of), entry.Name())
		random, is := strings.CutPrefix(name, destinations.PartPrefix(of))
		if is && !strings.Contains(random, ".") { // else the part of a longer name
			sizes[name] = entry.Size()
		}
	}
	return sizes, nil
}

// write makes a part of content, whole and durable. The content is read only when the part is there: the process that takes it away
// later has made sure that it never gets its name.
func write(client *remoteFiles, hidden string, size int64, content io.Reader) error {
	file, err := client.OpenFile(hidden, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	_, err = file.ReadFromWithConcurrency(content, 0) // in any order, which does not matter to a part
	if err == nil {
		err = makeDurable(client, file)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	written, err := client.Lstat(hidden)
	if err == nil && written.Size() != size {
		err = &shortError{}
	}
	return err
}

// shortError says that a server has confirmed every write, and has another number of bytes.
type shortError struct{}

func (*shortError) Error() string { return "the file at the server has another size than was written" }

// makeDurable is fsync where the server can.
func makeDurable(client *remoteFiles, file *sftp.File) error {
	if _, can := client.HasExtension(extensionFsync); !can {
		return nil
	}
	return file.Sync()
}

// publish makes a part visible under a name in the same directory. It fails where the part was taken away.
//
// Without the extension a rename fails where the name is taken (draft-ietf-secsh-filexfer-02, section 6.5). If it is taken by
// the same object, nothing is left to do. Another one is removed before, so that for a moment there is none.
func publish(ctx context.Context, client *remoteFiles, hidden, name string, object destinations.Object) error {
	if _, can := client.HasExtension(extensionPosixRename); can {
		return client.PosixRename(hidden, name)
	}
	for ctx.Err() == nil {
		refused := client.Rename(hidden, name)
		if refused == nil {
			return nil
		}
		have, err := read(ctx, client, name)
		if errors.Is(err, fs.ErrNotExist) {
			return refused // for another reason
		}
		if err != nil {
			return err
		}
		if have.Size == object.Size && have.SHA256 == object.SHA256 {
			return client.Remove(hidden)
		}
		if err := ifThere(client.Remove(name)); err != nil {
			return err
		}
	}
	return ctx.Err()
}
