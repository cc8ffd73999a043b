package controller_test

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/knownhosts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/testsftp"
)

// TestATenantWhoReachesForWhatIsOthers has everything in order but one reference. Sources and destinations of other
// namespaces, hosts and paths that leave the root have tests of their own.
func TestATenantWhoReachesForWhatIsOthers(t *testing.T) {
	t.Parallel()
	elsewhere := home(t)
	tests := []struct {
		name    string
		change  func(p *parts)
		aspect  string
		reasons []string
	}{
		{"a Secret of another namespace", func(p *parts) { p.source.Spec.Postgres.ConnectionSecretRef.Name = elsewhere + "/claims-db" },
			v1alpha1.ConditionCredentialsReady, []string{v1alpha1.ReasonSecretUnreadable, v1alpha1.ReasonSecretNotFound}},
		{"a Secret behind a path", func(p *parts) {
			p.source.Spec.Postgres.ConnectionSecretRef.Name = "../../" + elsewhere + "/secrets/claims-db"
		}, v1alpha1.ConditionCredentialsReady, []string{v1alpha1.ReasonSecretUnreadable, v1alpha1.ReasonSecretNotFound}},
		{"the token of a service account, to send it to a database", func(p *parts) {
			p.secret.Type = corev1.SecretTypeServiceAccountToken
			p.secret.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
		}, v1alpha1.ConditionCredentialsReady, []string{v1alpha1.ReasonSecretTypeRefused}},
		{"the login of a registry, to send it to a database", func(p *parts) {
			p.secret.Type = corev1.SecretTypeDockerConfigJson
			p.secret.StringData[corev1.DockerConfigJsonKey] = "{}"
		}, v1alpha1.ConditionCredentialsReady, []string{v1alpha1.ReasonSecretTypeRefused}},
		{"what Helm keeps, to send it to a database", func(p *parts) { p.secret.Type = "helm.sh/release.v1" },
			v1alpha1.ConditionCredentialsReady, []string{v1alpha1.ReasonSecretTypeRefused}},
		{"a source of another namespace", func(p *parts) { p.export.Spec.SourceRef.Namespace = elsewhere },
			v1alpha1.ConditionSourceReady, []string{v1alpha1.ReasonAccessDenied}},
		{"a destination of another namespace", func(p *parts) { p.export.Spec.DestinationRef.Namespace = elsewhere },
			v1alpha1.ConditionDestinationReady, []string{v1alpha1.ReasonAccessDenied}},
		{"a bucket, with the identity of the operator", func(p *parts) {
			p.destination.Spec = v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{Bucket: "books-of-others"}}
		}, v1alpha1.ConditionCredentialsReady, []string{v1alpha1.ReasonCredentialsRequired}},
		{"an option of a megabyte", func(p *parts) {
			p.export.Spec.Exporter.Options = options(map[string]any{"delimiter": strings.Repeat("x", 1<<20)})
		}, v1alpha1.ConditionMappingReady, []string{v1alpha1.ReasonInvalidOptions}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, elsewhere)
			w.fill(1)
			others := &parts{w.secret(), w.source(), nil, w.destination(), nil}
			others.secret.Namespace, others.source.Namespace, others.destination.Namespace = elsewhere, elsewhere, elsewhere
			for _, object := range []client.Object{others.secret, others.source, others.destination} {
				if err := api.client.Create(t.Context(), object); err != nil && !apierrors.IsAlreadyExists(err) {
					t.Fatal(err)
				}
			}
			p := &parts{w.secret(), w.source(), w.chart(), w.destination(), requested(w.export())}
			test.change(p)
			w.createParts(p)
			eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
				found := meta.FindStatusCondition(export.Status.Conditions, test.aspect)
				if found == nil || found.Status != metav1.ConditionFalse || !slices.Contains(test.reasons, found.Reason) {
					return fmt.Sprintf("%s is %+v, want one of %q", test.aspect, found, test.reasons)
				}
				return ""
			})
			w.nothingHappened()
		})
	}
}

// TestARunMadeByHandGainsNothing has runs that a person has made up, beside an export in order; and whatever they are, the next
// request is answered.
func TestARunMadeByHandGainsNothing(t *testing.T) {
	t.Parallel()
	const request = "after the one by hand"
	digest := fnv.New32a()
	_, _ = digest.Write([]byte(request))
	answer := fmt.Sprintf("monthly-r%08x", digest.Sum32())
	tests := []struct {
		name   string
		change func(w *world, run *v1alpha1.ExportRun)
		check  func(w *world, run *v1alpha1.ExportRun) (missing string)
		claims int64 // that the next request exports
	}{
		{"that says it has succeeded", func(_ *world, run *v1alpha1.ExportRun) {
			run.Status.Phase, run.Status.Attempts, run.Status.Claims = v1alpha1.RunSucceeded, 7, 700
		}, func(_ *world, run *v1alpha1.ExportRun) string {
			if run.Status.Phase != v1alpha1.RunSucceeded || run.Status.Claims != 2 || run.Status.Attempts != 1 {
				return fmt.Sprintf("%+v, want 2 claims of one attempt", run.Status)
			}
			return ""
		}, 0},
		{"that somebody else has", func(w *world, run *v1alpha1.ExportRun) {
			owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}
			w.create(owner)
			run.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID, Controller: ptr.To(true)}}
		}, failedFor(v1alpha1.ReasonInvalidSpec, "ConfigMap owner"), 2},
		{"of an older export of the same name", func(_ *world, run *v1alpha1.ExportRun) {
			run.OwnerReferences = []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "AccountingExport", Name: "monthly", UID: "00000000-0000-4000-8000-000000000000", Controller: ptr.To(true),
			}}
		}, failedFor(v1alpha1.ReasonInvalidSpec, "AccountingExport monthly"), 2},
		{"for a slot that is yet to come", func(_ *world, run *v1alpha1.ExportRun) {
			run.Spec.Slot = &metav1.Time{Time: time.Now().Add(20 * 365 * 24 * time.Hour)}
		}, func(w *world, run *v1alpha1.ExportRun) string {
			export := w.export()
			w.must(api.client.Get(w.Context(), client.ObjectKeyFromObject(export), export))
			if next := export.Status.NextScheduleTime; run.Status.Phase != v1alpha1.RunSucceeded || next == nil || time.Until(next.Time) > 32*24*time.Hour {
				return fmt.Sprintf("the run is %s, and the next slot %s", run.Status.Phase, next)
			}
			return ""
		}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fill(2)
			export, run := w.export(), w.run("by-hand")
			export.Spec.Schedule = "0 6 1 * *"
			w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
			eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
			test.change(w, run)
			w.create(run)
			eventually(w, run, func(run *v1alpha1.ExportRun) string { return test.check(w, run) })
			w.request(request)
			next := eventually(w, w.run(answer), runIs(v1alpha1.RunSucceeded))
			if next.Status.Claims != test.claims {
				t.Errorf("the next run exported %d claims, want %d", next.Status.Claims, test.claims)
			}
		})
	}
	t.Run("of an export of another namespace", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		run := w.run("by-hand")
		run.Spec.ExportRef.Name = "../" + w.namespace + "/monthly"
		if err := api.client.Create(w.Context(), run); !apierrors.IsInvalid(err) {
			t.Errorf("the API server says %v", err)
		}
	})
	t.Run("that has the name of one that is wanted", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fill(2)
		w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export())
		eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
		run := w.run(answer)
		run.Spec.Type = v1alpha1.RunPreview
		w.create(run)
		eventually(w, run, runIs(v1alpha1.RunSucceeded))
		w.request(request)
		eventually(w, w.export(), exportIs(metav1.ConditionFalse, v1alpha1.ReasonRunNameTaken))
		w.delete(run)
		if last := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun; last.Claims != 2 {
			t.Errorf("the run exported %d claims, want 2", last.Claims)
		}
	})
}

// failedFor says that a run has failed for a reason, and has not begun.
func failedFor(reason v1alpha1.Reason, words string) func(*world, *v1alpha1.ExportRun) string {
	return func(_ *world, run *v1alpha1.ExportRun) string {
		if run.Status.Phase != v1alpha1.RunFailed || run.Status.Attempts > 0 {
			return fmt.Sprintf("it is %s after %d attempts", run.Status.Phase, run.Status.Attempts)
		}
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, reason, words)
	}
}

// endless looks at ten thousand million elements.
func endless() string {
	hundred := "[" + strings.TrimSuffix(strings.Repeat("1,", 100), ",") + "]"
	expression := "line.account != ''"
	for _, variable := range []string{"a", "b", "c", "d", "e"} {
		expression = hundred + ".all(" + variable + ", " + expression + ")"
	}
	return expression
}

// TestAnExpressionThatNeverEndsIsRefusedOrHoldsItsClaims has one wherever a resource can have an expression.
func TestAnExpressionThatNeverEndsIsRefusedOrHoldsItsClaims(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(p *parts)
		reason v1alpha1.Reason // where it is refused before anything is begun
	}{
		"that a rule matches by": {func(p *parts) {
			p.chart.Spec.Rules[0].Match.Expression = strings.ReplaceAll(endless(), "line.account", "line.category")
		}, v1alpha1.ReasonInvalidChart},
		"that gives a dimension": {func(p *parts) {
			p.chart.Spec.Rules[0].Dimensions = map[string]string{"project": strings.ReplaceAll(endless(), "line.account", "line.category") + " ? 'P1' : 'P2'"}
		}, v1alpha1.ReasonInvalidChart},
		"that gives a column": {func(p *parts) {
			p.export.Spec.Exporter.Options = options(map[string]any{"columns": []any{map[string]any{"name": "text", "value": endless() + " ? 'a' : 'b'"}}})
		}, v1alpha1.ReasonInvalidOptions},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fill(2)
			p := &parts{w.secret(), w.source(), w.chart(), w.destination(), requested(w.export())}
			test.change(p)
			w.createParts(p)
			eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
				last := export.Status.LastRun
				switch ready := meta.FindStatusCondition(export.Status.Conditions, v1alpha1.ConditionReady); {
				case ready != nil && ready.Reason == test.reason:
					return ""
				case last != nil && last.Phase == v1alpha1.RunSucceeded && last.Claims == 0 && last.Held == 2:
					return ""
				default:
					return fmt.Sprintf("Ready is %+v, the last run %+v", ready, last)
				}
			})
		})
	}
}

// fragment would end a text, a quoted identifier and a statement.
const fragment = `x"'; DROP TABLE public.claims CASCADE; --`

// TestASQLFragmentInEveryTextChangesNothing puts it into each text of each kind in turn, every one an export of its own, all
// of them asked for a run. The API server refuses many; of the rest the operator says why it cannot, or exports as ever.
func TestASQLFragmentInEveryTextChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(2)
	w.create(w.secret())
	var tried, refused int
	var exports []*v1alpha1.AccountingExport
	var runs []*v1alpha1.ExportRun
	for kind, texts := range w.withFragments() {
		for _, attack := range texts {
			name := fmt.Sprintf("%s-%d", kind, tried)
			tried++
			source, chart, destination, export := w.source(), w.chart(), w.destination(), requested(w.export())
			complete(source, chart, export)
			objects := map[string]client.Object{"source": source, "chart": chart, "destination": destination, "export": export}
			export.Spec.SourceRef.Name, export.Spec.ChartOfAccountsRef.Name, export.Spec.DestinationRef.Name = name, name, name
			export.Spec.VoucherSeries = fmt.Sprintf("S%d", tried)
			objects["bucket"], objects["server"], objects["run"] = w.bucketDestination(), w.serverDestination(), w.fragmentedRun(name)
			objects[kind] = attack(objects[kind])
			if kind == "bucket" || kind == "server" {
				objects["destination"] = objects[kind]
			}
			if kind != "run" {
				delete(objects, "run")
			}
			if !w.tryAll(name, objects) {
				refused++
				continue
			}
			exports = append(exports, &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace}})
			if kind == "run" {
				runs = append(runs, w.run(name))
			}
		}
	}
	if tried < 40 || refused == tried {
		t.Errorf("of %d fields the API server refused %d: that is no test", tried, refused)
	}
	for _, export := range exports {
		eventually(w, export, settled)
	}
	for _, run := range runs {
		eventually(w, run, func(run *v1alpha1.ExportRun) string {
			reason := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionReady)
			if reason == nil || reason.Reason != v1alpha1.ReasonExportNotFound && reason.Reason != v1alpha1.ReasonRunNotFound {
				return fmt.Sprintf("%s: Ready is %+v, want that there is no such export or run", run.Name, reason)
			}
			return ""
		})
	}
	if n := w.count(`select count(*) from claims where organization_id::text = $1`, w.organization); n != 2 {
		t.Errorf("%d claims are left, want 2", n)
	}
}

// bucketDestination is a bucket with all that can be said of one; nobody is at its endpoint.
func (w *world) bucketDestination() *v1alpha1.ExportDestination {
	destination := w.destination()
	destination.Spec = v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{
		Bucket: "books", Prefix: "expenses", Region: "eu-north-1", Endpoint: "http://127.0.0.1:1", ForcePathStyle: true,
		CredentialsSecretRef: &v1alpha1.S3Credentials{
			LocalReference:   v1alpha1.LocalReference{Name: "claims-db"},
			S3CredentialKeys: v1alpha1.S3CredentialKeys{AccessKeyIDKey: "url", SecretAccessKeyKey: "url"},
		},
	}}
	return destination
}

// serverDestination is an SFTP server with all that can be said of one; nobody is there.
func (w *world) serverDestination() *v1alpha1.ExportDestination {
	_, public := testsftp.NewKey(w)
	destination := w.sftpDestination(testsftp.Account{
		Host: "127.0.0.1", Port: 1, User: "books", Path: "expenses", KnownHosts: knownhosts.Line([]string{"127.0.0.1"}, public),
	})
	destination.Spec.SFTP.CredentialsSecretRef.Name = "claims-db"
	destination.Spec.SFTP.CredentialsSecretRef.SFTPCredentialKeys = v1alpha1.SFTPCredentialKeys{PrivateKeyKey: "url", PassphraseKey: "url", PasswordKey: "url"}
	return destination
}

// fragmentedRun is a run with all that it can name.
func (w *world) fragmentedRun(export string) *v1alpha1.ExportRun {
	run := w.run(export)
	run.Spec = v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: export}, Type: v1alpha1.RunReversal, Reverses: &v1alpha1.RunReference{Name: "first"}}
	return run
}

// settled says that the operator has found out whether it can export, and if so has tried.
func settled(export *v1alpha1.AccountingExport) string {
	ready := meta.FindStatusCondition(export.Status.Conditions, v1alpha1.ConditionReady)
	last := export.Status.LastRun
	switch {
	case ready == nil, ready.Reason == v1alpha1.ReasonChecking:
		return export.Name + " was not checked"
	case ready.Reason == v1alpha1.ReasonInternal:
		return export.Name + ": " + ready.Message
	case ready.Status == metav1.ConditionFalse, last != nil && last.Phase.Finished():
		return ""
	}
	return export.Name + " has not run"
}

// complete fills in texts that are optional.
func complete(source *v1alpha1.ClaimSource, chart *v1alpha1.ChartOfAccounts, export *v1alpha1.AccountingExport) {
	postgres := &source.Spec.Postgres
	postgres.Claims = v1alpha1.ClaimsTable{
		Table: "public.claims", Columns: map[string]v1alpha1.ColumnName{"id": "id", "approvedAt": "approved_at", "description": "description"},
		Approved: v1alpha1.ApprovedFilter{Column: "status", Values: []string{"approved"}},
	}
	postgres.Lines = v1alpha1.LinesTable{Table: "public.claim_lines", Columns: map[string]v1alpha1.ColumnName{"claimID": "claim_id", "grossAmount": "gross_amount", "unit": "unit"}}
	chart.Spec.Rules[0].Match = v1alpha1.RuleMatch{Expression: "line.category != ''"}
	chart.Spec.Rules[0].Dimensions = map[string]string{"costCenter": "line.dimensions['cost_center']"}
	export.Spec.TimeZone, export.Spec.Schedule = "Europe/Berlin", "0 6 1 * *"
	export.Spec.Exporter.Options = options(map[string]any{"delimiter": ";", "columns": []any{map[string]any{"name": "text", "value": "line.text"}}})
}

// withFragments returns, by kind, one change for each text of the spec.
func (w *world) withFragments() map[string][]func(client.Object) client.Object {
	w.Helper()
	source, chart, export := w.source(), w.chart(), w.export()
	complete(source, chart, export)
	all := map[string][]func(client.Object) client.Object{}
	for kind, object := range map[string]client.Object{"source": source, "chart": chart, "destination": w.destination(), "export": export, "bucket": w.bucketDestination(), "server": w.serverDestination(), "run": w.fragmentedRun("x")} {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		w.must(err)
		for i := range textsOf(content["spec"]) {
			all[kind] = append(all[kind], func(object client.Object) client.Object {
				of, err := apiutil.GVKForObject(object, api.client.Scheme())
				w.must(err)
				content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
				w.must(err)
				textsOf(content["spec"])[i](fragment)
				changed := &unstructured.Unstructured{Object: content}
				changed.SetGroupVersionKind(of)
				return changed
			})
		}
	}
	return all
}

// textsOf returns, in a certain order, what sets each text within a value.
func textsOf(value any) (setters []func(string)) {
	visit := func(child any, set func(any)) {
		if _, isText := child.(string); isText {
			setters = append(setters, func(text string) { set(text) })
			return
		}
		setters = append(setters, textsOf(child)...)
	}
	switch value := value.(type) {
	case map[string]any:
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			visit(value[key], func(to any) { value[key] = to })
		}
	case []any:
		for i := range value {
			visit(value[i], func(to any) { value[i] = to })
		}
	}
	return setters
}

// tryAll creates objects under one name, and reports whether the API server takes them.
func (w *world) tryAll(name string, objects map[string]client.Object) bool {
	w.Helper()
	for _, kind := range []string{"source", "chart", "destination", "export", "run"} {
		object := objects[kind]
		if object == nil {
			continue
		}
		object.SetName(strings.ToLower(name))
		object.SetNamespace(w.namespace)
		err := api.client.Create(w.Context(), object)
		if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
			return false
		}
		w.must(err)
	}
	return true
}
