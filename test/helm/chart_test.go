// Package helm_test tests the chart in charts/ledgerport with Helm's own packages: that it deploys what config/ does, has a value for each
// flag, refuses wrong values, and that releases come and go on a real API server. It is a module of its own, because the operator needs
// nothing of Helm.
package helm_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ledgerport/ledgerport/test/environment"
)

const (
	chartDirectory = "../../charts/ledgerport"
	// The names under which the chart deploys what config/default does.
	releaseName = "ledgerport"
	namespace   = "ledgerport-system"
)

func load(t *testing.T) *chart.Chart {
	t.Helper()
	loaded, err := loader.LoadDir(chartDirectory)
	must(t, err)
	return loaded
}

// read returns values of a file, or none if no file is named.
func read(t *testing.T, file string) map[string]any {
	t.Helper()
	if file == "" {
		return map[string]any{}
	}
	content, err := os.Open(file)
	must(t, err)
	defer func() { _ = content.Close() }()
	values, err := loader.LoadValues(content)
	must(t, err)
	return values
}

// values reads values as people write them.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	read, err := loader.LoadValues(strings.NewReader(text))
	must(t, err)
	return read
}

// templates returns what a release would be, by template, without the notes.
func templates(ch *chart.Chart, name string, given map[string]any) (map[string]string, error) {
	release := common.ReleaseOptions{Name: name, Namespace: namespace, Revision: 1, IsInstall: true}
	merged, err := util.ToRenderValues(ch, given, release, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(ch, merged)
	if err != nil {
		return nil, err
	}
	for path := range rendered {
		if base := filepath.Base(path); base == "NOTES.txt" || strings.HasPrefix(base, "_") {
			delete(rendered, path)
		}
	}
	return rendered, nil
}

// render returns the objects of a release.
func render(t *testing.T, name string, given map[string]any) (objects []*unstructured.Unstructured) {
	t.Helper()
	rendered, err := templates(load(t), name, given)
	must(t, err)
	for _, path := range slices.Sorted(maps.Keys(rendered)) {
		found, err := environment.Decode(strings.NewReader(rendered[path]))
		if err != nil {
			t.Fatalf("%s: %s\n%s", path, err, rendered[path])
		}
		objects = append(objects, found...)
	}
	return objects
}

// identity is what no two objects of a cluster have in common.
func identity(object *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s/%s", object.GroupVersionKind().GroupKind(), object.GetNamespace(), object.GetName())
}

// manager returns the Deployment.
func manager(t *testing.T, objects []*unstructured.Unstructured) map[string]any {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			pod, _, err := unstructured.NestedMap(object.Object, "spec", "template", "spec")
			must(t, err)
			return pod
		}
	}
	t.Fatal("there is no Deployment")
	return nil
}

// arguments returns those of the container.
func arguments(t *testing.T, objects []*unstructured.Unstructured) []string {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(manager(t, objects), "containers")
	must(t, err)
	args, _, err := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
	must(t, err)
	return args
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
