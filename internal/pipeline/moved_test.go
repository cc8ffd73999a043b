package pipeline_test

import (
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// TestClaimsThatWereExportedForAnotherOrganizationAreLeftOut lets some claims have moved to the organisation since they were
// exported, among others that are new. The first pass runs into them, the second does not.
func TestClaimsThatWereExportedForAnotherOrganizationAreLeftOut(t *testing.T) {
	t.Parallel()
	const moved = 15
	s := newExportedStage(t)
	s.do(`DELETE FROM ledgerport.exported_claims WHERE position > 15`)
	s.do(`UPDATE ledgerport.exported_claims SET organization_id = 'before'`)
	preview := run(3)
	preview.Type = v1alpha1.RunPreview
	if outcome, err := s.attempt(preview, nil); err != nil || outcome.Result.Claims != claimCount-moved {
		t.Errorf("the preview has %d claims (%v), want %d", outcome.Result.Claims, err, claimCount-moved)
	}
	outcome, err := s.attempt(run(2), nil)
	if err != nil || outcome.Result.Claims != claimCount-moved || outcome.Result.Held != 0 {
		t.Errorf("exported %+v (%v), want %d claims", outcome, err, claimCount-moved)
	}
	if n := s.text(`SELECT count(*)::text FROM ledgerport.exported_claims`); n != "20" {
		t.Errorf("%s claims are exported", n)
	}
}
