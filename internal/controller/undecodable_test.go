package controller_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/config/crd"
	"github.com/ledgerport/ledgerport/test/application"
)

// badObjects have a value each that Go does not decode into its field, and the message's name for it.
var badObjects = []struct{ kind, spec, status, field string }{
	{"ExportRun", `{"exportRef": {"name": "monthly"}, "cutoff": "2026-11-01t00:00:00z"}`, `{}`, "spec.cutoff"},
	{
		"AccountingExport", `{"organizationID": "1", "sourceRef": {"name": "claims"}, "chartOfAccountsRef": {"name": "acme"}, "destinationRef": {"name": "files"},
		"exporter": {"type": "csv"}, "deadline": "soon", "schedule": "* * * * *"}`, `{"nextScheduleTime": "never"}`, "spec.deadline",
	},
	{"ClaimSource", `{"postgres": {"manageSchema": "perhaps"}}`, `{"schemaVersion": 1e30}`, "spec.postgres.manageSchema"},
	{"ChartOfAccounts", `{"currency": "EUR", "accounts": [{"number": 4711}]}`, `{}`, "spec.accounts[0].number"},
	{
		"ExportDestination", `{"sftp": {"host": "files.example", "user": "acme", "knownHosts": "k", "credentialsSecretRef": {"name": "sftp"}, "port": 3000000000}}`,
		`{"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-01T00:00:00x5Z"}]}`, "spec.sftp.port",
	},
}

// TestUndecodableObjects is not parallel: it takes the rules of the schemas away for a while, as if the objects were older than
// those.
func TestUndecodableObjects(t *testing.T) {
	w := newWorldWith(t, func(w *world) {
		w.withoutRules(func() {
			for _, bad := range badObjects {
				w.store(bad.kind, strings.ToLower(bad.kind), bad.spec, bad.status)
			}
		})
	})
	w.insertClaim(application.Claim{})
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export(), w.run("first"))

	eventually(w, w.run("first"), runIs(v1alpha1.RunSucceeded)) // the others' runs move
	for _, bad := range badObjects {
		w.isNamed(bad.kind, strings.ToLower(bad.kind), bad.field)
	}
	var page v1alpha1.ExportRunList // a list that comes in parts
	for seen := 0; page.Continue != "" || seen == 0; seen += len(page.Items) {
		w.must(api.client.List(t.Context(), &page, client.InNamespace(w.namespace), client.Limit(1), client.Continue(page.Continue)))
		if len(page.Items) != 1 {
			t.Fatalf("a part of a list has %d runs", len(page.Items))
		}
	}
	w.stopOperator()
	w.startOperator(w.namespace)
	w.create(w.run("second"))
	eventually(w, w.run("second"), runIs(v1alpha1.RunSucceeded))

	// An object becomes undecodable while the watch is on, and is corrected.
	files := w.destination()
	files.Namespace = w.namespace
	w.withoutRules(func() {
		w.must(api.client.Patch(t.Context(), files.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec": {"sftp": {"port": "any"}}}`))))
	})
	w.isNamed("ExportDestination", files.Name, "spec.sftp.port")
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionDestinationReady, metav1.ConditionFalse, v1alpha1.ReasonUndecodable, files.Name)
	})
	w.must(api.client.Patch(t.Context(), files.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec": {"sftp": null}}`))))
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionDestinationReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})

	for _, bad := range badObjects {
		object := w.unstructured(bad.kind, strings.ToLower(bad.kind))
		w.must(api.client.Delete(t.Context(), object))
		w.gone(object)
	}
}

// isNamed waits until an event names the field of an object that does not decode, and looks for the metric.
func (w *world) isNamed(kind, name, field string) {
	w.Helper()
	if event := w.expectEvent(name, v1alpha1.ReasonUndecodable); !strings.Contains(event.Note, field+": ") {
		w.Errorf("the event about %s %s says %q", kind, name, event.Note)
	}
	w.isCounted(kind, name)
	object := w.unstructured(kind, name)
	w.must(api.client.Get(w.Context(), client.ObjectKeyFromObject(object), object))
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	w.Logf("the conditions of %s are %v", kind, conditions) // where the API server writes them
}

func (w *world) isCounted(kind, name string) {
	w.Helper()
	families, err := w.metrics.Gather()
	w.must(err)
	for _, family := range families {
		if family.GetName() != "ledgerport_undecodable" {
			continue
		}
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[0].GetValue() == kind && metric.GetLabel()[1].GetValue() == name {
				return
			}
		}
	}
	w.Errorf("no metric names %s %s", kind, name)
}

func (w *world) unstructured(kind, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	object.SetNamespace(w.namespace)
	object.SetName(name)
	return object
}

// store stores an object and its status.
func (w *world) store(kind, name, spec, status string) {
	w.Helper()
	object := w.unstructured(kind, name)
	for field, text := range map[string]string{"spec": spec, "status": status} {
		var value map[string]any
		w.must(yaml.Unmarshal([]byte(text), &value))
		object.Object[field] = value
	}
	w.must(api.client.Create(w.Context(), object.DeepCopy()))
	w.must(api.client.Status().Patch(w.Context(), object, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"status": %s}`, status))))
}

// withoutRules does something while the API server stores every value.
func (w *world) withoutRules(do func()) {
	w.Helper()
	definitions := w.definitions()
	lax := &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: ptr.To(true)}}
	change := func(schema func(*apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceValidation, accepted bool) {
		for _, definition := range definitions {
			var installed apiextensionsv1.CustomResourceDefinition
			w.must(api.client.Get(w.Context(), client.ObjectKeyFromObject(definition), &installed))
			installed.Spec.Versions[0].Schema = schema(definition)
			w.must(api.client.Update(w.Context(), &installed))
		}
		for _, definition := range definitions {
			w.until(func(ctx context.Context) string { return w.probes(ctx, definition.Spec.Names.Kind, accepted) })
		}
	}
	change(func(*apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceValidation { return lax }, true)
	defer change(func(definition *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceValidation {
		return definition.Spec.Versions[0].Schema
	}, false)
	do()
}

// probes asks the API server whether it would store an object that breaks the rules.
func (w *world) probes(ctx context.Context, kind string, accepted bool) string {
	object := w.unstructured(kind, "probe")
	object.Object["spec"] = map[string]any{"unheard": "of"}
	if err := api.client.Create(ctx, object, client.DryRunAll); accepted && err != nil || !accepted && !apierrors.IsInvalid(err) {
		return fmt.Sprintf("the rules of %s are not those wanted (%v)", kind, err)
	}
	return ""
}

func (w *world) definitions() (definitions []*apiextensionsv1.CustomResourceDefinition) {
	w.Helper()
	files, err := fs.Glob(crd.Bases, path.Join("bases", "*.yaml"))
	w.must(err)
	for _, file := range files {
		content, err := crd.Bases.ReadFile(file)
		w.must(err)
		var definition apiextensionsv1.CustomResourceDefinition
		w.must(yaml.Unmarshal(content, &definition))
		definitions = append(definitions, &definition)
	}
	return definitions
}

// TestAnObjectThatIsNestedTooDeepForAListStopsNobody stores options as deep as the API server takes: a list has them two levels deeper,
// which no decoder of JSON reads.
func TestAnObjectThatIsNestedTooDeepForAListStopsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.insertClaim(application.Claim{})
	w.create(w.secret(), w.source(), w.chart(), w.destination())
	lists, objects := w.storeDeepest("lists", "[", "]"), w.storeDeepest("objects", `{"a":`, "}")
	w.create(w.export(), w.run("first"))

	eventually(w, w.run("first"), runIs(v1alpha1.RunSucceeded))
	for _, deep := range []*v1alpha1.AccountingExport{lists, objects} {
		eventually(w, deep, func(export *v1alpha1.AccountingExport) string {
			return condition(export.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidOptions)
		})
		w.must(api.client.Delete(t.Context(), deep))
		w.gone(deep)
	}
}

// storeDeepest stores an export whose options are as deep as the API server takes. Were each of them a field of its own, as those of
// objects would be, it could not read back who set them.
func (w *world) storeDeepest(name, opening, closing string) *v1alpha1.AccountingExport {
	w.Helper()
	deep := w.export()
	deep.Name, deep.Namespace = name, w.namespace
	deep.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("AccountingExport"))
	deep.Spec.Exporter.Options = &runtime.RawExtension{Raw: []byte(`"options"`)}
	manifest, err := json.Marshal(deep)
	w.must(err)
	connection, err := rest.HTTPClientFor(api.config)
	w.must(err)
	address := fmt.Sprintf("%s/apis/%s/namespaces/%s/accountingexports", strings.TrimSuffix(api.config.Host, "/"), v1alpha1.GroupVersion, w.namespace)
	for levels := 10_000; levels > 9_900; levels-- {
		options := `{"a":` + strings.Repeat(opening, levels) + "1" + strings.Repeat(closing, levels) + `}`
		body := strings.Replace(string(manifest), `"options":"options"`, `"options":`+options, 1)
		request, err := http.NewRequestWithContext(w.Context(), http.MethodPost, address, strings.NewReader(body))
		w.must(err)
		request.Header.Set("Content-Type", "application/json")
		response, err := connection.Do(request)
		w.must(err)
		answer, err := io.ReadAll(response.Body)
		w.must(errors.Join(err, response.Body.Close()))
		if response.StatusCode == http.StatusCreated {
			return deep
		}
		if levels == 9_901 {
			w.Fatalf("the API server takes no options of %d levels: %.500s", levels, answer)
		}
	}
	return nil
}
