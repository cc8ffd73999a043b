package pipeline_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

func removal(number int32) pipeline.Task {
	t := task(number)
	t.RemoveArtifact = true
	return t
}

func TestARemovalOfAnArtifactThatDiesAnywhereIsResumed(t *testing.T) {
	t.Parallel()
	for _, point := range failpoint.RemovalPoints() {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newExportedStage(t)
			exported := s.reserved()
			s.crash(removal(1), point)
			if _, err := s.attempt(removal(1), nil); err != nil {
				t.Fatal(err)
			}
			if left := s.files(); len(left) > 0 {
				t.Errorf("%d files are left", len(left))
			}
			if s.state(task(1).RunID) != "committed" || s.reserved() != exported {
				t.Errorf("the run is %s with %s", s.state(task(1).RunID), s.reserved())
			}
			if removed := s.text(`select (artifact_removed_at is not null)::text from ledgerport.runs`); removed != "true" {
				t.Error("the removal is not recorded")
			}
		})
	}
}

func preview(number int32) pipeline.Task {
	t := task(number)
	t.RunID, t.Name, t.Type = "44444444-0000-4000-8000-000000000001", "look", v1alpha1.RunPreview
	return t
}

// of are the files of one attempt of the preview.
func of(attempt string, files map[string]file) map[string]file {
	own := maps.Clone(files)
	maps.DeleteFunc(own, func(name string, _ file) bool { return !strings.Contains(name, "/look/"+attempt+"/") })
	return own
}

func TestAPreviewThatDiesAnywhereBeginsAnewAndRecordsNothing(t *testing.T) {
	t.Parallel()
	undisturbed := newStage(t)
	if outcome, err := undisturbed.attempt(preview(2), nil); err != nil || outcome.Result.Claims != claimCount {
		t.Fatalf("the undisturbed preview ended with %+v (%v)", outcome, err)
	}
	want := undisturbed.files()
	for _, point := range failpoint.PreviewPoints() {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.crash(preview(1), point)
			outcome, err := s.attempt(preview(2), nil)
			if err != nil || !outcome.Committed || outcome.Result.Claims != claimCount || !strings.Contains(outcome.Result.Location, "/look/44444444-2/") {
				t.Fatalf("the preview ended with %+v (%v)", outcome, err)
			}
			sameContent(t, of("44444444-2", s.files()), want)
			if rows := s.text(`select ((select count(*) from ledgerport.runs) + (select count(*) from ledgerport.voucher_numbers))::text`); rows != "0" || s.reserved() != "" {
				t.Errorf("%s rows are recorded", rows)
			}
		})
	}
}

// TestAPreviewThatWakesUpLateLeavesTheNewerOneAlone: the two differ, as if claims had changed meanwhile.
func TestAPreviewThatWakesUpLateLeavesTheNewerOneAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	wake, late := s.stopAt(preview(1), failpoint.Put.During())
	newer := preview(2)
	newer.Limit = claimCount - 1
	if outcome, err := s.attempt(newer, nil); err != nil || outcome.Result.Claims != claimCount-1 {
		t.Fatalf("the newer preview ended with %+v (%v)", outcome, err)
	}
	files := s.files()
	wake()
	s.must(<-late)
	s.untouched(files)
	if mine := of("44444444-2", s.files()); len(mine) != 2 {
		t.Errorf("the newer preview has %d files, want 2", len(mine))
	}
}
