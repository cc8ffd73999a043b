package sftp

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Check implements Destination. It does all that Put, Stat and Remove do, in a directory of its own.
func (s *fileServer) Check(ctx context.Context, directory string) (checked destinations.Checked, err error) {
	err = s.session(ctx, func(client *remoteFiles) (err error) {
		if checked.Marker, err = s.mark(client); errors.Is(err, fs.ErrPermission) {
			checked.Notes = append(checked.Notes, destinations.Unmarked)
		} else if err != nil {
			return s.explain(client, err, 0)
		}
		at := s.remote(directory)
		made, err := makeRemoteDirectories(client, at)
		if err == nil {
			err = s.tryOutIn(ctx, client, at)
		} else {
			err = s.explain(client, err, 0)
		}
		for i := len(made) - 1; i >= 0; i-- { // another one may have a file in it by now, which keeps it
			_ = client.RemoveDirectory(made[i])
		}
		return err
	})
	return checked, err
}

// makeRemoteDirectories makes a directory and those above it, and returns those that were not there.
func makeRemoteDirectories(client *remoteFiles, name string) (made []string, err error) {
	entry, err := client.Stat(name)
	if err == nil && !entry.IsDir() {
		return nil, failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, nil, "%s is a file where the directory of a namespace, an export or a run is to be; move it away", name)
	}
	if !errors.Is(err, fs.ErrNotExist) || path.Dir(name) == name {
		return nil, err
	}
	if made, err = makeRemoteDirectories(client, path.Dir(name)); err != nil {
		return made, err
	}
	refused := client.Mkdir(name)
	if refused == nil {
		return append(made, name), nil
	}
	if _, err = client.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return made, refused
	}
	return made, err // another one was faster
}

func (s *fileServer) tryOutIn(ctx context.Context, client *remoteFiles, at string) error {
	directory := path.Join(at, destinations.ProbePrefix+rand.Text())
	if err := client.Mkdir(directory); err != nil {
		return s.explain(client, err, 0)
	}
	err := s.tryOut(ctx, client, path.Join(directory, "probe"))
	if err := errors.Join(err, removeProbe(client, directory)); err != nil {
		return err
	}
	return s.removeStaleProbes(ctx, client, at)
}

func (s *fileServer) tryOut(ctx context.Context, client *remoteFiles, probe string) error {
	content := rand.Text()
	sum := sha256.Sum256([]byte(content))
	want := destinations.Object{Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	if err := s.put(ctx, client, probe, want, strings.NewReader(content)); err != nil {
		return err
	}
	have, err := read(ctx, client, probe)
	if err == nil && have != want {
		err = failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, nil, "%s returns other content than it was given", s.where())
	}
	return err
}

// removeStaleProbes removes what checks left behind that ended with their operator, or with their connection, as much of it as there is time for.
func (s *fileServer) removeStaleProbes(ctx context.Context, client *remoteFiles, at string) error {
	entries, err := client.ReadDir(at)
	if errors.Is(err, errListing) {
		return nil // what is between so much else stays, and is hidden
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the next check goes on
		}
		if !strings.HasPrefix(entry.Name(), destinations.ProbePrefix) || time.Since(entry.ModTime()) < destinations.ProbeAge {
			continue
		}
		stale := path.Join(at, entry.Name())
		if !entry.IsDir() {
			err = ifThere(client.Remove(stale))
		} else {
			err = removeProbe(client, stale)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeProbe removes the directory of a check with what is in it. Another operator may be faster.
func removeProbe(client *remoteFiles, directory string) error {
	entries, err := client.ReadDir(directory)
	for _, entry := range entries {
		err = errors.Join(err, ifThere(client.Remove(path.Join(directory, entry.Name()))))
	}
	return errors.Join(ifThere(err), ifThere(client.RemoveDirectory(directory)))
}

// Place implements Destination.
func (s *fileServer) Place() string { return s.Location("") }

// Marker implements Destination.
func (s *fileServer) Marker(ctx context.Context) (id string, err error) {
	err = s.session(ctx, func(client *remoteFiles) (err error) {
		id, err = s.readMarker(client)
		return err
	})
	return id, err
}

func (s *fileServer) readMarker(client *remoteFiles) (string, error) {
	file, err := client.Open(s.remote(destinations.MarkerName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // only read
	return destinations.ReadMarker(file, s.where())
}

// mark gives the destination an id if it has none. Of several that do so at once one is first: the protocol's own rename takes
// no name that is taken.
func (s *fileServer) mark(client *remoteFiles) (string, error) {
	id, err := s.readMarker(client)
	if err != nil || id != "" {
		return id, err
	}
	hidden := s.remote(destinations.ProbePrefix + rand.Text())
	file, err := client.OpenFile(hidden, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return "", err
	}
	_, err = file.Write([]byte(destinations.NewMarker()))
	if err == nil {
		err = makeDurable(client, file)
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = client.Rename(hidden, s.remote(destinations.MarkerName))
	}
	if err != nil {
		_ = client.Remove(hidden)
		if id, unread := s.readMarker(client); unread == nil && id != "" { // another one was faster
			return id, nil
		}
		return "", err
	}
	s.syncDirectories(client, path.Clean(s.spec.Path))
	return s.readMarker(client)
}
