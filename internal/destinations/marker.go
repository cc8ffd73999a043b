package destinations

import (
	"crypto/rand"
	"regexp"
	"strings"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

const (
	// markerName is the name of the object that has the id of a destination. No key has it, because no element of a key begins
	// with a dot.
	markerName = ".ledgerport-destination"
	// mostMarker is what is read of a marker, in bytes.
	mostMarker = 64
	// unmarked is the note of a destination that cannot be marked.
	unmarked = "its marker " + markerName + " cannot be written or read, so that another destination that gets its name and address is not noticed"
)

var markerPattern = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// newMarker is the id of a destination that has none yet.
func newMarker() string { return rand.Text() }

// parseMarker returns the id in the content of a marker.
func parseMarker(content, where string) (string, error) {
	id := strings.TrimSuffix(content, "\n")
	if !markerPattern.MatchString(id) {
		return "", failure.Transient(v1alpha1.ReasonNotWritable, nil,
			"%s has a %s that Ledgerport did not write; remove it, and the next check writes one", where, markerName)
	}
	return id, nil
}
