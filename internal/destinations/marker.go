package destinations

import (
	"crypto/rand"
	"io"
	"regexp"
	"strings"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

const (
	// MarkerName is the name of the object that has the id of a destination. No key has it, because no element of a key begins
	// with a dot.
	MarkerName = ".ledgerport-destination"
	// Unmarked is the note of a destination that cannot be marked.
	Unmarked = "its marker " + MarkerName + " cannot be written or read, so that another destination that gets its name and address is not noticed"
	// mostMarker is what is read of a marker, in bytes.
	mostMarker = 64
)

var markerPattern = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// NewMarker returns the content of the marker of a destination that has none yet: a random id.
func NewMarker() string { return MarkerOf(rand.Text()) }

// MarkerOf returns the content of the marker with an id.
func MarkerOf(id string) string { return id + "\n" }

// ReadMarker returns the id in the content of a marker.
func ReadMarker(content io.Reader, where string) (string, error) {
	read, err := io.ReadAll(io.LimitReader(content, mostMarker))
	if err != nil {
		return "", err
	}
	id := strings.TrimSuffix(string(read), "\n")
	if !markerPattern.MatchString(id) {
		return "", failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, nil,
			"%s has a %s that Ledgerport did not write; remove it, and the next check writes one", where, MarkerName)
	}
	return id, nil
}
