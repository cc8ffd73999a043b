// Package filesystem keeps artifacts in a directory of the operator's volume.
package filesystem

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// Settings are the administrator's.
type Settings struct {
	// Root is the directory that holds every filesystem destination, below the namespace of its ExportDestination.
	Root string
	// SharedPaths lets the path of a destination begin at Root, whichever namespace names it.
	SharedPaths bool
	// Existing directories are opened, and none is made: those of receipts.
	Existing bool
	// unmarked lets a destination have no marker.
	unmarked bool
}

// AddFlags adds the flags that set them.
func (s *Settings) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.Root, "filesystem-root", "/exports", "directory that holds every filesystem destination")
	flags.BoolVar(&s.SharedPaths, "filesystem-shared-paths", false, "let spec.filesystem.path begin at --filesystem-root, whichever namespace names it, as older versions did; only where all tenants trust each other")
}

// rootFlag is the flag that names Root, if it is one of the operator's.
func (s *Settings) rootFlag() string {
	if s.Existing {
		return "--receipts-root"
	}
	return "--filesystem-root"
}

// New returns the type.
func New(settings Settings) destinations.Type {
	return destinations.Type{
		Name:        "filesystem",
		Scheme:      "file",
		Directories: true,
		Named:       func(d *v1alpha1.ExportDestination) bool { return d.Spec.Filesystem != nil },
		Open: func(_ context.Context, d *v1alpha1.ExportDestination, _ map[string][]byte, _ *outbound.Policy) (destinations.Destination, error) {
			return open(settings, d.Namespace, d.Spec.Filesystem.Path)
		},
	}
}

// Local returns the type of a directory of this machine, which is made if it is missing: that of every ExportDestination, whatever
// it says. The directory gets no marker: what is there is for the person who asked for it.
func Local(directory string) destinations.Type {
	local := New(Settings{})
	local.Named = func(*v1alpha1.ExportDestination) bool { return true }
	local.Open = func(context.Context, *v1alpha1.ExportDestination, map[string][]byte, *outbound.Policy) (destinations.Destination, error) {
		root, err := filepath.Abs(directory)
		if err == nil {
			err = os.MkdirAll(root, 0o750)
		}
		if err != nil {
			return nil, err
		}
		return open(Settings{Root: root, SharedPaths: true, unmarked: true}, "", ".")
	}
	return local
}
