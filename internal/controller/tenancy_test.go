package controller_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/test/closedport"
	"github.com/ledgerport/ledgerport/test/testdb"
	"github.com/ledgerport/ledgerport/test/tests3"
	"github.com/ledgerport/ledgerport/test/testsftp"
)

// home makes a namespace of somebody else.
func home(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "home-"}}
	if err := api.client.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

func TestDestinationOfAnotherNamespaceMustAdmitTheNamespace(t *testing.T) {
	t.Parallel()
	elsewhere := home(t)
	w := newWorld(t, elsewhere)
	w.fill(2)
	destination, export := w.destination(), requested(w.export())
	destination.Namespace, export.Spec.DestinationRef.Namespace = elsewhere, elsewhere
	w.create(w.secret(), w.source(), w.chart(), destination, export)
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionDestinationReady, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, elsewhere, w.namespace)
	})
	w.expectEvent("monthly", v1alpha1.ReasonAccessDenied)
	w.nothingHappened()

	patch := client.MergeFrom(destination.DeepCopy())
	destination.Spec.Access = []v1alpha1.DestinationAccessRule{{NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tenant": "true"}}}}
	w.must(api.client.Patch(t.Context(), destination, patch))
	w.label("tenant", "true")
	run := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun.Name
	// What a namespace delivers is below its own name, in the directory of the destination's namespace.
	if _, err := os.ReadFile(filepath.Join(w.exports, elsewhere, w.namespace, "monthly", run, run+".csv")); err != nil {
		t.Error(err)
	}
}

// TestAccessThatIsWithdrawnWhileARunIsUnderWay has a run that was begun for one organisation, whose namespace becomes another's.
func TestAccessThatIsWithdrawnWhileARunIsUnderWay(t *testing.T) {
	t.Parallel()
	elsewhere := home(t)
	w := newWorld(t, elsewhere)
	w.fill(2)
	secret, source, export := w.secret(), w.source(), w.export()
	secret.Namespace, source.Namespace, export.Spec.SourceRef.Namespace = elsewhere, elsewhere, elsewhere
	source.Spec.Access = []v1alpha1.AccessRule{{OrganizationIDFromNamespaceLabel: organizationLabel}}
	w.label(organizationLabel, w.organization)
	w.create(secret, source, w.chart(), w.destination(), export)
	eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))

	// Another run has the series, so that this one waits in the middle of its preflight.
	w.exec(`insert into ledgerport.runs (id, namespace, export, name, organization_id, series, state, attempt, holder, deadline, cutoff, inputs)
		select 'waits', 'x', 'x', 'x', $1, 'E', 'rendered', 1, 'gone', now() + interval '1 hour', now(), '{}'`, w.organization)
	w.create(w.run("by-hand")) // it waits for the series
	eventually(w, w.run("by-hand"), func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSeriesBusy)
	})
	w.label(organizationLabel, "another-organisation")
	eventually(w, w.export(), exportIs(metav1.ConditionFalse, v1alpha1.ReasonAccessDenied))
	w.exec(`delete from ledgerport.runs where id = 'waits'`)
	eventually(w, w.run("by-hand"), func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied)
	})
	w.nothingHappened()
}

// partsOfTwo are an export and a chart in the test's namespace, and all else in another one, which admits it by its labels.
func (w *world) partsOfTwo(elsewhere string) *parts {
	w.Helper()
	p := &parts{w.secret(), w.source(), w.chart(), w.destination(), w.export()}
	p.secret.Namespace, p.source.Namespace, p.destination.Namespace = elsewhere, elsewhere, elsewhere
	p.export.Spec.SourceRef.Namespace, p.export.Spec.DestinationRef.Namespace = elsewhere, elsewhere
	p.source.Spec.Access = []v1alpha1.AccessRule{{OrganizationIDFromNamespaceLabel: organizationLabel}}
	p.destination.Spec.Access = []v1alpha1.DestinationAccessRule{{NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{organizationLabel: w.organization}}}}
	w.label(organizationLabel, w.organization)
	return p
}

// TestRunWhoseAccessWasWithdrawnGivesItsClaimsBack has neither source nor destination admit the namespace any more.
func TestRunWhoseAccessWasWithdrawnGivesItsClaimsBack(t *testing.T) {
	t.Parallel()
	elsewhere := home(t)
	w := newWorld(t, elsewhere)
	run := w.retryingRunOf(w.partsOfTwo(elsewhere))
	w.label(organizationLabel, "another-organisation")
	eventually(w, run, func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, "gives its claims back when it is cancelled")
	})
	w.cancel(run)
	eventually(w, run, runIs(v1alpha1.RunCancelled))
	w.nothingHappened()
}

// TestAnotherNamespaceSeesTheReasonAndNoHost has a run under way when the database and the directory of another namespace fail.
func TestAnotherNamespaceSeesTheReasonAndNoHost(t *testing.T) {
	t.Parallel()
	elsewhere := home(t)
	w := newWorld(t, elsewhere)
	p := w.partsOfTwo(elsewhere)
	run := w.retryingRunOf(p)
	eventually(w, run, func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDestinationFull,
			"ExportDestination "+elsewhere+"/"+p.destination.Name+" is not ready")
	})
	address := closedport.New(t).String()
	w.merge(p.secret, fmt.Sprintf(`{"stringData":{"url":%q}}`, changeURL(w, func(u *url.URL) { u.Host = address })))
	eventually(w, p.source, func(source *v1alpha1.ClaimSource) string {
		return condition(source.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDatabaseUnreachable, address)
	})
	says := "ClaimSource " + elsewhere + "/" + p.source.Name + " is not ready (DatabaseUnreachable); its own status says more"
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionSourceReady, metav1.ConditionFalse, v1alpha1.ReasonDatabaseUnreachable, says)
	})
	eventually(w, run, func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDatabaseUnreachable, says)
	})
	w.neverSays(address)
}

// TestRunIsNotTakenForReleasedByASourceThatNeverAdmittedIt has the source of a run replaced by one of its name that leads to
// another database, and admits nobody.
func TestRunIsNotTakenForReleasedByASourceThatNeverAdmittedIt(t *testing.T) {
	t.Parallel()
	elsewhere := home(t)
	w := newWorld(t, elsewhere)
	p := w.partsOfTwo(elsewhere)
	run := w.retryingRunOf(p)
	w.merge(p.secret, fmt.Sprintf(`{"stringData":{"url":%q}}`, testdb.New(t)))
	w.merge(p.source, `{"spec":{"access":null}}`)
	eventually(w, w.export(), exportIs(metav1.ConditionFalse, v1alpha1.ReasonAccessDenied))
	w.cancel(run)
	eventually(w, run, func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonAccessDenied, "cannot be given back yet", elsewhere)
	})
	if n := w.count(`select count(*) from ledgerport.exported_claims`); n != 500 {
		t.Errorf("%d claims are reserved, want the 500 of the run", n)
	}
	w.merge(p.secret, fmt.Sprintf(`{"stringData":{"url":%q}}`, w.database))
	eventually(w, run, runIs(v1alpha1.RunCancelled))
	w.nothingHappened()
}

// TestTheWholePipelineWorksUnderTheLeastPrivilegedRole has claims of two organisations, of which one is exported.
func TestTheWholePipelineWorksUnderTheLeastPrivilegedRole(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		managed bool
		scripts []string
	}{
		"the role owns the schema":         {true, []string{"role.sql", "managed.sql"}},
		"an administrator has migrated it": {false, []string{"role.sql", "migrated.sql"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fill(4)
			w.exec(`update claims set organization_id = gen_random_uuid() where id in (select id from claims limit 1)`)
			if !test.managed {
				migrate(w)
			}
			secret, source := w.secret(), w.source()
			secret.StringData["url"] = testdb.Operator(t, w.database, test.scripts...)
			source.Spec.Postgres.ManageSchema = &test.managed
			w.create(secret, source, w.chart(), w.destination(), requested(w.export()))
			last := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun
			if last.Claims != 3 {
				t.Errorf("exported %d claims, want 3", last.Claims)
			}
			eventually(w, source, func(source *v1alpha1.ClaimSource) string {
				return condition(source.Status.Conditions, v1alpha1.ConditionIsolated, metav1.ConditionTrue, v1alpha1.ReasonRowSecurity)
			})
			run := eventually(w, w.run(last.Name), runIs(v1alpha1.RunSucceeded))
			w.must(api.client.Delete(t.Context(), run))
			w.gone(run)
		})
	}
}

func TestASourceWhoseRoleIsNotBoundSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source := w.source()
	w.create(w.secret(), source)
	eventually(w, source, func(source *v1alpha1.ClaimSource) string {
		return condition(source.Status.Conditions, v1alpha1.ConditionIsolated, metav1.ConditionFalse, v1alpha1.ReasonNoRowSecurity, "public.claims", "superuser")
	})
}

// migrate does what an administrator does with "ledgerport migrate".
func migrate(w *world) {
	w.Helper()
	database, err := claims.Open(w.Context(), claims.Options{URL: w.database, Allowed: claims.Allowances{Insecure: true}})
	w.must(err)
	defer database.Close()
	w.must(database.Migrate(w.Context()))
}

func TestHostsThatAreNotAllowedAreNotReached(t *testing.T) {
	t.Parallel()
	bucket := tests3.New(t)
	tests := []struct {
		name    string
		allowed []string
		change  func(w *world, p *parts)
		aspect  string
		words   []string
	}{
		{"a database on loopback", nil, func(*world, *parts) {}, v1alpha1.ConditionSourceReady, []string{"127.0.0.1", "loopback"}},
		{"a database outside the list", []string{"*.example.com"}, func(*world, *parts) {}, v1alpha1.ConditionSourceReady, []string{"--allowed-hosts"}},
		{"a database behind a socket", []string{"127.0.0.0/8"}, func(_ *world, p *parts) {
			p.secret.StringData["url"] = "postgres://postgres:hunter2@/postgres?host=/run/postgresql"
		}, v1alpha1.ConditionSourceReady, []string{"socket"}},
		{"a bucket at the metadata service", []string{outbound.AnyHost, "127.0.0.0/8"}, func(_ *world, p *parts) {
			p.bucket(bucket, "http://169.254.169.254")
		}, v1alpha1.ConditionDestinationReady, []string{"link-local"}},
		{"a bucket outside the list", []string{"127.0.0.1"}, func(_ *world, p *parts) {
			p.bucket(bucket, "https://203.0.113.9")
		}, v1alpha1.ConditionDestinationReady, []string{"203.0.113.9", "--allowed-hosts"}},
		{"an SFTP server outside the list", []string{"127.0.0.1"}, func(w *world, p *parts) {
			account := testsftp.New(w.T)
			account.Host = "203.0.113.9"
			p.secret.StringData["privateKey"] = string(account.PrivateKey)
			p.destination = w.sftpDestination(account)
			p.destination.Spec.SFTP.CredentialsSecretRef.Name = p.secret.Name
		}, v1alpha1.ConditionDestinationReady, []string{"203.0.113.9", "--allowed-hosts"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorldWith(t, func(w *world) { w.allowedHosts = test.allowed })
			w.fill(1)
			p := &parts{w.secret(), w.source(), w.chart(), w.destination(), requested(w.export())}
			test.change(w, p)
			w.createParts(p)
			eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
				return condition(export.Status.Conditions, test.aspect, metav1.ConditionFalse, v1alpha1.ReasonHostNotAllowed, test.words...)
			})
			w.expectEvent("", v1alpha1.ReasonHostNotAllowed) // about the resource that names the host
			w.nothingHappened()
			w.neverSays("hunter2")
		})
	}
}

// bucket makes the destination a bucket at an endpoint, with an access key in the Secret that is there.
func (p *parts) bucket(bucket tests3.Bucket, endpoint string) {
	p.secret.StringData["accessKeyID"], p.secret.StringData["secretAccessKey"] = bucket.AccessKey, "hunter2"
	p.destination.Spec = v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{
		Bucket: bucket.Name, Endpoint: endpoint, ForcePathStyle: true, CredentialsSecretRef: &v1alpha1.S3Credentials{LocalReference: v1alpha1.LocalReference{Name: p.secret.Name}},
	}}
}
