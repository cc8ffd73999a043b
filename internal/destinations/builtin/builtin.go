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
	// ReceiptsRoot is the directory that holds every filesystem store of receipts, below the namespace of its ClaimSource.
	ReceiptsRoot string
}

// AddFlags adds the flags that set them.
func (s *Settings) AddFlags(flags *pflag.FlagSet) {
	s.Filesystem.AddFlags(flags)
	s.S3.AddFlags(flags)
	flags.StringVar(&s.ReceiptsRoot, "receipts-root", "/receipts", "directory that holds the receipts of every ClaimSource that keeps them in a filesystem, below its namespace; it is only read")
}

// PlainHTTP reports whether servers may be reached without TLS.
func (s *Settings) PlainHTTP() bool { return s.S3.AllowPlainHTTP }

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

// Stores returns a registry of what receipts can be read from.
func Stores(settings Settings) *destinations.Registry {
	return registry(filesystem.New(filesystem.Settings{Root: settings.ReceiptsRoot, Existing: true}), s3.New(settings.S3))
}

// Directory returns a registry in which every ExportDestination is one directory of this machine, whatever it says.
func Directory(path string) *destinations.Registry { return registry(filesystem.Local(path)) }

func registry(types ...destinations.Type) *destinations.Registry {
	found, err := destinations.NewRegistry(types...)
	if err != nil {
		panic(err) // the lists above are constant
	}
	return found
}
