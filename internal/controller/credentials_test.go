package controller_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	neturl "net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/tests3"
	"github.com/ledgerport/ledgerport/test/testsftp"
)

// portal is the csv exporter for a system that wants a login: beside the file it leaves a digest of the password that it was
// given, for tests to compare.
type portal struct{ exporters.Exporter }

// Type implements exporters.Exporter.
func (portal) Type() string { return "portal" }

// CredentialKeys implements exporters.NeedsCredentials.
func (portal) CredentialKeys([]byte) []string { return []string{"user", "pass-word"} }

// Begin implements exporters.Exporter.
func (p portal) Begin(ctx context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	writer, err := p.Exporter.Begin(ctx, batch, sink)
	if err != nil {
		return nil, err
	}
	file, err := sink.Create(ctx, "login.sha256", "text/plain")
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(file, digest(string(batch.Credentials["pass-word"]))); err != nil {
		return nil, err
	}
	return writer, file.Close()
}

func digest(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}

// registry has the built-in exporters that tests of this package use, and the portal.
func registry() *exporters.Registry {
	csv, _ := builtin.Registry().Get("csv")
	sie, _ := builtin.Registry().Get("sie")
	gbat10, _ := builtin.Registry().Get("gbat10")
	businessCentral, _ := builtin.Registry().Get("businesscentral")
	all, err := exporters.NewRegistry(csv, sie, gbat10, businessCentral, portal{csv}, faulty{csv})
	if err != nil {
		panic(err) // the types differ
	}
	return all
}

const password = "correct-horse-battery"

func (w *world) login() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "portal-login", Namespace: w.namespace},
		StringData: map[string]string{"user": "ledgerport", "pass-word": password},
	}
}

// portalExport is a requested export to the portal with the credentials of an ExternalSecret.
func (w *world) portalExport() *v1alpha1.AccountingExport {
	export := requested(w.export())
	export.Spec.Exporter.Type = "portal"
	export.Spec.Credentials = &v1alpha1.CredentialsSpec{ExternalSecretRef: &v1alpha1.ExternalSecretReference{Name: "portal"}}
	return export
}

func credentialsAre(status metav1.ConditionStatus, reason string, words ...string) func(*v1alpha1.AccountingExport) string {
	return func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionCredentialsReady, status, reason, words...)
	}
}

func (w *world) delete(object client.Object) {
	w.Helper()
	w.must(api.client.Delete(w.Context(), object))
}

func (w *world) patchSecret(secret *corev1.Secret, values map[string]string) {
	w.Helper()
	before := secret.DeepCopy()
	before.StringData, secret.StringData = nil, values
	w.must(api.client.Patch(w.Context(), secret, client.MergeFrom(before)))
}

// TestExternalSecretsMayBeInstalledLater is not parallel: it takes the kind from the cluster before other tests need it.
func TestExternalSecretsMayBeInstalledLater(t *testing.T) {
	w := newWorld(t)
	w.removeExternalSecrets()
	w.fill(2)
	other := requested(w.export())
	other.Name = "other"
	w.create(w.secret(), w.source(), w.chart(), w.destination(), other, w.portalExport())
	eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, v1alpha1.ReasonExternalSecretsNotInstalled, "External Secrets Operator", "portal"))
	w.expectEvent("monthly", v1alpha1.ReasonExternalSecretsNotInstalled)
	other = &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: w.namespace}}
	eventually(w, other, lastRunIs(v1alpha1.RunSucceeded)) // everything else works

	w.installExternalSecrets()
	external := w.externalSecret("portal", "portal-login")
	w.create(w.login(), external)
	w.synced(external, 0)
	eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
	w.unsynced(external, "the vault is sealed") // it is watched by now
	eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, v1alpha1.ReasonExternalSecretNotReady, "the vault is sealed"))

	w.removeExternalSecrets()
	eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, v1alpha1.ReasonExternalSecretsNotInstalled, "External Secrets Operator"))
	w.installExternalSecrets()
	external = w.externalSecret("portal", "portal-login")
	w.create(external)
	w.synced(external, 0)
	eventually(w, w.export(), credentialsAre(metav1.ConditionTrue, v1alpha1.ReasonReady))
}

// TestCredentialsThatAreNotReadyAreNamed breaks the credentials of an accounting system in every way, and fixes them.
func TestCredentialsThatAreNotReadyAreNamed(t *testing.T) {
	t.Parallel()
	login := map[string]string{"user": "ledgerport", "pass-word": password}
	tests := []struct {
		name    string
		secret  map[string]string // nil is no Secret
		sync    func(w *world)    // nil is no ExternalSecret
		change  func(export *v1alpha1.AccountingExport)
		reason  string
		words   []string
		stalled bool
	}{
		{name: "no ExternalSecret", secret: login, reason: v1alpha1.ReasonExternalSecretNotFound, words: []string{"portal", "does not exist"}},
		{name: "an ExternalSecret that was not synced yet", secret: login, sync: func(w *world) { w.create(w.externalSecret("portal", "portal-login")) },
			reason: v1alpha1.ReasonExternalSecretNotReady, words: []string{"not synced yet"}},
		{name: "an ExternalSecret whose provider fails", secret: login, sync: func(w *world) {
			external := w.externalSecret("portal", "portal-login")
			w.create(external)
			w.unsynced(external, "could not get secret data from provider:\n403 from vault.example")
		}, reason: v1alpha1.ReasonExternalSecretNotReady, words: []string{"SecretSyncedError: could not", "provider: 403 from vault.example"}},
		{name: "a provider that quotes the password", secret: login, sync: func(w *world) {
			external := w.externalSecret("portal", "portal-login")
			w.create(external)
			w.unsynced(external, "user ledgerport with "+password+" was refused")
		}, reason: v1alpha1.ReasonExternalSecretNotReady, words: []string{"not shown"}},
		{name: "a sync that is too old", secret: login, sync: func(w *world) {
			external := w.externalSecret("portal", "portal-login")
			w.create(external)
			w.synced(external, time.Hour)
		}, change: func(export *v1alpha1.AccountingExport) {
			export.Spec.Credentials.ExternalSecretRef.MaxAge = &metav1.Duration{Duration: 10 * time.Minute}
		}, reason: v1alpha1.ReasonExternalSecretStale, words: []string{"10m0s"}},
		{name: "no Secret", sync: func(w *world) {
			external := w.externalSecret("portal", "portal-login")
			w.create(external)
			w.synced(external, 0)
		}, reason: v1alpha1.ReasonSecretNotFound, words: []string{"portal-login"}},
		{name: "a key that is missing", secret: map[string]string{"user": "ledgerport", "password": password}, sync: func(w *world) {
			external := w.externalSecret("portal", "portal-login")
			w.create(external)
			w.synced(external, 0)
		}, reason: v1alpha1.ReasonSecretKeyMissing, words: []string{`no key "pass-word"`}},
		{name: "a key that is empty", secret: map[string]string{"user": "", "pass-word": password}, sync: func(w *world) {
			external := w.externalSecret("portal", "portal-login")
			w.create(external)
			w.synced(external, 0)
		}, reason: v1alpha1.ReasonSecretKeyMissing, words: []string{`nothing under the key "user"`}},
		{name: "a Secret, taken as it is, that is missing", change: func(export *v1alpha1.AccountingExport) {
			export.Spec.Credentials = &v1alpha1.CredentialsSpec{SecretRef: &v1alpha1.LocalReference{Name: "portal-login"}}
		}, reason: v1alpha1.ReasonSecretNotFound, words: []string{"portal-login"}},
		{name: "a provider that writes a megabyte for terminals", secret: login, sync: func(w *world) {
			external := w.externalSecret("portal", "portal-login")
			w.create(external)
			w.unsynced(external, "\x1b[31msealed\r\n"+strings.Repeat("x", 1<<20))
		}, reason: v1alpha1.ReasonExternalSecretNotReady, words: []string{`SecretSyncedError: \x1b[31msealed  xxx`, "…"}},
		{name: "no credentials at all", change: func(export *v1alpha1.AccountingExport) { export.Spec.Credentials = nil },
			reason: v1alpha1.ReasonCredentialsRequired, words: []string{"portal", "pass-word"}, stalled: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.installExternalSecrets()
			w.fill(2)
			if test.secret != nil {
				login := w.login()
				login.StringData = test.secret
				w.create(login)
			}
			if test.sync != nil {
				test.sync(w)
			}
			export := w.portalExport()
			if test.change != nil {
				test.change(export)
			}
			w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
			eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, test.reason, test.words...))
			kind := v1alpha1.ConditionReconciling
			if test.stalled {
				kind = v1alpha1.ConditionStalled
			}
			eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
				return condition(export.Status.Conditions, kind, metav1.ConditionTrue, test.reason)
			})
			w.expectEvent("monthly", test.reason)
			w.nothingHappened()
			if test.secret != nil {
				w.neverSays(password)
			}
			w.mendPortal(test.secret != nil, test.sync != nil, test.stalled)
			eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
			eventually(w, w.export(), credentialsAre(metav1.ConditionTrue, v1alpha1.ReasonReady))
			w.neverSays(password)
		})
	}
}

// mendPortal makes the credentials of the portal right, whatever is wrong with them.
func (w *world) mendPortal(hasSecret, hasExternal, unnamed bool) {
	w.Helper()
	login, external := w.login(), w.externalSecret("portal", "portal-login")
	if hasSecret {
		w.patchSecret(login, login.StringData)
	} else {
		w.create(login)
	}
	if hasExternal {
		w.must(api.client.Get(w.Context(), client.ObjectKeyFromObject(external), external))
	} else {
		w.create(external)
	}
	w.synced(external, 0)
	if unnamed {
		patch := []byte(`{"spec":{"credentials":{"externalSecretRef":{"name":"portal"}}}}`)
		w.must(api.client.Patch(w.Context(), w.export(), client.RawPatch("application/merge-patch+json", patch)))
	}
}

func TestRotationIsUsedByTheNextRun(t *testing.T) {
	t.Parallel()
	w := newWorldLookingEvery(t, time.Hour) // so that only the watch can tell
	w.installExternalSecrets()
	w.fill(2)
	login, external := w.login(), w.externalSecret("portal", "portal-login")
	w.create(login, external)
	w.synced(external, 0)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.portalExport())
	first := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun.Name
	w.loggedInWith(first, password)

	w.unsynced(external, "the vault is sealed")
	eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, v1alpha1.ReasonExternalSecretNotReady))
	w.request("while it is broken")
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonExternalSecretNotReady, "waits for this")
	})
	w.insertClaim(application.Claim{Lines: []application.Line{{Category: "travel", Gross: "10.00", Tax: "1.00"}}})
	const rotated = "a-new-password"
	w.patchSecret(login, map[string]string{"pass-word": rotated})
	w.synced(external, 0)
	second := eventually(w, w.export(), lastRunIsNot(first)).Status.LastRun.Name
	w.loggedInWith(second, rotated)
	w.neverSays(password)
	w.neverSays(rotated)
}

func (w *world) loggedInWith(run, password string) {
	w.Helper()
	file, err := os.ReadFile(w.delivered("monthly", run, "login.sha256"))
	w.must(err)
	if string(file) != digest(password) {
		w.Errorf("run %s was not given the present password", run)
	}
}

// TestEachFaultOfCredentialsIsNoticedAtOnce breaks what works, in every way, under an operator that looks again in an hour.
func TestEachFaultOfCredentialsIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorldLookingEvery(t, time.Hour)
	w.installExternalSecrets()
	login, database := w.login(), w.secret()
	external, url := w.externalSecret("portal", "portal-login"), w.externalSecret("database", "claims-db")
	source, export := w.source(), w.portalExport()
	source.Spec.Postgres.ConnectionSecretRef = nil
	source.Spec.Postgres.ConnectionExternalSecretRef = &v1alpha1.ExternalSecretKeyReference{
		ExternalSecretReference: v1alpha1.ExternalSecretReference{Name: "database"}, Key: "url",
	}
	export.Annotations = nil
	export.Spec.Credentials.ExternalSecretRef.MaxAge = &metav1.Duration{Duration: 10 * time.Minute}
	right := map[string]string{"user": "ledgerport", "pass-word": password}
	w.create(login, database, external, url)
	w.synced(external, 0)
	w.synced(url, 0)
	w.create(source, w.chart(), w.destination(), export)
	steps := []struct {
		reason      string
		about       string // of the event
		breaks, fix func()
	}{
		{v1alpha1.ReasonExternalSecretNotFound, "monthly", func() { w.delete(external) }, func() {
			external = w.externalSecret("portal", "portal-login")
			w.create(external)
			w.synced(external, 0)
		}},
		{v1alpha1.ReasonExternalSecretNotReady, "monthly", func() { w.unsynced(external, "the vault is sealed") }, func() { w.synced(external, 0) }},
		{v1alpha1.ReasonExternalSecretStale, "monthly", func() { w.synced(external, time.Hour) }, func() { w.synced(external, 0) }},
		{v1alpha1.ReasonSecretNotFound, "monthly", func() { w.delete(login); w.synced(external, 0) }, func() {
			login = w.login()
			w.create(login)
			w.synced(external, 0)
		}},
		{v1alpha1.ReasonSecretKeyMissing, "monthly", func() { w.merge(login, `{"data":{"pass-word":null}}`); w.synced(external, 0) },
			func() { w.patchSecret(login, right); w.synced(external, 0) }},
		{v1alpha1.ReasonSecretKeyMissing, "monthly", func() { w.merge(login, `{"data":{"pass-word":""}}`); w.synced(external, 0) },
			func() { w.patchSecret(login, right); w.synced(external, 0) }},
		{v1alpha1.ReasonLoginRefused, "claims", func() {
			w.patchSecret(database, map[string]string{"url": changeURL(w, func(u *neturl.URL) { u.User = neturl.UserPassword(u.User.Username(), "hunter2") })})
			w.synced(url, 0)
		}, func() { w.patchSecret(database, map[string]string{"url": w.database}); w.synced(url, 0) }},
	}
	for _, step := range steps {
		eventually(w, w.export(), credentialsAre(metav1.ConditionTrue, v1alpha1.ReasonReady))
		step.breaks()
		broken := time.Now()
		eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, step.reason))
		t.Logf("%s is noticed after %s", step.reason, time.Since(broken).Round(time.Millisecond))
		w.expectEvent(step.about, step.reason)
		step.fix()
	}
	eventually(w, w.export(), credentialsAre(metav1.ConditionTrue, v1alpha1.ReasonReady))
	w.neverSays("hunter2")
}

// TestASyncThatGetsTooOldIsNoticedInTime has nothing change but the time.
func TestASyncThatGetsTooOldIsNoticedInTime(t *testing.T) {
	t.Parallel()
	w := newWorldLookingEvery(t, time.Hour)
	w.installExternalSecrets()
	external, export := w.externalSecret("portal", "portal-login"), w.portalExport()
	export.Annotations = nil
	export.Spec.Credentials.ExternalSecretRef.MaxAge = &metav1.Duration{Duration: time.Hour}
	w.create(w.login(), external)
	w.synced(external, 0)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
	eventually(w, w.export(), credentialsAre(metav1.ConditionTrue, v1alpha1.ReasonReady))
	w.synced(external, time.Hour-5*time.Second)
	eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, v1alpha1.ReasonExternalSecretStale, "1h0m0s"))
	w.synced(external, 0)
	eventually(w, w.export(), credentialsAre(metav1.ConditionTrue, v1alpha1.ReasonReady))
}

func TestSourceAndDestinationFollowExternalSecrets(t *testing.T) {
	t.Parallel()
	w := newWorldLookingEvery(t, time.Hour)
	w.installExternalSecrets()
	w.fill(2)
	bucket := tests3.New(t)
	keys := w.secret()
	keys.Name, keys.StringData = "s3-keys", map[string]string{"accessKeyID": bucket.AccessKey, "secretAccessKey": bucket.SecretKey}
	source, destination := w.source(), w.destination()
	source.Spec.Postgres.ConnectionSecretRef = nil
	source.Spec.Postgres.ConnectionExternalSecretRef = &v1alpha1.ExternalSecretKeyReference{
		ExternalSecretReference: v1alpha1.ExternalSecretReference{Name: "database"}, Key: "url",
	}
	destination.Spec = v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{
		Bucket: bucket.Name, Region: bucket.Region, Endpoint: bucket.Endpoint, ForcePathStyle: true,
		CredentialsExternalSecretRef: &v1alpha1.S3ExternalCredentials{ExternalSecretReference: v1alpha1.ExternalSecretReference{Name: "bucket"}},
	}}
	database, access := w.externalSecret("database", "claims-db"), w.externalSecret("bucket", "s3-keys")
	w.create(w.secret(), keys, database, access)
	w.synced(database, 0)
	w.synced(access, 0)
	w.create(source, w.chart(), destination, requested(w.export()))
	eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
	for _, external := range []string{"database", "bucket"} {
		broken := w.externalSecret(external, "")
		w.must(api.client.Get(t.Context(), client.ObjectKeyFromObject(broken), broken))
		w.unsynced(broken, "the vault is sealed")
		eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, v1alpha1.ReasonExternalSecretNotReady, external, "the vault is sealed"))
		w.synced(broken, 0)
		eventually(w, w.export(), credentialsAre(metav1.ConditionTrue, v1alpha1.ReasonReady))
	}
	w.expectEvent("claims", v1alpha1.ReasonExternalSecretNotReady)
	w.expectEvent("files", v1alpha1.ReasonExternalSecretNotReady)
}

// variables are those that a test sets.
type variables struct{ sync.Map }

func (v *variables) lookUp(name string) (string, bool) {
	value, set := v.Load(name)
	text, _ := value.(string)
	return text, set
}

func TestEnvironmentStandsInWhileTheStoreIsBroken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stopOperator()
	set := &variables{}
	w.environment = set.lookUp
	w.startOperator(w.namespace)
	w.installExternalSecrets()
	w.fill(2)
	external := w.externalSecret("portal", "portal-login")
	w.create(external)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.portalExport())
	variable := credentials.EnvironmentVariable("AccountingExport", w.namespace, "monthly", "pass-word")
	set.Store(credentials.EnvironmentVariable("AccountingExport", w.namespace, "monthly", "user"), "emergency-user")
	eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, v1alpha1.ReasonExternalSecretNotReady, variable))

	const emergency = "emergency-password"
	set.Store(variable, emergency)
	run := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun.Name
	w.loggedInWith(run, emergency)
	eventually(w, w.export(), credentialsAre(metav1.ConditionTrue, v1alpha1.ReasonEnvironmentFallback, "until the store is fixed"))
	w.expectEvent("monthly", v1alpha1.ReasonEnvironmentFallback)

	w.create(w.login())
	w.synced(external, 0)
	eventually(w, w.export(), credentialsAre(metav1.ConditionTrue, v1alpha1.ReasonReady))
	w.delete(external) // a name that is wrong is no broken store
	eventually(w, w.export(), credentialsAre(metav1.ConditionFalse, v1alpha1.ReasonExternalSecretNotFound))
	for _, secret := range []string{emergency, "emergency-user", password} {
		w.neverSays(secret)
	}
}

func TestManifestsNameOneStoreOfCredentials(t *testing.T) {
	t.Parallel()
	w := &world{T: t, namespace: "default", organization: testOrganization}
	secret, external := &v1alpha1.LocalReference{Name: "a"}, &v1alpha1.ExternalSecretReference{Name: "b"}
	key, externalKey := &v1alpha1.SecretKeyReference{Name: "a", Key: "url"}, &v1alpha1.ExternalSecretKeyReference{ExternalSecretReference: *external, Key: "url"}
	export := func(c v1alpha1.CredentialsSpec) client.Object {
		e := w.export()
		e.Spec.Credentials = &c
		return e
	}
	source := func(key *v1alpha1.SecretKeyReference, external *v1alpha1.ExternalSecretKeyReference) client.Object {
		s := w.source()
		s.Spec.Postgres.ConnectionSecretRef, s.Spec.Postgres.ConnectionExternalSecretRef = key, external
		return s
	}
	both := w.destination()
	both.Spec = v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{
		Bucket: "books", CredentialsSecretRef: &v1alpha1.S3Credentials{LocalReference: *secret},
		CredentialsExternalSecretRef: &v1alpha1.S3ExternalCredentials{ExternalSecretReference: *external},
	}}
	without := w.sftpDestination(testsftp.Account{Host: "sftp.example.com", Port: 22, User: "books", Path: ".", KnownHosts: "x"})
	without.Spec.SFTP.CredentialsSecretRef = nil
	tests := map[string]struct {
		object client.Object
		words  string // empty is taken
	}{
		"an export with both":         {export(v1alpha1.CredentialsSpec{SecretRef: secret, ExternalSecretRef: external}), "exactly one of secretRef and externalSecretRef"},
		"an export with neither":      {export(v1alpha1.CredentialsSpec{}), "exactly one of secretRef and externalSecretRef"},
		"an export with one":          {export(v1alpha1.CredentialsSpec{ExternalSecretRef: external}), ""},
		"a maxAge of a second":        {export(v1alpha1.CredentialsSpec{ExternalSecretRef: &v1alpha1.ExternalSecretReference{Name: "b", MaxAge: &metav1.Duration{Duration: time.Second}}}), "maxAge is at least 10s"},
		"a source with both":          {source(key, externalKey), "exactly one of connectionSecretRef and connectionExternalSecretRef"},
		"a source with neither":       {source(nil, nil), "exactly one of connectionSecretRef and connectionExternalSecretRef"},
		"a source with one":           {source(nil, externalKey), ""},
		"an SFTP server with neither": {without, "exactly one of credentialsSecretRef and credentialsExternalSecretRef"},
		"a destination with both":     {both, "at most one of credentialsSecretRef and credentialsExternalSecretRef"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.object.SetNamespace("default")
			err := api.client.Create(t.Context(), test.object, client.DryRunAll)
			if test.words == "" && err != nil || test.words != "" && (err == nil || !strings.Contains(err.Error(), test.words)) {
				t.Errorf("the API server said %v, want %q", err, test.words)
			}
		})
	}
}
