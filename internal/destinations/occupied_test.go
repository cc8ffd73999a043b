package destinations_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/test/testsftp"
)

// TestANameThatIsTakenBySomethingElseIsLeftAlone has what is no file where an object should be: it is told from an object and
// from nothing, and stays, so that a run can end.
func TestANameThatIsTakenBySomethingElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	occupants := map[string]struct {
		make func(at string) error
		says error
	}{
		"a directory":                      {func(at string) error { return os.Mkdir(at, 0o777) }, destinations.ErrOccupied},
		"a pipe":                           {func(at string) error { return syscall.Mkfifo(at, 0o666) }, destinations.ErrOccupied},
		"a link to nothing":                {func(at string) error { return os.Symlink("nowhere", at) }, destinations.ErrOccupied},
		"a link to a file":                 {func(at string) error { return os.Symlink("/etc/hostname", at) }, destinations.ErrOccupied},
		"a link to itself":                 {func(at string) error { return os.Symlink(filepath.Base(at), at) }, destinations.ErrOccupied},
		"a file in place of the directory": {func(at string) error { return replace(filepath.Dir(at), os.Create) }, destinations.ErrNotFound},
		"a pipe in place of the directory": {func(at string) error {
			return errors.Join(os.Remove(filepath.Dir(at)), syscall.Mkfifo(filepath.Dir(at), 0o666))
		}, destinations.ErrNotFound},
		"a file in place of the export's":   {func(at string) error { return replace(filepath.Dir(filepath.Dir(at)), os.Create) }, destinations.ErrNotFound},
		"nothing in place of the directory": {func(at string) error { return os.Remove(filepath.Dir(at)) }, destinations.ErrNotFound},
	}
	for kind, place := range map[string]func(*testing.T) (destinations.Destination, string){
		"filesystem": func(t *testing.T) (destinations.Destination, string) {
			root := t.TempDir()
			return open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, destinations.Keys{}, root), filepath.Join(root, "acme")
		},
		"sftp": func(t *testing.T) (destinations.Destination, string) {
			account := testsftp.New(t)
			return subjectOf(t, account).Destination, account.Directory
		},
	} {
		for name, occupant := range occupants {
			t.Run(kind+": "+name, func(t *testing.T) {
				t.Parallel()
				d, directory := place(t)
				at := filepath.Join(directory, filepath.FromSlash(key))
				must(t, os.MkdirAll(filepath.Dir(at), 0o777))
				must(t, occupant.make(at))
				if found, err := d.Stat(t.Context(), key); !errors.Is(err, occupant.says) {
					t.Errorf("found %+v (%v), want %v", found, err, occupant.says)
				}
				must(t, d.Remove(t.Context(), key, describe("content")))
				if _, err := os.Lstat(at); (err == nil) != errors.Is(occupant.says, destinations.ErrOccupied) {
					t.Errorf("after the removal: %v", err)
				}
			})
		}
	}
}

// replace removes an empty directory, with one in it, and makes something else of its name.
func replace(directory string, by func(string) (*os.File, error)) error {
	if err := os.RemoveAll(directory); err != nil {
		return err
	}
	file, err := by(directory)
	if err != nil {
		return err
	}
	return file.Close()
}

// TestACheckSeesWhatARunMeets has the directory in which a run will make its own be none, or not writable.
func TestACheckSeesWhatARunMeets(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, destinations.Keys{}, root)
	must(t, os.WriteFile(filepath.Join(root, "acme", "tenant"), nil, 0o600))
	must(t, check(t.Context(), d))
	_, err := d.Check(t.Context(), "tenant/monthly")
	expectFailure(t, err, v1alpha1.ReasonNotWritable)
	if err != nil && !strings.Contains(err.Error(), filepath.Join(root, "acme", "tenant", "monthly")) {
		t.Errorf("%q does not name the directory", err)
	}
}

// TestPathsOfNamespacesDoNotMeet has a tenant name the directory of another tenant's next file as its destination.
func TestPathsOfNamespacesDoNotMeet(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, path := range []string{".", "victim", "victim/books/monthly/monthly-1/monthly-1.csv", "./victim", "a/b"} {
		d, err := destinations.Open(t.Context(), "attacker", v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: path}},
			destinations.Keys{}, destinations.Settings{FilesystemRoot: root}, nil)
		if err != nil {
			continue // such a path is not taken at all
		}
		must(t, check(t.Context(), d))
		must(t, d.Put(t.Context(), key, describe("x"), strings.NewReader("x")))
		must(t, d.Close())
	}
	for _, namespace := range []string{"", "..", ".", "a/b", "../victim"} {
		if d, err := destinations.Open(t.Context(), namespace, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}},
			destinations.Keys{}, destinations.Settings{FilesystemRoot: root}, nil); err == nil {
			t.Errorf("the namespace %q was opened: %s", namespace, d.Location("x"))
		}
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 1 || entries[0].Name() != "attacker" {
		t.Errorf("in the operator's root there is %v (%v), want the namespace's directory alone", entries, err)
	}
}

// TestAnotherVolumeHasAnotherMarker replaces the volume under a path.
func TestAnotherVolumeHasAnotherMarker(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	spec := v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}
	first := open(t, spec, destinations.Keys{}, root)
	marked, err := first.Check(t.Context(), "")
	must(t, err)
	must(t, os.Rename(filepath.Join(root, "acme"), filepath.Join(root, "old")))
	second := open(t, spec, destinations.Keys{}, root)
	if id, err := second.Marker(t.Context()); id != "" || err != nil {
		t.Errorf("the empty volume has the marker %q (%v)", id, err)
	}
	other, err := second.Check(t.Context(), "")
	if err != nil || other.Marker == marked.Marker || first.Place() != second.Place() {
		t.Errorf("the markers are %q and %q (%v)", marked.Marker, other.Marker, err)
	}
	must(t, os.WriteFile(filepath.Join(root, "acme", markerName), []byte("a person's note"), 0o600))
	expectFailure(t, check(t.Context(), second), v1alpha1.ReasonNotWritable)
}
