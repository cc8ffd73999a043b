package controller_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/tests3"
)

// history is a world whose export keeps one run of each kind, and its first run.
func (w *world) history(destination *v1alpha1.ExportDestination, more ...client.Object) *v1alpha1.ExportRun {
	w.Helper()
	w.fill(5)
	export := w.export()
	export.Spec.History = v1alpha1.HistoryLimits{Succeeded: ptr.To[int32](1), Failed: ptr.To[int32](1)}
	w.create(more...)
	w.create(w.secret(), w.source(), w.chart(), destination, export, w.run("first"))
	return eventually(w, w.run("first"), runIs(v1alpha1.RunSucceeded))
}

// nextRun exports one more claim, so that the run before it is beyond the limits of history.
func (w *world) nextRun(name string) {
	w.Helper()
	w.insertClaim(application.Claim{})
	w.create(w.run(name))
	eventually(w, w.run(name), runIs(v1alpha1.RunSucceeded))
}

// hoursPass lets the runs that have ended be old enough to be deleted.
func (w *world) hoursPass() {
	w.Helper()
	w.clock.ahead.Add(int64(2 * time.Hour))
	w.touch(w.export())
}

func (w *world) keptArtifacts() (names []string) {
	w.Helper()
	for _, file := range w.files() {
		names = append(names, file[strings.LastIndex(file, "/monthly/")+len("/monthly/"):])
	}
	return names
}

func TestArtifactsOutliveTheirRunsUnlessTheDestinationSaysOtherwise(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.history(w.destination())
	w.nextRun("second")
	w.hoursPass()
	w.gone(first)
	if kept := w.keptArtifacts(); len(kept) != 4 {
		t.Errorf("files %q, want those of both runs", kept)
	}
}

func TestArtifactIsRemovedWithItsRunAndTheLedgerStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	destination := w.destination()
	destination.Spec.Retention.Artifacts = v1alpha1.DeleteArtifacts
	first := w.history(destination)
	// Somebody else's file under a name of the run, and beside it.
	foreign := w.delivered("monthly", "first", "manifest.json")
	w.must(os.WriteFile(foreign, []byte("not the manifest"), 0o600))
	w.must(os.WriteFile(w.delivered("monthly", "first", "notes.txt"), []byte("a person's"), 0o600))
	w.nextRun("second")
	w.hoursPass()
	w.gone(first)
	kept := strings.Join(w.keptArtifacts(), " ")
	if kept != "first/manifest.json first/notes.txt second/manifest.json second/second.csv" {
		t.Errorf("files %s", kept)
	}
	if n := w.count(`select count(*) from ledgerport.runs where name = 'first' and state = 'committed' and artifact_removed_at is not null`); n != 1 {
		t.Error("the run and the removal of its artifact are not recorded")
	}
	if n := w.count(`select count(*) from ledgerport.vouchers where run = 'first'`); n != 5 {
		t.Errorf("%d vouchers of the run are recorded, want 5", n)
	}
	w.expectEvent("monthly", v1alpha1.ReasonArtifactRemoved)
	w.create(w.reversal("back", "first"))
	eventually(w, w.run("back"), runIs(v1alpha1.RunSucceeded)) // the ledger needs no artifact
}

func TestArtifactStaysForItsMinimumAge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	destination := w.destination()
	destination.Spec.Retention = v1alpha1.RetentionPolicy{Artifacts: v1alpha1.DeleteArtifacts, MinimumAge: &metav1.Duration{Duration: 24 * time.Hour}}
	first := w.history(destination)
	w.nextRun("second")
	w.hoursPass()
	w.nextRun("third") // with which the export has looked at its history
	if err := api.client.Get(t.Context(), client.ObjectKeyFromObject(first), first); err != nil || !first.DeletionTimestamp.IsZero() {
		t.Errorf("the limits of history have deleted a run whose artifact is too young (%v)", err)
	}
	w.must(api.client.Delete(t.Context(), first))
	w.expectEvent("first", v1alpha1.ReasonArtifactKept)
	if kept := strings.Join(w.keptArtifacts(), " "); !strings.Contains(kept, "first/first.csv") {
		t.Errorf("files %s, want those of the run that a person has deleted too early", kept)
	}
	destination = eventually(w, destination, func(*v1alpha1.ExportDestination) string { return "" })
	destination.Spec.Retention.MinimumAge = &metav1.Duration{Duration: time.Minute}
	w.must(api.client.Update(t.Context(), destination))
	w.gone(first)
	w.gone(w.run("second")) // by the limits of history
	w.expectEvent("monthly", "RunDeleted")
	if kept := strings.Join(w.keptArtifacts(), " "); kept != "third/manifest.json third/third.csv" {
		t.Errorf("files %s", kept)
	}
}

func TestRunWhoseArtifactCanNotBeRemovedWaitsAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bucket := tests3.New(t)
	keys := w.secret()
	keys.Name, keys.StringData = "s3-keys", map[string]string{"accessKeyID": bucket.AccessKey, "secretAccessKey": bucket.SecretKey}
	destination := w.destination()
	destination.Spec = v1alpha1.ExportDestinationSpec{
		S3: &v1alpha1.S3Destination{
			Bucket: bucket.Name, Region: bucket.Region, Endpoint: bucket.Endpoint, ForcePathStyle: true,
			CredentialsSecretRef: &v1alpha1.S3Credentials{LocalReference: v1alpha1.LocalReference{Name: "s3-keys"}},
		},
		Retention: v1alpha1.RetentionPolicy{Artifacts: v1alpha1.DeleteArtifacts},
	}
	first := w.history(destination, keys)
	if kept := strings.Join(bucket.Keys(t), " "); !strings.Contains(kept, "/first/first.csv") || !strings.Contains(kept, "/first/manifest.json") {
		t.Errorf("the bucket has %s", kept)
	}
	secret := keys.DeepCopy()
	w.must(api.client.Delete(t.Context(), keys))
	w.must(api.client.Delete(t.Context(), first))
	w.expectEvent("first", v1alpha1.ReasonSecretNotFound)
	secret.ObjectMeta = w.secret().ObjectMeta
	secret.Name, secret.StringData = "s3-keys", map[string]string{"accessKeyID": bucket.AccessKey, "secretAccessKey": bucket.SecretKey}
	w.create(secret)
	w.gone(first)
	if n := w.count(`select count(*) from ledgerport.runs where name = 'first' and artifact_removed_at is not null`); n != 1 {
		t.Error("the removal of the artifact is not recorded")
	}
	for _, key := range bucket.Keys(t) {
		if !strings.Contains(key, ".ledgerport-probe-") && key != ".ledgerport-destination" { // of a check at this moment
			t.Errorf("%s is still there", key)
		}
	}
}

func TestArtifactIsRemovedFromWhereItsRunHasDeliveredItWhateverItsExportNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	destination := w.destination()
	destination.Spec.Retention.Artifacts = v1alpha1.DeleteArtifacts
	first := w.history(destination)
	elsewhere := w.destination()
	elsewhere.Name, elsewhere.Spec.Filesystem.Path = "elsewhere", "elsewhere"
	w.create(elsewhere)
	w.merge(w.export(), `{"spec":{"destinationRef":{"name":"elsewhere"}}}`)
	eventually(w, w.export(), observed)
	w.must(api.client.Delete(t.Context(), first))
	w.gone(first)
	if kept := w.keptArtifacts(); len(kept) != 0 {
		t.Errorf("files %q are left", kept)
	}
}

func TestArtifactOfARunIsKeptWhereItsDestinationLeadsElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	destination := w.destination()
	destination.Spec.Retention.Artifacts = v1alpha1.DeleteArtifacts // so that the run waits for the removal
	first := w.history(destination)
	destination.Namespace = w.namespace
	w.merge(destination, `{"spec":{"filesystem":{"path":"elsewhere"}}}`)
	w.must(api.client.Delete(t.Context(), first))
	w.gone(first)
	w.expectEvent("first", v1alpha1.ReasonDestinationChanged)
	if kept := w.keptArtifacts(); len(kept) != 2 {
		t.Errorf("files %q, want those of the run", kept)
	}
}

func TestFinishedRunNeedsTheOperatorOnlyIfItsArtifactGoesWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.history(w.destination())
	held := func(want bool) func(*v1alpha1.ExportRun) string {
		return func(run *v1alpha1.ExportRun) string {
			if has := slices.Contains(run.Finalizers, v1alpha1.RunFinalizer); has != want {
				return fmt.Sprintf("the run has finalizers %q", run.Finalizers)
			}
			return ""
		}
	}
	eventually(w, first, held(false))
	destination := w.destination()
	destination.Namespace = w.namespace
	w.merge(destination, `{"spec":{"retention":{"artifacts":"Delete"}}}`)
	eventually(w, first, held(true))
	w.merge(destination, `{"spec":{"retention":{"artifacts":"Keep"}}}`)
	eventually(w, first, held(false))
	w.stopOperator()
	w.must(api.client.Delete(t.Context(), first))
	w.gone(first)
}

func TestEditOfAFinishedRunIsObserved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.history(w.destination())
	w.cancel(first) // too late
	run := eventually(w, first, func(run *v1alpha1.ExportRun) string {
		if run.Generation < 2 || run.Status.ObservedGeneration != run.Generation {
			return fmt.Sprintf("generation %d is not observed: %d", run.Generation, run.Status.ObservedGeneration)
		}
		return ""
	})
	if run.Status.Phase != v1alpha1.RunSucceeded {
		t.Errorf("the run is %s", run.Status.Phase)
	}
}
