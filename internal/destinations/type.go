package destinations

import (
	"context"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// Type is a type of destination: what there is to know of its destinations before one is opened. Apart from Named, its functions
// get only ExportDestinations of the type.
type Type struct {
	// Name is the type's key in a registry, the field of ExportDestination.spec that describes a destination of the type, and what
	// --allowed-destination-types calls it.
	Name string
	// Scheme begins the URLs of its locations.
	Scheme string
	// Directories is true if what a namespace delivers is in a directory of its own, in whose place something else can be. Then a
	// check looks at the directory of each namespace.
	Directories bool
	// Named reports whether an ExportDestination is of the type.
	Named func(*v1alpha1.ExportDestination) bool
	// Credentials says in which Secret or ExternalSecret of its namespace the credentials of a destination are, and under which
	// keys; nil if it needs none. A type without the function has none.
	Credentials func(*v1alpha1.ExportDestination) (*credentials.Reference, error)
	// Encryption reports whether what is delivered is encrypted on its way to a server, and says how. A type without the function
	// sends nothing over a network.
	Encryption func(*v1alpha1.ExportDestination) (encrypted bool, how string)
	// Validate says what the schema cannot say. A type without the function has nothing to add.
	Validate func(*v1alpha1.ExportDestination) error
	// Open opens a destination with the data of its Secret. It does not touch it yet, beyond making a directory of the operator's
	// own, and reaches no host that the policy does not allow. Its failures, and those of what it opens, name the condition that
	// they make False: CredentialsReady if the credentials are to blame, else DestinationReady, which is also that of a failure
	// that names none.
	Open func(ctx context.Context, destination *v1alpha1.ExportDestination, login map[string][]byte, policy *outbound.Policy) (Destination, error)
}
