package claims

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/ledger"
)

// fault is the hold of a claim for what the query found wrong with it; nil where it found nothing.
func fault(found, claimID string) *ledger.Hold {
	hold := &ledger.Hold{ClaimID: claimID}
	switch found {
	case faultDuplicate:
		hold.Reason = ledger.HoldDuplicateClaim
		hold.Message = "several rows have this id, or one that is the same by its value (a uuid in another spelling, an integer with zeros before it), perhaps by a join of a view; " +
			"give every claim one row and an id of its own"
	case faultElsewhere:
		hold.Reason = ledger.HoldDuplicateClaim
		hold.Message = "a claim of this id was exported for another organisation, and no unique index on the id says that it is the same claim; " +
			"give every claim an id of its own, or make the index if this one only has moved"
	case faultUnknown:
		hold.Reason = ledger.HoldExportedBefore
		hold.Message = "a claim of this id was exported by another ClaimSource before tables were told apart, and it is not known whether from this table; see SELECT * FROM ledgerport.claim_tables " +
			"WHERE table_name IS NULL AND part_of IS NULL, and set part_of to the id of the table that the claims of that source are of"
	default:
		return nil
	}
	return hold
}

const (
	// longestID is the longest id that a claim may have, in bytes: an index of PostgreSQL takes 2,704, and other things too.
	longestID = 1000
	// shortID is what is kept of an id that is not to be written as it is.
	shortID = 100
)

// printableID returns an id as it is, or where it is too long or has characters that are none of a text, the beginning of it in
// printable form and something that tells it from others.
func printableID(id string) string {
	if len(id) <= longestID && utf8.ValidString(id) && !strings.ContainsFunc(id, unprintable) {
		return id
	}
	short := strings.Map(func(r rune) rune {
		if unprintable(r) {
			return utf8.RuneError
		}
		return r
	}, id[:min(len(id), shortID)])
	hash := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%s… (%x)", short, hash[:8])
}

// unprintable are control characters, line ends, and what changes how the text around it is shown.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}
