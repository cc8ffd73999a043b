package filesystem_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// TestACheckSeesWhatARunMeets has the directory in which a run will make its own be none, or not writable.
func TestACheckSeesWhatARunMeets(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, root)
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
		d, err := tryOpen(t, "attacker", v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: path}}, root)
		if err != nil {
			continue // such a path is not taken at all
		}
		must(t, check(t.Context(), d))
		must(t, d.Put(t.Context(), key, describe("x"), strings.NewReader("x")))
		must(t, d.Close())
	}
	for _, namespace := range []string{"", "..", ".", "a/b", "../victim"} {
		if d, err := tryOpen(t, namespace, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, root); err == nil {
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
	first := open(t, spec, root)
	marked, err := first.Check(t.Context(), "")
	must(t, err)
	must(t, os.Rename(filepath.Join(root, "acme"), filepath.Join(root, "old")))
	second := open(t, spec, root)
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
