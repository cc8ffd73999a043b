package filesystem_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/destinations/conformance"
	"github.com/ledgerport/ledgerport/internal/destinations/filesystem"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Test(t, filesystem.New(filesystem.Settings{}), onFilesystem)
}

func TestMemory(t *testing.T) { conformance.TestMemory(t, onFilesystem(t)) }

func TestANameThatIsTakenBySomethingElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	conformance.TestOccupied(t, func(t *testing.T) (destinations.Destination, string) {
		root := t.TempDir()
		return open(t, here, root), filepath.Join(root, "acme")
	})
}

// What the tests call.
var (
	check         = conformance.Check
	describe      = conformance.Describe
	expectFailure = conformance.CheckFailure
	here          = v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}
)

const key, markerName = conformance.Key, destinations.MarkerName

func onFilesystem(t *testing.T) conformance.Subject {
	root := t.TempDir()
	return conformance.Subject{Destination: open(t, here, root), Listing: func() []string {
		var files []string
		err := filepath.WalkDir(filepath.Join(root, "acme"), func(path string, entry os.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				relative, _ := filepath.Rel(filepath.Join(root, "acme"), path)
				files = append(files, relative)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}}
}

func open(t *testing.T, spec v1alpha1.ExportDestinationSpec, root string) destinations.Destination {
	t.Helper()
	return conformance.Open(t, filesystem.New(filesystem.Settings{Root: root}), spec, nil)
}

// tryOpen opens the destination of a namespace, which may be refused.
func tryOpen(t *testing.T, namespace string, spec v1alpha1.ExportDestinationSpec, root string) (destinations.Destination, error) {
	t.Helper()
	registry, err := destinations.NewRegistry(filesystem.New(filesystem.Settings{Root: root}))
	must(t, err)
	destination := &v1alpha1.ExportDestination{Spec: spec}
	destination.Namespace = namespace
	return registry.Open(t.Context(), destination, nil, nil)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	conformance.TestStore(t, filesystem.New(filesystem.Settings{Root: t.TempDir()}), here, nil)
}
