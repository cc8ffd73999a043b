package controller_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/knownhosts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/tests3"
	"github.com/ledgerport/ledgerport/test/testsftp"
)

func TestDestinationThatCanNotBeWrittenIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	w.must(os.WriteFile(filepath.Join(w.exports, w.namespace), []byte("a file where the directory should be"), 0o600))
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	export := eventually(w, w.export(), exportIs(metav1.ConditionFalse, v1alpha1.ReasonNotWritable))
	if problem := condition(export.Status.Conditions, v1alpha1.ConditionDestinationReady, metav1.ConditionFalse, v1alpha1.ReasonNotWritable); problem != "" {
		t.Error(problem)
	}
	w.expectEvent("files", v1alpha1.ReasonNotWritable)
	if n := w.count(`select count(*) from ledgerport.exported_claims`); n != 0 {
		t.Errorf("%d claims are reserved", n)
	}
	w.must(os.Remove(filepath.Join(w.exports, w.namespace)))
	eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
}

func TestFullDestinationFailsTheRunAndGivesItsClaimsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tinyVolume()
	w.fill(500)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	export := eventually(w, w.export(), lastRunIs(v1alpha1.RunFailed))
	run := eventually(w, w.run(export.Status.LastRun.Name), runIs(v1alpha1.RunFailed))
	if problem := condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDestinationFull, "full"); problem != "" {
		t.Error(problem)
	}
	if run.Status.Failures != 2 || run.Status.Stage != v1alpha1.StageDeliver {
		t.Errorf("%d failures in stage %s, want the first and one retry in Deliver", run.Status.Failures, run.Status.Stage)
	}
	w.expectEvent(run.Name, v1alpha1.ReasonDestinationFull)
	w.nothingHappened()
	if n := w.count(`select sum(last - first + 1) from ledgerport.voided_vouchers where run_id = $1`, string(run.UID)); n != 500 {
		t.Errorf("%d voucher numbers are recorded as voided, want 500", n)
	}

	w.enlargeVolume()
	w.request("again")
	next := eventually(w, w.export(), lastRunIsNot(run.Name)).Status.LastRun
	if next.Claims != 500 {
		t.Errorf("the next run exported %d claims, want the 500 that were given back", next.Claims)
	}
}

func TestRetryGoesOnWithTheSameClaimsNumbersAndBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.retryingRun()
	recorded := w.digest(string(run.UID))
	w.enlargeVolume()
	run = eventually(w, run, runIs(v1alpha1.RunSucceeded))
	if again := w.digest(string(run.UID)); again != recorded {
		t.Errorf("claims, numbers and hash changed between the attempts: %s and %s", recorded, again)
	}
	w.checkFileAgainstManifestAndSQL(run)
	if n := w.count(`select count(*) from ledgerport.voided_vouchers`); n != 0 {
		t.Errorf("%d ranges of voucher numbers are voided, want none", n)
	}
}

func TestCancelledRunGivesItsClaimsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.retryingRun()
	w.must(api.client.Patch(t.Context(), run, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"cancel":true}}`))))
	run = eventually(w, run, runIs(v1alpha1.RunCancelled))
	if problem := condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCancelled); problem != "" {
		t.Error(problem)
	}
	w.nothingHappened()
	taken := []byte(`{"spec":{"cancel":false}}`)
	if err := api.client.Patch(t.Context(), run, client.RawPatch("application/merge-patch+json", taken)); err == nil {
		t.Error("a cancellation was taken back")
	}
}

func TestDeletedRunGivesItsClaimsBackBeforeItGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.retryingRun()
	w.must(api.client.Delete(t.Context(), run))
	w.gone(run)
	w.gaveBack()
}

func TestRunThatWentByForceGivesItsClaimsBackWhereItIsAppliedAgainToBeCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.goneByForce()
	run.Spec.Cancel = true
	w.create(run)
	w.startOperator(w.namespace)
	run = eventually(w, run, runIs(v1alpha1.RunCancelled))
	if problem := condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCancelled, "its claims go to the next run"); problem != "" {
		t.Error(problem)
	}
	w.gaveBack()
}

func TestRunThatWentByForceGivesItsClaimsBackWhereItIsAppliedAgainAndFailsBeforeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.goneByForce()
	w.merge(w.export(), `{"spec":{"retry":{"limit":0},"destinationRef":{"name":"nowhere"}}}`)
	w.create(run)
	w.startOperator(w.namespace)
	eventually(w, run, runIs(v1alpha1.RunReleasing)) // not Failed, though it did nothing itself
	w.merge(w.export(), `{"spec":{"destinationRef":{"name":"files"}}}`)
	run = eventually(w, run, runIs(v1alpha1.RunFailed))
	if problem := condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDestinationNotFound); problem != "" {
		t.Error(problem)
	}
	w.gaveBack()
}

// goneByForce gives an ExportRun as it was before it went without giving its claims back, as it does with its namespace.
// No operator runs.
func (w *world) goneByForce() *v1alpha1.ExportRun {
	w.Helper()
	run := w.retryingRun()
	w.stopOperator()
	w.merge(run, `{"metadata":{"finalizers":null}}`)
	w.must(api.client.Delete(w.Context(), run))
	return w.run(run.Name)
}

// gaveBack insists that the one recorded run has released its claims.
func (w *world) gaveBack() {
	w.Helper()
	w.nothingHappened()
	if n := w.count(`select count(*) from ledgerport.runs where state = 'released'`); n != 1 {
		w.Errorf("%d runs are recorded as released, want 1", n)
	}
}

func TestExportToS3(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(20)
	bucket := tests3.New(t)
	keys := w.secret()
	keys.Name, keys.StringData = "s3-keys", map[string]string{"accessKeyID": bucket.AccessKey, "secretAccessKey": "wrong"}
	destination := w.destination()
	destination.Spec = v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{
		Bucket: bucket.Name, Region: bucket.Region, Endpoint: bucket.Endpoint, ForcePathStyle: true, Prefix: "books",
		CredentialsSecretRef: &v1alpha1.S3Credentials{LocalReference: v1alpha1.LocalReference{Name: "s3-keys"}},
	}}
	w.create(w.secret(), keys, w.source(), w.chart(), destination, requested(w.export()))
	export := eventually(w, w.export(), exportIs(metav1.ConditionFalse, v1alpha1.ReasonLoginRefused))
	if problem := condition(export.Status.Conditions, v1alpha1.ConditionCredentialsReady, metav1.ConditionFalse, v1alpha1.ReasonLoginRefused); problem != "" {
		t.Error(problem)
	}
	w.neverSays(bucket.SecretKey)

	rotated := fmt.Sprintf(`{"stringData":{"secretAccessKey":%q}}`, bucket.SecretKey)
	w.must(api.client.Patch(t.Context(), keys, client.RawPatch("application/merge-patch+json", []byte(rotated))))
	last := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun
	want := fmt.Sprintf("s3://%s/books/%s/monthly/%s/%s.csv", bucket.Name, w.namespace, last.Name, last.Name)
	if last.Location != want {
		t.Errorf("location %s, want %s", last.Location, want)
	}
	w.neverSays(bucket.SecretKey)
}

// sftpDestination is a directory of an SFTP server, whose user logs in with what the Secret sftp-key has.
func (w *world) sftpDestination(account testsftp.Account) *v1alpha1.ExportDestination {
	destination := w.destination()
	destination.Spec = v1alpha1.ExportDestinationSpec{SFTP: &v1alpha1.SFTPDestination{
		Host: account.Host, Port: account.Port, User: account.User, Path: account.Path, KnownHosts: account.KnownHosts,
		CredentialsSecretRef: &v1alpha1.SFTPCredentials{LocalReference: v1alpha1.LocalReference{Name: "sftp-key"}},
	}}
	return destination
}

func TestExportToSFTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(20)
	account := testsftp.New(t)
	_, otherHost := testsftp.NewKey(t)
	other, _ := testsftp.NewKey(t)
	key := w.secret()
	key.Name, key.StringData = "sftp-key", map[string]string{"password": "hunter2"}
	destination := w.sftpDestination(account)
	destination.Spec.SFTP.KnownHosts = knownhosts.Line([]string{account.Host}, otherHost)
	w.create(w.secret(), key, w.source(), w.chart(), destination, requested(w.export()))
	eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, v1alpha1.ReasonSecretKeyMissing, "privateKey"))

	rotate := func(content string) {
		w.must(api.client.Patch(t.Context(), key, client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"stringData":{"privateKey":%q}}`, content))))
	}
	rotate("hunter2")
	eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, v1alpha1.ReasonMalformedKey))
	rotate(string(other))
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionDestinationReady, metav1.ConditionFalse, v1alpha1.ReasonHostKeyMismatch, "SHA256:")
	})
	eventually(w, destination, func(destination *v1alpha1.ExportDestination) string { // nothing was sent to that server
		return condition(destination.Status.Conditions, v1alpha1.ConditionCredentialsReady, metav1.ConditionUnknown, v1alpha1.ReasonHostKeyMismatch)
	})
	w.must(api.client.Patch(t.Context(), destination, client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"sftp":{"knownHosts":%q}}}`, account.KnownHosts))))
	eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, v1alpha1.ReasonLoginRefused, account.User))
	w.nothingHappened()

	rotate(string(account.PrivateKey))
	last := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun
	want := fmt.Sprintf("sftp://%s@%s:%d%s/%s/monthly/%s/%s.csv", account.User, account.Host, account.Port, account.Path, w.namespace, last.Name, last.Name)
	if last.Location != want {
		t.Errorf("location %s, want %s", last.Location, want)
	}
	content, err := os.ReadFile(filepath.Join(account.Directory, w.namespace, "monthly", last.Name, last.Name+".csv"))
	w.must(err)
	if sum := fmt.Sprintf("%x", sha256.Sum256(content)); sum != last.SHA256 {
		t.Errorf("what was delivered has the hash %s, and the status says %s", sum, last.SHA256)
	}
	w.neverSays("hunter2")
	for _, line := range append(strings.Fields(string(account.PrivateKey)), strings.Fields(string(other))...) {
		if len(line) > 20 {
			w.neverSays(line)
		}
	}
}

// observed checks that the operator has seen the present spec of an export.
func observed(export *v1alpha1.AccountingExport) string {
	if export.Status.ObservedGeneration != export.Generation {
		return fmt.Sprintf("the operator has seen generation %d, and this is %d", export.Status.ObservedGeneration, export.Generation)
	}
	return ""
}

// retryingRun returns a run of 500 claims whose destination is full: it has reserved and rendered them, and is tried again
// many times.
func (w *world) retryingRun() *v1alpha1.ExportRun {
	w.Helper()
	return w.retryingRunOf(&parts{w.secret(), w.source(), w.chart(), w.destination(), w.export()})
}

func (w *world) retryingRunOf(p *parts) *v1alpha1.ExportRun {
	w.Helper()
	w.tinyVolume()
	w.fill(500)
	p.export.Spec.Retry.Limit = ptr.To[int32](20)
	w.createParts(p)
	w.create(w.run("by-hand"))
	return eventually(w, w.run("by-hand"), runIs(v1alpha1.RunRetrying))
}

// digest is one value for the claims of a run, their numbers, and the hash of its file.
func (w *world) digest(run string) (digest string) {
	w.Helper()
	return fmt.Sprint(w.count(`select hashtext(string_agg(claim_id || voucher_number, ',' order by position)) # hashtext(r.files::text)
		from ledgerport.exported_claims e join ledgerport.runs r on r.id = e.run_id where r.id = $1 group by r.files`, run))
}

// tinyVolume puts the test's destinations on a volume of 64 KiB, where the test may mount one.
func (w *world) tinyVolume() {
	w.Helper()
	if err := syscall.Mount("tmpfs", w.exports, "tmpfs", 0, "size=64k"); err != nil {
		w.Skipf("mounting a small volume needs root: %s", err)
	}
	w.Cleanup(func() { _ = syscall.Unmount(w.exports, syscall.MNT_DETACH) })
}

func (w *world) enlargeVolume() {
	w.Helper()
	w.must(syscall.Mount("tmpfs", w.exports, "tmpfs", syscall.MS_REMOUNT, "size=10m"))
}

// TestTotalsThatDifferFromTheDatabaseDeliverNothing reads lines from a view that shows each connection other amounts: the
// one that streams them and the one that sums them.
func TestTotalsThatDifferFromTheDatabaseDeliverNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	w.exec(`create view changing_lines as select claim_id, line_no, expense_date, category, description,
		(gross_amount + pg_backend_pid())::numeric as gross_amount, 0::numeric as tax_amount from claim_lines`)
	source := w.source()
	source.Spec.Postgres.Lines.Table = "public.changing_lines"
	w.create(w.secret(), source, w.chart(), w.destination(), requested(w.export()))
	export := eventually(w, w.export(), lastRunIs(v1alpha1.RunFailed))
	run := eventually(w, w.run(export.Status.LastRun.Name), runIs(v1alpha1.RunFailed))
	if problem := condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonTotalsMismatch); problem != "" {
		t.Error(problem)
	}
	w.expectEvent(run.Name, v1alpha1.ReasonTotalsMismatch)
	w.nothingHappened()
}

func TestDeletedExportWaitsUntilItsRunHasGivenItsClaimsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.retryingRun()
	w.must(api.client.Delete(t.Context(), w.export()))
	w.gone(w.export())
	if n := w.count(`select count(*) from ledgerport.runs where id = $1 and state = 'released'`, string(run.UID)); n != 1 {
		t.Error("the export went before its run had given its claims back")
	}
	w.nothingHappened()
}

func TestDeletedExportKeepsWhatItsRunsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(5)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	first := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun.Name
	w.must(api.client.Delete(t.Context(), w.export()))
	w.gone(w.export())
	w.create(requested(w.export()))
	// No garbage collector runs here, so the run of the old export still has the name.
	eventually(w, w.export(), exportIs(metav1.ConditionFalse, v1alpha1.ReasonRunNameTaken))
	w.must(api.client.Delete(t.Context(), w.run(first)))
	w.touch(w.export())
	last := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun
	if last.Claims != 5 || last.Name != first {
		t.Errorf("the run of the new export tells %+v, want what the earlier run of its name exported", last)
	}
	w.request("next")
	if next := eventually(w, w.export(), lastRunIsNot(first)).Status.LastRun; next.Claims != 0 || next.Reason != v1alpha1.ReasonNoClaims {
		t.Errorf("a new export of the same name exported %d claims again", next.Claims)
	}
}

func TestRunThatIsDeletedWithItsNamespaceDoesNotHoldItUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.retryingRun()
	secret := w.secret()
	secret.Namespace = w.namespace
	w.must(api.client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	w.must(api.client.Delete(t.Context(), secret))
	w.must(api.client.Delete(t.Context(), run))
	w.gone(run)
	if n := w.count(`select count(*) from ledgerport.runs where state = 'rendered'`); n != 1 {
		t.Errorf("%d runs are recorded as rendered, want the one that could not be released", n)
	}
}

func TestFaultThatARunMeetsIsKnownAtOnceAndWaitedOut(t *testing.T) {
	t.Parallel()
	w := newWorldLookingEvery(t, time.Hour)
	w.fill(5)
	export := w.export()
	export.Spec.Retry.InitialBackoff = &metav1.Duration{Duration: time.Minute} // however slow the look at the source is
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
	eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
	w.exec(`alter table claim_lines rename to claim_lines_moved`)
	w.request("now")
	export = eventually(w, w.export(), exportIs(metav1.ConditionFalse, v1alpha1.ReasonTableNotFound))
	run := eventually(w, w.run(export.Status.LastRun.Name), func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonTableNotFound, "goes on when this is fixed")
	})
	if phase := export.Status.LastRun.Phase; phase == v1alpha1.RunSucceeded || phase == v1alpha1.RunFailed {
		t.Errorf("the export says that its run is %s", phase)
	}
	w.exec(`alter table claim_lines_moved rename to claim_lines`)
	run = eventually(w, run, runIs(v1alpha1.RunSucceeded))
	if run.Status.Failures != 1 || run.Status.Claims != 5 {
		t.Errorf("%d failures and %d claims, want 1 and 5", run.Status.Failures, run.Status.Claims)
	}
}

// TestRunThatIsAppliedAgainEndsWhatItsNameHasOnRecord: another run of the export waits for the series meanwhile.
func TestRunThatIsAppliedAgainEndsWhatItsNameHasOnRecord(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cancel       bool
		phase        v1alpha1.RunPhase
		claims, next int64
	}{
		"it goes on":      {false, v1alpha1.RunSucceeded, 500, 0},
		"it is cancelled": {true, v1alpha1.RunCancelled, 0, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			export := w.export()
			export.Spec.Retry.InitialBackoff = &metav1.Duration{Duration: time.Second}
			lost := w.retryingRunOf(&parts{w.secret(), w.source(), w.chart(), w.destination(), export})
			w.stopOperator()
			w.must(api.client.Delete(t.Context(), lost))
			w.must(api.client.Patch(t.Context(), lost, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))
			w.gone(lost)
			w.startOperator(w.namespace)
			w.create(w.run("waiting"))
			eventually(w, w.run("waiting"), func(run *v1alpha1.ExportRun) string {
				return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSeriesBusy, "by-hand (rendered)")
			})
			w.enlargeVolume()
			again := w.run("by-hand")
			again.Spec.Cancel = test.cancel
			w.create(again)
			if again = eventually(w, again, runIs(test.phase)); again.Status.Claims != test.claims {
				t.Errorf("the run applied again exported %d claims, want %d", again.Status.Claims, test.claims)
			}
			if next := eventually(w, w.run("waiting"), runIs(v1alpha1.RunSucceeded)); next.Status.Claims != test.next {
				t.Errorf("the run that waited exported %d claims, want %d", next.Status.Claims, test.next)
			}
		})
	}
}

func TestRunThatIsAppliedAgainTellsWhatItExported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export(), w.run("by-hand"))
	first := eventually(w, w.run("by-hand"), runIs(v1alpha1.RunSucceeded))
	w.must(api.client.Delete(t.Context(), first))
	w.gone(first)
	w.insertClaim(application.Claim{})
	w.create(w.run("by-hand"))
	again := eventually(w, w.run("by-hand"), runIs(v1alpha1.RunSucceeded))
	if again.Status.RunResult != first.Status.RunResult || again.Status.LastVoucher != first.Status.LastVoucher {
		t.Errorf("the run applied again tells %+v, want %+v", again.Status.RunResult, first.Status.RunResult)
	}
	if problem := condition(again.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "a new run needs a new name"); problem != "" {
		t.Error(problem)
	}
	if n := w.count(`select count(*) from ledgerport.exported_claims`); n != 3 {
		t.Errorf("%d claims are exported, want the 3 of the first run", n)
	}
	w.create(w.run("by-hand-2"))
	if next := eventually(w, w.run("by-hand-2"), runIs(v1alpha1.RunSucceeded)); next.Status.Claims != 1 {
		t.Errorf("the next run exported %d claims, want the one approved since", next.Status.Claims)
	}
}

func TestArtifactOfAnotherRunIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(1)
	path := w.delivered("monthly", "by-hand", "by-hand.csv")
	before := []byte("another run's")
	w.must(os.MkdirAll(filepath.Dir(path), 0o750))
	w.must(os.WriteFile(path, before, 0o600))
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export(), w.run("by-hand"))
	second := eventually(w, w.run("by-hand"), runIs(v1alpha1.RunFailed))
	if problem := condition(second.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonArtifactConflict, "another file"); problem != "" {
		t.Error(problem)
	}
	after, err := os.ReadFile(path)
	w.must(err)
	if !bytes.Equal(before, after) {
		t.Error("the file of the first run was changed")
	}
	w.create(w.run("by-hand-2"))
	if third := eventually(w, w.run("by-hand-2"), runIs(v1alpha1.RunSucceeded)); third.Status.Claims != 1 {
		t.Errorf("the next run exported %d claims, want the one that was given back", third.Status.Claims)
	}
}

func TestReservedRunIsResumedAsItWasWhateverBecomesOfItsChartAndItsClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.retryingRun()
	recorded := w.digest(string(run.UID))
	chart := w.chart()
	chart.Namespace = w.namespace
	changed := []byte(`{"spec":{"rules":[{"account":"2150"}]}}`)
	w.must(api.client.Patch(t.Context(), chart, client.RawPatch("application/merge-patch+json", changed)))
	w.exec(`update claim_lines set gross_amount = gross_amount + 1, description = 'changed after it was reserved'`)
	w.exec(`delete from claim_lines where line_no = 2`)
	w.enlargeVolume()
	eventually(w, run, runIs(v1alpha1.RunSucceeded))
	if again := w.digest(string(run.UID)); again != recorded {
		t.Error("claims, numbers or hash changed with the chart and the claims")
	}
}

func TestReservedRunEndsAtItsFirstDestinationWhateverItsExportNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.retryingRun()
	elsewhere := w.destination()
	elsewhere.Name, elsewhere.Spec.Filesystem.Path = "elsewhere", "elsewhere"
	w.create(elsewhere)
	w.merge(w.export(), `{"spec":{"destinationRef":{"name":"elsewhere"}}}`)
	eventually(w, w.export(), observed)
	eventually(w, run, runIs(v1alpha1.RunRetrying)) // an attempt that begins from now on knows of the change
	w.enlargeVolume()
	ended := eventually(w, run, runIs(v1alpha1.RunSucceeded))
	if at := ended.Status.DestinationRef; at == nil || at.Name != "files" || strings.Contains(ended.Status.Location, "/elsewhere/") {
		t.Errorf("the run went to %s, of ExportDestination %v", ended.Status.Location, at)
	}
	w.insertClaim(application.Claim{})
	w.create(w.run("next"))
	ended = eventually(w, w.run("next"), runIs(v1alpha1.RunSucceeded))
	if at := ended.Status.DestinationRef; at == nil || at.Name != "elsewhere" || !strings.Contains(ended.Status.Location, "/elsewhere/") {
		t.Errorf("the next run went to %s, of ExportDestination %v", ended.Status.Location, at)
	}
}

func TestReservedRunGoesNowhereButToItsFirstDestination(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.retryingRun()
	destination := w.destination()
	destination.Namespace = w.namespace
	w.merge(destination, `{"spec":{"filesystem":{"path":"elsewhere"}}}`)
	eventually(w, run, runIs(v1alpha1.RunRetrying)) // as above
	w.enlargeVolume()
	eventually(w, run, func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDestinationChanged, "elsewhere", "bring that back")
	})
	w.merge(destination, `{"spec":{"filesystem":{"path":"."}}}`)
	eventually(w, run, runIs(v1alpha1.RunSucceeded))
}
