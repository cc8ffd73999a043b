package helm_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/test/environment"
)

func TestTheChartDeploysWhatConfigDoes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		values      string
		file        string
		directories []string
	}{
		"by default":     {directories: []string{"config/default"}},
		"metrics":        {values: "metrics: {serviceMonitor: {enabled: true}, rules: {enabled: true}}", directories: []string{"config/default", "config/prometheus"}},
		"dashboards":     {values: "dashboards: {enabled: true}", directories: []string{"config/default", "config/grafana"}},
		"exports volume": {values: "exports: {enabled: true}", directories: []string{"config/exports-volume"}},
		"books":          {values: "books: {enabled: true}", directories: []string{"config/books"}},
		"console":        {values: "{books: {enabled: true}, console: {enabled: true}}", directories: []string{"config/console"}},
		"impersonation": {
			values: `{books: {enabled: true}, console: {enabled: true, publicUrl: "https://ledgerport.example.com", secret: ledgerport-console,
				oidc: {issuerUrl: "https://login.example.com", clientId: ledgerport, impersonate: true, usernamePrefix: "oidc:", groupsPrefix: "oidc:"}}}`,
			directories: []string{"config/console/impersonating"},
		},
		"network policy":    {values: "{networkPolicy: {enabled: true}, books: {enabled: true}}", directories: []string{"config/books", "config/network-policy"}},
		"admission":         {values: everyPolicy(t), directories: []string{"config/default", "config/admission"}},
		"stamps":            {values: "admissionPolicies: {stamps: true}", directories: []string{"config/default", "config/stamps"}},
		"lockdown":          {file: chartDirectory + "/examples/lockdown.yaml", directories: []string{"config/lockdown"}},
		"named namespaces":  {values: "flags: {namespaces: [acme, expenses, nordwind]}", directories: []string{"config/namespaced"}},
		"without the kinds": {values: "crds: {install: false}", directories: []string{"config/rbac", "config/manager"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given := read(t, test.file)
			if test.values != "" {
				given = values(t, test.values)
			}
			have, want := byIdentity(render(t, releaseName, given)), map[string]*unstructured.Unstructured{}
			for _, directory := range test.directories {
				objects, err := environment.Render(t.Context(), directory)
				must(t, err)
				maps.Copy(want, byIdentity(objects))
			}
			compare(t, have, want)
		})
	}
}

// everyPolicy enables every file of config/admission.
func everyPolicy(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../../config/admission/*.yaml")
	must(t, err)
	enabled := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if name == "kustomization" {
			continue
		}
		words := strings.Split(name, "_")
		for i, word := range words[1:] {
			words[i+1] = strings.ToUpper(word[:1]) + word[1:]
		}
		enabled[strings.Join(words, "")] = true
	}
	text, err := json.Marshal(map[string]any{"admissionPolicies": enabled})
	must(t, err)
	return string(text)
}

func byIdentity(objects []*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	found := map[string]*unstructured.Unstructured{}
	for _, object := range objects {
		if object.GetKind() != "Namespace" { // a release does not make its own
			found[identity(object)] = bare(object)
		}
	}
	return found
}

func compare(t *testing.T, have, want map[string]*unstructured.Unstructured) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have[name] == nil {
			t.Errorf("config has %s, and the chart does not", name)
			continue
		}
		if !equality.Semantic.DeepEqual(have[name].Object, want[name].Object) {
			ours, _ := yaml.Marshal(have[name].Object)
			theirs, _ := yaml.Marshal(want[name].Object)
			t.Errorf("%s of the chart is\n%s\nand that of config\n%s", name, ours, theirs)
		}
	}
	for name := range have {
		if want[name] == nil {
			t.Errorf("the chart has %s, and config does not", name)
		}
	}
}

// bare is an object without what only Helm's have: labels and annotations of a release. The order of flags does not matter.
func bare(object *unstructured.Unstructured) *unstructured.Unstructured {
	object = object.DeepCopy()
	labels := object.GetLabels()
	delete(labels, "app.kubernetes.io/name")
	object.SetLabels(labels)
	without(object.Object, "helm.sh/chart", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/resource-policy")
	for _, field := range []string{"labels", "annotations"} {
		if metadata := object.Object["metadata"].(map[string]any); metadata[field] != nil && len(metadata[field].(map[string]any)) == 0 {
			delete(metadata, field)
		}
	}
	if strings.HasSuffix(object.GetKind(), "AdmissionPolicy") {
		object.Object = onOneLine(object.Object).(map[string]any)
	}
	if object.GetKind() == "Deployment" {
		containers, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
		args, _, _ := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
		slices.Sort(args)
		_ = unstructured.SetNestedStringSlice(containers[0].(map[string]any), args, "args") // both are as they were read
		_ = unstructured.SetNestedSlice(object.Object, containers, "spec", "template", "spec", "containers")
	}
	return object
}

// onOneLine is a value without the line breaks in its texts: kustomize doubles those of a long expression, which mean nothing.
func onOneLine(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			value[key] = onOneLine(below)
		}
	case []any:
		for i, below := range value {
			value[i] = onOneLine(below)
		}
	case string:
		return strings.Join(strings.Fields(value), " ")
	}
	return value
}

// without deletes keys wherever they are.
func without(value any, keys ...string) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range keys {
			delete(value, key)
		}
		for _, below := range value {
			without(below, keys...)
		}
	case []any:
		for _, below := range value {
			without(below, keys...)
		}
	}
}

// Every file that the chart copies is the one of config. `make manifests` copies them.
func TestCopiesAreTheirOriginals(t *testing.T) {
	t.Parallel()
	for copied, original := range map[string]string{
		"files/crds/*.yaml":       "config/crd/bases",
		"files/admission/*.yaml":  "config/admission",
		"files/stamps.yaml":       "config/stamps",
		"files/role.yaml":         "config/rbac/operator",
		"files/people_roles.yaml": "config/rbac/common",
		"files/rules.yaml":        "config/prometheus",
		"files/finance_role.yaml": "config/books/component",
		"files/reversal.yaml":     "config/books/component",
		"files/mark.yaml":         "config/books/component",
		"files/console_role.yaml": "config/console/impersonating",
	} {
		files, err := filepath.Glob(filepath.Join(chartDirectory, copied))
		must(t, err)
		if len(files) == 0 {
			t.Errorf("the chart has no %s", copied)
		}
		for _, file := range files {
			have, err := os.ReadFile(file)
			must(t, err)
			want, err := os.ReadFile(filepath.Join("../..", original, filepath.Base(file)))
			must(t, err)
			if !bytes.Equal(have, want) {
				t.Errorf("%s differs from %s/%s; call `make manifests`", file, original, filepath.Base(file))
			}
		}
	}
}
