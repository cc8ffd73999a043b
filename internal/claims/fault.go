package claims

import "github.com/ledgerport/ledgerport/ledger"

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

// longestID is the longest id that a claim may have, in bytes: an index of PostgreSQL takes 2,704, and other things too.
const longestID = 1000
