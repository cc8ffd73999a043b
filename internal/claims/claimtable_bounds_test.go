package claims

import (
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/test/cputime"
)

// TestManyTablesOnRecordAreComparedOnce has as many rows of ledgerport.claim_tables as a database may send, half of them part of the
// table, and half of nobody.
func TestManyTablesOnRecordAreComparedOnce(t *testing.T) {
	t.Parallel()
	const rows = 200_000
	seen := sighting{Schema: "public", Name: "claims", IDColumn: "id", IDType: "uuid"}
	recorded := []claimTable{{ID: 1, sighting: seen}}
	for i := range int32(rows) {
		recorded = append(recorded, claimTable{ID: i + 2, PartOf: i % 2})
	}
	var found identity
	var err error
	took := cputime.Of(t, func() { found, err = identify(recorded, seen, false, "acme/claims", "", rows+2) })
	if err != nil || len(found.exported) != rows/2+1 || len(found.unknown) != rows/2 {
		t.Errorf("%d rows are of the table, and %d of nobody (%v)", len(found.exported), len(found.unknown), err)
	}
	if took > 2*time.Second {
		t.Errorf("it takes %s", took)
	}
}
