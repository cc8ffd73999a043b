// Package builtin is the list of the types of destinations in this binary. To add one, add its folder beside this one, and one
// line here.
package builtin

import (
	"github.com/spf13/pflag"

	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/destinations/filesystem"
	"github.com/ledgerport/ledgerport/internal/destinations/s3"
	"github.com/ledgerport/ledgerport/internal/destinations/sftp"
)

// Settings are the administrator's: they bound what a resource may ask for.
type Settings struct {
	Filesystem filesystem.Settings
	S3         s3.Settings
}

// AddFlags adds the flags that set them.
func (s *Settings) AddFlags(flags *pflag.FlagSet) {
	s.Filesystem.AddFlags(flags)
	s.S3.AddFlags(flags)
}

// Types returns the built-in types.
func Types(settings Settings) []destinations.Type {
	return []destinations.Type{
		filesystem.New(settings.Filesystem),
		s3.New(settings.S3),
		sftp.New(),
	}
}

// Registry returns a registry of the built-in types.
func Registry(settings Settings) *destinations.Registry { return registry(Types(settings)...) }

// Directory returns a registry in which every ExportDestination is one directory of this machine, whatever it says.
func Directory(path string) *destinations.Registry { return registry(filesystem.Local(path)) }

func registry(types ...destinations.Type) *destinations.Registry {
	found, err := destinations.NewRegistry(types...)
	if err != nil {
		panic(err) // the lists above are constant
	}
	return found
}
